from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportTruthRequest(_message.Message):
    __slots__ = ("stream_id", "epoch", "frames", "iou", "least_height")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    IOU_FIELD_NUMBER: _ClassVar[int]
    LEAST_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    frames: _containers.RepeatedCompositeFieldContainer[LabelledFrame]
    iou: float
    least_height: float
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[LabelledFrame, _Mapping]]] = ..., iou: _Optional[float] = ..., least_height: _Optional[float] = ...) -> None: ...

class LabelledFrame(_message.Message):
    __slots__ = ("frame_index", "objects")
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    objects: _containers.RepeatedCompositeFieldContainer[LabelledObject]
    def __init__(self, frame_index: _Optional[int] = ..., objects: _Optional[_Iterable[_Union[LabelledObject, _Mapping]]] = ...) -> None: ...

class LabelledObject(_message.Message):
    __slots__ = ("class_name", "x1", "y1", "x2", "y2", "kind")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[LabelledObject.Kind]
        KIND_FIND: _ClassVar[LabelledObject.Kind]
        KIND_IGNORE: _ClassVar[LabelledObject.Kind]
        KIND_REGION: _ClassVar[LabelledObject.Kind]
    KIND_UNSPECIFIED: LabelledObject.Kind
    KIND_FIND: LabelledObject.Kind
    KIND_IGNORE: LabelledObject.Kind
    KIND_REGION: LabelledObject.Kind
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    X2_FIELD_NUMBER: _ClassVar[int]
    Y2_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    x1: float
    y1: float
    x2: float
    y2: float
    kind: LabelledObject.Kind
    def __init__(self, class_name: _Optional[str] = ..., x1: _Optional[float] = ..., y1: _Optional[float] = ..., x2: _Optional[float] = ..., y2: _Optional[float] = ..., kind: _Optional[_Union[LabelledObject.Kind, str]] = ...) -> None: ...

class ReportTruthResponse(_message.Message):
    __slots__ = ("accepted", "replaced", "refused", "refusals", "counts")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    replaced: int
    refused: int
    refusals: _containers.RepeatedCompositeFieldContainer[RefusedFrame]
    counts: _containers.RepeatedCompositeFieldContainer[TruthCounts]
    def __init__(self, accepted: _Optional[int] = ..., replaced: _Optional[int] = ..., refused: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[RefusedFrame, _Mapping]]] = ..., counts: _Optional[_Iterable[_Union[TruthCounts, _Mapping]]] = ...) -> None: ...

class RefusedFrame(_message.Message):
    __slots__ = ("stream_id", "frame_index", "reason", "message")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[RefusedFrame.Reason]
        REASON_UNKNOWN_FRAME: _ClassVar[RefusedFrame.Reason]
        REASON_UNKNOWN_CLASS: _ClassVar[RefusedFrame.Reason]
        REASON_INVALID_BOX: _ClassVar[RefusedFrame.Reason]
        REASON_REPEATED: _ClassVar[RefusedFrame.Reason]
    REASON_UNSPECIFIED: RefusedFrame.Reason
    REASON_UNKNOWN_FRAME: RefusedFrame.Reason
    REASON_UNKNOWN_CLASS: RefusedFrame.Reason
    REASON_INVALID_BOX: RefusedFrame.Reason
    REASON_REPEATED: RefusedFrame.Reason
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    frame_index: int
    reason: RefusedFrame.Reason
    message: str
    def __init__(self, stream_id: _Optional[str] = ..., frame_index: _Optional[int] = ..., reason: _Optional[_Union[RefusedFrame.Reason, str]] = ..., message: _Optional[str] = ...) -> None: ...

class TruthCounts(_message.Message):
    __slots__ = ("class_name", "tp", "fp", "fn", "maybe_tp", "maybe_fp")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    TP_FIELD_NUMBER: _ClassVar[int]
    FP_FIELD_NUMBER: _ClassVar[int]
    FN_FIELD_NUMBER: _ClassVar[int]
    MAYBE_TP_FIELD_NUMBER: _ClassVar[int]
    MAYBE_FP_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    tp: int
    fp: int
    fn: int
    maybe_tp: int
    maybe_fp: int
    def __init__(self, class_name: _Optional[str] = ..., tp: _Optional[int] = ..., fp: _Optional[int] = ..., fn: _Optional[int] = ..., maybe_tp: _Optional[int] = ..., maybe_fp: _Optional[int] = ...) -> None: ...

class GetEstimatesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEstimatesResponse(_message.Message):
    __slots__ = ("made_at_micros", "estimates", "strata")
    MADE_AT_MICROS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    STRATA_FIELD_NUMBER: _ClassVar[int]
    made_at_micros: int
    estimates: _containers.RepeatedCompositeFieldContainer[QualityEstimates]
    strata: _containers.RepeatedCompositeFieldContainer[StratumCounts]
    def __init__(self, made_at_micros: _Optional[int] = ..., estimates: _Optional[_Iterable[_Union[QualityEstimates, _Mapping]]] = ..., strata: _Optional[_Iterable[_Union[StratumCounts, _Mapping]]] = ...) -> None: ...

class QualityEstimates(_message.Message):
    __slots__ = ("class_name", "window", "method", "precision", "recall")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    window: str
    method: str
    precision: QualityEstimate
    recall: QualityEstimate
    def __init__(self, class_name: _Optional[str] = ..., window: _Optional[str] = ..., method: _Optional[str] = ..., precision: _Optional[_Union[QualityEstimate, _Mapping]] = ..., recall: _Optional[_Union[QualityEstimate, _Mapping]] = ...) -> None: ...

class QualityEstimate(_message.Message):
    __slots__ = ("value", "lower", "upper", "effective_samples")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    effective_samples: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., effective_samples: _Optional[float] = ...) -> None: ...

class StratumCounts(_message.Message):
    __slots__ = ("class_name", "window", "stratum", "population", "yes", "no", "cannot_tell", "coverage")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STRATUM_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    YES_FIELD_NUMBER: _ClassVar[int]
    NO_FIELD_NUMBER: _ClassVar[int]
    CANNOT_TELL_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    window: str
    stratum: str
    population: int
    yes: int
    no: int
    cannot_tell: int
    coverage: float
    def __init__(self, class_name: _Optional[str] = ..., window: _Optional[str] = ..., stratum: _Optional[str] = ..., population: _Optional[int] = ..., yes: _Optional[int] = ..., no: _Optional[int] = ..., cannot_tell: _Optional[int] = ..., coverage: _Optional[float] = ...) -> None: ...
