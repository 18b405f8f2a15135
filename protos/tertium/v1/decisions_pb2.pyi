from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_NO: _ClassVar[Verdict]
    VERDICT_MAYBE: _ClassVar[Verdict]
    VERDICT_YES: _ClassVar[Verdict]

class DecidedBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECIDED_BY_UNSPECIFIED: _ClassVar[DecidedBy]
    DECIDED_BY_MACHINE: _ClassVar[DecidedBy]
    DECIDED_BY_HUMAN: _ClassVar[DecidedBy]
    DECIDED_BY_DEADLINE: _ClassVar[DecidedBy]
VERDICT_UNSPECIFIED: Verdict
VERDICT_NO: Verdict
VERDICT_MAYBE: Verdict
VERDICT_YES: Verdict
DECIDED_BY_UNSPECIFIED: DecidedBy
DECIDED_BY_MACHINE: DecidedBy
DECIDED_BY_HUMAN: DecidedBy
DECIDED_BY_DEADLINE: DecidedBy

class Decisions(_message.Message):
    __slots__ = ("frame_indices", "detection_counts", "track_ids", "probabilities", "verdicts", "policy_version", "boxes", "track_probabilities", "track_lower", "track_upper", "track_verdicts", "coasted_counts", "coasted_track_ids", "coasted_boxes", "coasted_probabilities", "coasted_verdicts")
    FRAME_INDICES_FIELD_NUMBER: _ClassVar[int]
    DETECTION_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    TRACK_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    TRACK_LOWER_FIELD_NUMBER: _ClassVar[int]
    TRACK_UPPER_FIELD_NUMBER: _ClassVar[int]
    TRACK_VERDICTS_FIELD_NUMBER: _ClassVar[int]
    COASTED_COUNTS_FIELD_NUMBER: _ClassVar[int]
    COASTED_TRACK_IDS_FIELD_NUMBER: _ClassVar[int]
    COASTED_BOXES_FIELD_NUMBER: _ClassVar[int]
    COASTED_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    COASTED_VERDICTS_FIELD_NUMBER: _ClassVar[int]
    frame_indices: _containers.RepeatedScalarFieldContainer[int]
    detection_counts: _containers.RepeatedScalarFieldContainer[int]
    track_ids: _containers.RepeatedScalarFieldContainer[int]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    verdicts: _containers.RepeatedScalarFieldContainer[Verdict]
    policy_version: str
    boxes: _containers.RepeatedScalarFieldContainer[float]
    track_probabilities: _containers.RepeatedScalarFieldContainer[float]
    track_lower: _containers.RepeatedScalarFieldContainer[float]
    track_upper: _containers.RepeatedScalarFieldContainer[float]
    track_verdicts: _containers.RepeatedScalarFieldContainer[Verdict]
    coasted_counts: _containers.RepeatedScalarFieldContainer[int]
    coasted_track_ids: _containers.RepeatedScalarFieldContainer[int]
    coasted_boxes: _containers.RepeatedScalarFieldContainer[float]
    coasted_probabilities: _containers.RepeatedScalarFieldContainer[float]
    coasted_verdicts: _containers.RepeatedScalarFieldContainer[Verdict]
    def __init__(self, frame_indices: _Optional[_Iterable[int]] = ..., detection_counts: _Optional[_Iterable[int]] = ..., track_ids: _Optional[_Iterable[int]] = ..., probabilities: _Optional[_Iterable[float]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, str]]] = ..., policy_version: _Optional[str] = ..., boxes: _Optional[_Iterable[float]] = ..., track_probabilities: _Optional[_Iterable[float]] = ..., track_lower: _Optional[_Iterable[float]] = ..., track_upper: _Optional[_Iterable[float]] = ..., track_verdicts: _Optional[_Iterable[_Union[Verdict, str]]] = ..., coasted_counts: _Optional[_Iterable[int]] = ..., coasted_track_ids: _Optional[_Iterable[int]] = ..., coasted_boxes: _Optional[_Iterable[float]] = ..., coasted_probabilities: _Optional[_Iterable[float]] = ..., coasted_verdicts: _Optional[_Iterable[_Union[Verdict, str]]] = ...) -> None: ...

