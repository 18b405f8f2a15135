from tertium.v1 import decisions_pb2 as _decisions_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Answer(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANSWER_UNSPECIFIED: _ClassVar[Answer]
    ANSWER_NO: _ClassVar[Answer]
    ANSWER_YES: _ClassVar[Answer]
    ANSWER_CANNOT_TELL: _ClassVar[Answer]

class CaseSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_SOURCE_UNSPECIFIED: _ClassVar[CaseSource]
    CASE_SOURCE_MAYBE: _ClassVar[CaseSource]
    CASE_SOURCE_AUDIT_YES: _ClassVar[CaseSource]
    CASE_SOURCE_AUDIT_NO: _ClassVar[CaseSource]
    CASE_SOURCE_GOLD: _ClassVar[CaseSource]
    CASE_SOURCE_FRAME_AUDIT: _ClassVar[CaseSource]

class CaseState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CASE_STATE_UNSPECIFIED: _ClassVar[CaseState]
    CASE_STATE_OPEN: _ClassVar[CaseState]
    CASE_STATE_SECOND_REVIEW: _ClassVar[CaseState]
    CASE_STATE_ESCALATED: _ClassVar[CaseState]
    CASE_STATE_CLOSED: _ClassVar[CaseState]
    CASE_STATE_WITHDRAWN: _ClassVar[CaseState]
ANSWER_UNSPECIFIED: Answer
ANSWER_NO: Answer
ANSWER_YES: Answer
ANSWER_CANNOT_TELL: Answer
CASE_SOURCE_UNSPECIFIED: CaseSource
CASE_SOURCE_MAYBE: CaseSource
CASE_SOURCE_AUDIT_YES: CaseSource
CASE_SOURCE_AUDIT_NO: CaseSource
CASE_SOURCE_GOLD: CaseSource
CASE_SOURCE_FRAME_AUDIT: CaseSource
CASE_STATE_UNSPECIFIED: CaseState
CASE_STATE_OPEN: CaseState
CASE_STATE_SECOND_REVIEW: CaseState
CASE_STATE_ESCALATED: CaseState
CASE_STATE_CLOSED: CaseState
CASE_STATE_WITHDRAWN: CaseState

class CaseView(_message.Message):
    __slots__ = ("case_id", "stream_id", "class_name", "track_id", "first_frame", "frame_index", "opened_micros", "deadline_micros", "whole_frame")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    OPENED_MICROS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MICROS_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FRAME_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    stream_id: str
    class_name: str
    track_id: int
    first_frame: int
    frame_index: int
    opened_micros: int
    deadline_micros: int
    whole_frame: bool
    def __init__(self, case_id: _Optional[str] = ..., stream_id: _Optional[str] = ..., class_name: _Optional[str] = ..., track_id: _Optional[int] = ..., first_frame: _Optional[int] = ..., frame_index: _Optional[int] = ..., opened_micros: _Optional[int] = ..., deadline_micros: _Optional[int] = ..., whole_frame: _Optional[bool] = ...) -> None: ...

class Case(_message.Message):
    __slots__ = ("view", "source", "state", "leased", "probability", "pi", "machine_verdict", "verdict", "decided_by", "answer", "policy_version", "closed_micros", "votes")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PI_FIELD_NUMBER: _ClassVar[int]
    MACHINE_VERDICT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOSED_MICROS_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    view: CaseView
    source: CaseSource
    state: CaseState
    leased: bool
    probability: float
    pi: float
    machine_verdict: _decisions_pb2.Verdict
    verdict: _decisions_pb2.Verdict
    decided_by: _decisions_pb2.DecidedBy
    answer: Answer
    policy_version: str
    closed_micros: int
    votes: int
    def __init__(self, view: _Optional[_Union[CaseView, _Mapping]] = ..., source: _Optional[_Union[CaseSource, str]] = ..., state: _Optional[_Union[CaseState, str]] = ..., leased: _Optional[bool] = ..., probability: _Optional[float] = ..., pi: _Optional[float] = ..., machine_verdict: _Optional[_Union[_decisions_pb2.Verdict, str]] = ..., verdict: _Optional[_Union[_decisions_pb2.Verdict, str]] = ..., decided_by: _Optional[_Union[_decisions_pb2.DecidedBy, str]] = ..., answer: _Optional[_Union[Answer, str]] = ..., policy_version: _Optional[str] = ..., closed_micros: _Optional[int] = ..., votes: _Optional[int] = ...) -> None: ...

class ListCasesRequest(_message.Message):
    __slots__ = ("states", "stream_id", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[CaseState]
    stream_id: str
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[CaseState, str]]] = ..., stream_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("cases", "next_page_token")
    CASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    cases: _containers.RepeatedCompositeFieldContainer[Case]
    next_page_token: str
    def __init__(self, cases: _Optional[_Iterable[_Union[Case, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LeaseCasesRequest(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("view", "token", "expires_micros")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MICROS_FIELD_NUMBER: _ClassVar[int]
    view: CaseView
    token: str
    expires_micros: int
    def __init__(self, view: _Optional[_Union[CaseView, _Mapping]] = ..., token: _Optional[str] = ..., expires_micros: _Optional[int] = ...) -> None: ...

class LeaseCasesResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ...) -> None: ...

class RenewLeaseRequest(_message.Message):
    __slots__ = ("case_id", "token")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    token: str
    def __init__(self, case_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class RenewLeaseResponse(_message.Message):
    __slots__ = ("renewed", "expires_micros")
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MICROS_FIELD_NUMBER: _ClassVar[int]
    renewed: bool
    expires_micros: int
    def __init__(self, renewed: _Optional[bool] = ..., expires_micros: _Optional[int] = ...) -> None: ...

class ReleaseLeaseRequest(_message.Message):
    __slots__ = ("case_id", "token")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    token: str
    def __init__(self, case_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class ReleaseLeaseResponse(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: bool
    def __init__(self, released: _Optional[bool] = ...) -> None: ...

class CastVoteRequest(_message.Message):
    __slots__ = ("case_id", "token", "answer", "missed")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    token: str
    answer: Answer
    missed: int
    def __init__(self, case_id: _Optional[str] = ..., token: _Optional[str] = ..., answer: _Optional[_Union[Answer, str]] = ..., missed: _Optional[int] = ...) -> None: ...

class CastVoteResponse(_message.Message):
    __slots__ = ("state", "fenced", "late", "case")
    STATE_FIELD_NUMBER: _ClassVar[int]
    FENCED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    CASE_FIELD_NUMBER: _ClassVar[int]
    state: CaseState
    fenced: bool
    late: bool
    case: Case
    def __init__(self, state: _Optional[_Union[CaseState, str]] = ..., fenced: _Optional[bool] = ..., late: _Optional[bool] = ..., case: _Optional[_Union[Case, _Mapping]] = ...) -> None: ...

class UndoVoteRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class UndoVoteResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class WatchQueueRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchQueueResponse(_message.Message):
    __slots__ = ("waiting", "leased", "oldest_opened_micros", "next_deadline_micros", "votes_last_hour", "spooled")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_OPENED_MICROS_FIELD_NUMBER: _ClassVar[int]
    NEXT_DEADLINE_MICROS_FIELD_NUMBER: _ClassVar[int]
    VOTES_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    SPOOLED_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    leased: int
    oldest_opened_micros: int
    next_deadline_micros: int
    votes_last_hour: int
    spooled: int
    def __init__(self, waiting: _Optional[int] = ..., leased: _Optional[int] = ..., oldest_opened_micros: _Optional[int] = ..., next_deadline_micros: _Optional[int] = ..., votes_last_hour: _Optional[int] = ..., spooled: _Optional[int] = ...) -> None: ...

class GetEvidenceRequest(_message.Message):
    __slots__ = ("case_id", "omit_pictures")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    OMIT_PICTURES_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    omit_pictures: bool
    def __init__(self, case_id: _Optional[str] = ..., omit_pictures: _Optional[bool] = ...) -> None: ...

class EvidenceFrame(_message.Message):
    __slots__ = ("frame_index", "capture_time", "box", "score", "probability")
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_TIME_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    capture_time: int
    box: _containers.RepeatedScalarFieldContainer[float]
    score: float
    probability: float
    def __init__(self, frame_index: _Optional[int] = ..., capture_time: _Optional[int] = ..., box: _Optional[_Iterable[float]] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class EvidencePicture(_message.Message):
    __slots__ = ("frame_index", "media_type", "width", "height", "crop", "data")
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    media_type: str
    width: int
    height: int
    crop: _containers.RepeatedScalarFieldContainer[float]
    data: bytes
    def __init__(self, frame_index: _Optional[int] = ..., media_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., crop: _Optional[_Iterable[float]] = ..., data: _Optional[bytes] = ...) -> None: ...

class GetEvidenceResponse(_message.Message):
    __slots__ = ("view", "frames", "pictures", "frame_width", "frame_height", "threshold_yes", "threshold_no")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    FRAME_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FRAME_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_YES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_NO_FIELD_NUMBER: _ClassVar[int]
    view: CaseView
    frames: _containers.RepeatedCompositeFieldContainer[EvidenceFrame]
    pictures: _containers.RepeatedCompositeFieldContainer[EvidencePicture]
    frame_width: int
    frame_height: int
    threshold_yes: float
    threshold_no: float
    def __init__(self, view: _Optional[_Union[CaseView, _Mapping]] = ..., frames: _Optional[_Iterable[_Union[EvidenceFrame, _Mapping]]] = ..., pictures: _Optional[_Iterable[_Union[EvidencePicture, _Mapping]]] = ..., frame_width: _Optional[int] = ..., frame_height: _Optional[int] = ..., threshold_yes: _Optional[float] = ..., threshold_no: _Optional[float] = ...) -> None: ...

class WithdrawCaseRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class WithdrawCaseResponse(_message.Message):
    __slots__ = ("withdrawn",)
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    withdrawn: bool
    def __init__(self, withdrawn: _Optional[bool] = ...) -> None: ...

class DeletePicturesRequest(_message.Message):
    __slots__ = ("stream_id", "stored_before_micros")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    STORED_BEFORE_MICROS_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    stored_before_micros: int
    def __init__(self, stream_id: _Optional[str] = ..., stored_before_micros: _Optional[int] = ...) -> None: ...

class DeletePicturesResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class AddGoldCaseRequest(_message.Message):
    __slots__ = ("case_id", "answer")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    answer: Answer
    def __init__(self, case_id: _Optional[str] = ..., answer: _Optional[_Union[Answer, str]] = ...) -> None: ...

class AddGoldCaseResponse(_message.Message):
    __slots__ = ("case_id", "added")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    added: bool
    def __init__(self, case_id: _Optional[str] = ..., added: _Optional[bool] = ...) -> None: ...

class ExportReviewsRequest(_message.Message):
    __slots__ = ("closed_from_micros", "stream_id")
    CLOSED_FROM_MICROS_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    closed_from_micros: int
    stream_id: str
    def __init__(self, closed_from_micros: _Optional[int] = ..., stream_id: _Optional[str] = ...) -> None: ...

class ExportReviewsResponse(_message.Message):
    __slots__ = ("case", "weight", "frames")
    CASE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    case: Case
    weight: float
    frames: _containers.RepeatedCompositeFieldContainer[EvidenceFrame]
    def __init__(self, case: _Optional[_Union[Case, _Mapping]] = ..., weight: _Optional[float] = ..., frames: _Optional[_Iterable[_Union[EvidenceFrame, _Mapping]]] = ...) -> None: ...
