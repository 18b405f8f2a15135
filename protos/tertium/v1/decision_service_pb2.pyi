from tertium.v1 import decisions_pb2 as _decisions_pb2
from tertium.v1 import evidence_pb2 as _evidence_pb2
from tertium.v1 import frames_pb2 as _frames_pb2
from tertium.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecideRequest(_message.Message):
    __slots__ = ("open", "frames", "evidence")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    open: _stream_pb2.Open
    frames: _frames_pb2.Frames
    evidence: _evidence_pb2.Evidence
    def __init__(self, open: _Optional[_Union[_stream_pb2.Open, _Mapping]] = ..., frames: _Optional[_Union[_frames_pb2.Frames, _Mapping]] = ..., evidence: _Optional[_Union[_evidence_pb2.Evidence, _Mapping]] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("opened", "decisions", "events", "notices", "checkpoint", "evidence_requests", "frames_waiting")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_WAITING_FIELD_NUMBER: _ClassVar[int]
    opened: _stream_pb2.Opened
    decisions: _decisions_pb2.Decisions
    events: _containers.RepeatedCompositeFieldContainer[_decisions_pb2.TrackEvent]
    notices: _containers.RepeatedCompositeFieldContainer[_decisions_pb2.Notice]
    checkpoint: _stream_pb2.Checkpoint
    evidence_requests: _containers.RepeatedCompositeFieldContainer[_evidence_pb2.EvidenceRequest]
    frames_waiting: int
    def __init__(self, opened: _Optional[_Union[_stream_pb2.Opened, _Mapping]] = ..., decisions: _Optional[_Union[_decisions_pb2.Decisions, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_decisions_pb2.TrackEvent, _Mapping]]] = ..., notices: _Optional[_Iterable[_Union[_decisions_pb2.Notice, _Mapping]]] = ..., checkpoint: _Optional[_Union[_stream_pb2.Checkpoint, _Mapping]] = ..., evidence_requests: _Optional[_Iterable[_Union[_evidence_pb2.EvidenceRequest, _Mapping]]] = ..., frames_waiting: _Optional[int] = ...) -> None: ...

class DecideBatchRequest(_message.Message):
    __slots__ = ("open", "frames", "end_of_stream")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    END_OF_STREAM_FIELD_NUMBER: _ClassVar[int]
    open: _stream_pb2.Open
    frames: _frames_pb2.Frames
    end_of_stream: bool
    def __init__(self, open: _Optional[_Union[_stream_pb2.Open, _Mapping]] = ..., frames: _Optional[_Union[_frames_pb2.Frames, _Mapping]] = ..., end_of_stream: _Optional[bool] = ...) -> None: ...

class DecideBatchResponse(_message.Message):
    __slots__ = ("opened", "decisions", "events", "notices", "checkpoint")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    opened: _stream_pb2.Opened
    decisions: _decisions_pb2.Decisions
    events: _containers.RepeatedCompositeFieldContainer[_decisions_pb2.TrackEvent]
    notices: _containers.RepeatedCompositeFieldContainer[_decisions_pb2.Notice]
    checkpoint: _stream_pb2.Checkpoint
    def __init__(self, opened: _Optional[_Union[_stream_pb2.Opened, _Mapping]] = ..., decisions: _Optional[_Union[_decisions_pb2.Decisions, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_decisions_pb2.TrackEvent, _Mapping]]] = ..., notices: _Optional[_Iterable[_Union[_decisions_pb2.Notice, _Mapping]]] = ..., checkpoint: _Optional[_Union[_stream_pb2.Checkpoint, _Mapping]] = ...) -> None: ...