class TrackEvent(_message.Message):
    __slots__ = ("type", "track_id", "class_id", "frame_index", "first_frame", "from_verdict", "to_verdict", "reason", "retroactive_from", "why", "decided_by", "case_id", "correction")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[TrackEvent.Type]
        TYPE_STARTED: _ClassVar[TrackEvent.Type]
        TYPE_VERDICT_CHANGED: _ClassVar[TrackEvent.Type]
        TYPE_ENDED: _ClassVar[TrackEvent.Type]
        TYPE_REVIEWED: _ClassVar[TrackEvent.Type]
    TYPE_UNSPECIFIED: TrackEvent.Type
    TYPE_STARTED: TrackEvent.Type
    TYPE_VERDICT_CHANGED: TrackEvent.Type
    TYPE_ENDED: TrackEvent.Type
    TYPE_REVIEWED: TrackEvent.Type
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[TrackEvent.Reason]
        REASON_THRESHOLD: _ClassVar[TrackEvent.Reason]
        REASON_LOST: _ClassVar[TrackEvent.Reason]
        REASON_LEFT: _ClassVar[TrackEvent.Reason]
        REASON_STREAM_ENDED: _ClassVar[TrackEvent.Reason]
        REASON_RESET: _ClassVar[TrackEvent.Reason]
        REASON_EVICTED: _ClassVar[TrackEvent.Reason]
        REASON_REVIEW: _ClassVar[TrackEvent.Reason]
        REASON_POLICY_CHANGED: _ClassVar[TrackEvent.Reason]
        REASON_ZONE_CHANGED: _ClassVar[TrackEvent.Reason]
    REASON_UNSPECIFIED: TrackEvent.Reason
    REASON_THRESHOLD: TrackEvent.Reason
    REASON_LOST: TrackEvent.Reason
    REASON_LEFT: TrackEvent.Reason
    REASON_STREAM_ENDED: TrackEvent.Reason
    REASON_RESET: TrackEvent.Reason
    REASON_EVICTED: TrackEvent.Reason
    REASON_REVIEW: TrackEvent.Reason
    REASON_POLICY_CHANGED: TrackEvent.Reason
    REASON_ZONE_CHANGED: TrackEvent.Reason
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FROM_VERDICT_FIELD_NUMBER: _ClassVar[int]
    TO_VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETROACTIVE_FROM_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    type: TrackEvent.Type
    track_id: int
    class_id: int
    frame_index: int
    first_frame: int
    from_verdict: Verdict
    to_verdict: Verdict
    reason: TrackEvent.Reason
    retroactive_from: int
    why: Why
    decided_by: DecidedBy
    case_id: str
    correction: bool
    def __init__(self, type: _Optional[_Union[TrackEvent.Type, str]] = ..., track_id: _Optional[int] = ..., class_id: _Optional[int] = ..., frame_index: _Optional[int] = ..., first_frame: _Optional[int] = ..., from_verdict: _Optional[_Union[Verdict, str]] = ..., to_verdict: _Optional[_Union[Verdict, str]] = ..., reason: _Optional[_Union[TrackEvent.Reason, str]] = ..., retroactive_from: _Optional[int] = ..., why: _Optional[_Union[Why, _Mapping]] = ..., decided_by: _Optional[_Union[DecidedBy, str]] = ..., case_id: _Optional[str] = ..., correction: _Optional[bool] = ...) -> None: ...

class Why(_message.Message):
    __slots__ = ("probability", "lower", "upper", "threshold", "hits", "misses", "evidence_fast", "evidence_slow", "score", "policy_version")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FAST_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_SLOW_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    probability: float
    lower: float
    upper: float
    threshold: float
    hits: int
    misses: int
    evidence_fast: float
    evidence_slow: float
    score: float
    policy_version: str
    def __init__(self, probability: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., threshold: _Optional[float] = ..., hits: _Optional[int] = ..., misses: _Optional[int] = ..., evidence_fast: _Optional[float] = ..., evidence_slow: _Optional[float] = ..., score: _Optional[float] = ..., policy_version: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("code", "frame_index", "field", "message", "refused_frames")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CODE_UNSPECIFIED: _ClassVar[Notice.Code]
        CODE_DUPLICATE: _ClassVar[Notice.Code]
        CODE_LATE: _ClassVar[Notice.Code]
        CODE_INVALID: _ClassVar[Notice.Code]
        CODE_LIMIT: _ClassVar[Notice.Code]
        CODE_RESET_TIME_BACKWARDS: _ClassVar[Notice.Code]
        CODE_RESET_GAP: _ClassVar[Notice.Code]
        CODE_DRAINING: _ClassVar[Notice.Code]
        CODE_UNEXPECTED: _ClassVar[Notice.Code]
    CODE_UNSPECIFIED: Notice.Code
    CODE_DUPLICATE: Notice.Code
    CODE_LATE: Notice.Code
    CODE_INVALID: Notice.Code
    CODE_LIMIT: Notice.Code
    CODE_RESET_TIME_BACKWARDS: Notice.Code
    CODE_RESET_GAP: Notice.Code
    CODE_DRAINING: Notice.Code
    CODE_UNEXPECTED: Notice.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    code: Notice.Code
    frame_index: int
    field: str
    message: str
    refused_frames: int
    def __init__(self, code: _Optional[_Union[Notice.Code, str]] = ..., frame_index: _Optional[int] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., refused_frames: _Optional[int] = ...) -> None: ...
