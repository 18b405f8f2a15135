from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Frames(_message.Message):
    __slots__ = ("frame_indices", "capture_times", "detection_counts", "boxes", "scores", "class_ids", "track_ids")
    FRAME_INDICES_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_TIMES_FIELD_NUMBER: _ClassVar[int]
    DETECTION_COUNTS_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CLASS_IDS_FIELD_NUMBER: _ClassVar[int]
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    frame_indices: _containers.RepeatedScalarFieldContainer[int]
    capture_times: _containers.RepeatedScalarFieldContainer[int]
    detection_counts: _containers.RepeatedScalarFieldContainer[int]
    boxes: _containers.RepeatedScalarFieldContainer[float]
    scores: _containers.RepeatedScalarFieldContainer[float]
    class_ids: _containers.RepeatedScalarFieldContainer[int]
    track_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, frame_indices: _Optional[_Iterable[int]] = ..., capture_times: _Optional[_Iterable[int]] = ..., detection_counts: _Optional[_Iterable[int]] = ..., boxes: _Optional[_Iterable[float]] = ..., scores: _Optional[_Iterable[float]] = ..., class_ids: _Optional[_Iterable[int]] = ..., track_ids: _Optional[_Iterable[int]] = ...) -> None: ...
