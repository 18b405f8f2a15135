from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvidenceRequest(_message.Message):
    __slots__ = ("request_id", "track_id", "frame_indices", "boxes", "max_picture_bytes", "deadline_seconds")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDICES_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    MAX_PICTURE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    track_id: int
    frame_indices: _containers.RepeatedScalarFieldContainer[int]
    boxes: _containers.RepeatedScalarFieldContainer[float]
    max_picture_bytes: int
    deadline_seconds: float
    def __init__(self, request_id: _Optional[str] = ..., track_id: _Optional[int] = ..., frame_indices: _Optional[_Iterable[int]] = ..., boxes: _Optional[_Iterable[float]] = ..., max_picture_bytes: _Optional[int] = ..., deadline_seconds: _Optional[float] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("request_id", "pictures")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    pictures: _containers.RepeatedCompositeFieldContainer[Picture]
    def __init__(self, request_id: _Optional[str] = ..., pictures: _Optional[_Iterable[_Union[Picture, _Mapping]]] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("frame_index", "format", "data", "crop")
    class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FORMAT_UNSPECIFIED: _ClassVar[Picture.Format]
        FORMAT_JPEG: _ClassVar[Picture.Format]
        FORMAT_PNG: _ClassVar[Picture.Format]
    FORMAT_UNSPECIFIED: Picture.Format
    FORMAT_JPEG: Picture.Format
    FORMAT_PNG: Picture.Format
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    format: Picture.Format
    data: bytes
    crop: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, frame_index: _Optional[int] = ..., format: _Optional[_Union[Picture.Format, str]] = ..., data: _Optional[bytes] = ..., crop: _Optional[_Iterable[float]] = ...) -> None: ...
