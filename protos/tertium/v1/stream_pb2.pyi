from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreScale(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORE_SCALE_UNSPECIFIED: _ClassVar[ScoreScale]
    SCORE_SCALE_PROBABILITY: _ClassVar[ScoreScale]
    SCORE_SCALE_LOGIT: _ClassVar[ScoreScale]
SCORE_SCALE_UNSPECIFIED: ScoreScale
SCORE_SCALE_PROBABILITY: ScoreScale
SCORE_SCALE_LOGIT: ScoreScale

class Open(_message.Message):
    __slots__ = ("stream_id", "group", "class_names", "frame_width", "frame_height", "nominal_fps", "client_tracks", "score_scale", "epoch", "checkpoint", "last_answered_frame", "checkpoint_interval", "include_boxes", "include_tracks", "include_coasted")
    class ClassNamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    FRAME_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FRAME_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NOMINAL_FPS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TRACKS_FIELD_NUMBER: _ClassVar[int]
    SCORE_SCALE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LAST_ANSWERED_FRAME_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_BOXES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRACKS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_COASTED_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    group: str
    class_names: _containers.ScalarMap[int, str]
    frame_width: int
    frame_height: int
    nominal_fps: float
    client_tracks: bool
    score_scale: ScoreScale
    epoch: int
    checkpoint: bytes
    last_answered_frame: int
    checkpoint_interval: int
    include_boxes: bool
    include_tracks: bool
    include_coasted: bool
    def __init__(self, stream_id: _Optional[str] = ..., group: _Optional[str] = ..., class_names: _Optional[_Mapping[int, str]] = ..., frame_width: _Optional[int] = ..., frame_height: _Optional[int] = ..., nominal_fps: _Optional[float] = ..., client_tracks: _Optional[bool] = ..., score_scale: _Optional[_Union[ScoreScale, str]] = ..., epoch: _Optional[int] = ..., checkpoint: _Optional[bytes] = ..., last_answered_frame: _Optional[int] = ..., checkpoint_interval: _Optional[int] = ..., include_boxes: _Optional[bool] = ..., include_tracks: _Optional[bool] = ..., include_coasted: _Optional[bool] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("epoch", "policy_version", "first_frame", "max_frames_per_message", "max_detections_per_frame")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_PER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_DETECTIONS_PER_FRAME_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    policy_version: str
    first_frame: int
    max_frames_per_message: int
    max_detections_per_frame: int
    def __init__(self, epoch: _Optional[int] = ..., policy_version: _Optional[str] = ..., first_frame: _Optional[int] = ..., max_frames_per_message: _Optional[int] = ..., max_detections_per_frame: _Optional[int] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("state", "last_frame")
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_FRAME_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    last_frame: int
    def __init__(self, state: _Optional[bytes] = ..., last_frame: _Optional[int] = ...) -> None: ...
