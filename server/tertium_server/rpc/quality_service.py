"""tertium.v1.QualityService: truth about frames that were decided, and what precision and recall are estimated to be."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from tertium.v1 import quality_service_pb2 as pb
from tertium.v1 import quality_service_pb2_grpc
from tertium_server.errors import InvalidRequestError, PreconditionError, RequestError, UnavailableError
from tertium_server.logs import get_logger
from tertium_server.quality.book import Book
from tertium_server.quality.department import QualityDepartment
from tertium_server.quality.ledger import Ledger
from tertium_server.quality.report import report_of
from tertium_server.quality.truths import BoxCounts, TruthFrame
from tertium_server.quality.values import Estimate
from tertium_server.review.access import Gate, Role
from tertium_server.rpc.keeping import DecisionKeeping
from tertium_server.rpc.kept import classes_of, read_frames
from tertium_server.rpc.status import Context, abort
from tertium_server.rpc.truth_matching import Pair, TruthBox, count
from tertium_server.storage import StoreUnavailableError
from tertium_server.tuning.readers import Kind

_RETRY_SECONDS = 5.0
_MOST_FRAMES, _MOST_OBJECTS, _MOST_REFUSALS = 1000, 10_000, 1000
_MOST_FRAMES_A_CALL = 1_000_000
_MOST_INDEX = 2**62
_MOST_STREAM_ID = 256
_MOST_COORDINATE = 1e6
_IOU = 0.5
_KINDS = {
    pb.LabelledObject.KIND_UNSPECIFIED: Kind.EVALUATE,
    pb.LabelledObject.KIND_FIND: Kind.EVALUATE,
    pb.LabelledObject.KIND_IGNORE: Kind.IGNORE,
    pb.LabelledObject.KIND_REGION: Kind.REGION,
}

_Value = TypeVar("_Value")
_Refused = pb.RefusedFrame


@dataclass(slots=True)
class _Report:
    """What has become of the frames of a call so far."""

    accepted: int = 0
    replaced: int = 0
    refused: int = 0
    refusals: list[pb.RefusedFrame] = field(default_factory=list[pb.RefusedFrame])
    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    seen: set[tuple[str, int, int]] = field(default_factory=set[tuple[str, int, int]])

    def refuse(self, stream: str, frame: int, reason: pb.RefusedFrame.Reason, message: str) -> None:
        """Leaves a frame out."""
        self.refused += 1
        if len(self.refusals) < _MOST_REFUSALS:
            self.refusals.append(_Refused(stream_id=stream, frame_index=frame, reason=reason, message=message))

    def add(self, frames: list[TruthFrame], replaced: int) -> None:
        """Frames were counted."""
        self.accepted += len(frames)
        self.replaced += replaced
        for frame in frames:
            for name, counts in frame.classes.items():
                self.counts.setdefault(name, Counter()).update(_numbers(counts))

    def message(self) -> pb.ReportTruthResponse:
        """The answer to the call."""
        counts = [pb.TruthCounts(class_name=name, **numbers) for name, numbers in sorted(self.counts.items())]
        return pb.ReportTruthResponse(
            accepted=self.accepted,
            replaced=self.replaced,
            refused=self.refused,
            refusals=self.refusals,
            counts=counts,
        )


class QualityService(quality_service_pb2_grpc.QualityServiceServicer):
    """The servicer. The ledger and the store are read and written in other threads, so that no frame waits for a disk."""

    def __init__(self, department: QualityDepartment, keeping: DecisionKeeping | None, gate: Gate) -> None:
        self._department = department
        self._keeping = keeping
        self._gate = gate
        self._log = get_logger("quality")

    async def ReportTruth(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[pb.ReportTruthRequest], context: Context
    ) -> pb.ReportTruthResponse:
        """Truth about frames."""
        report = _Report()
        keeping = self._keeping
        if keeping is None:
            await abort(context, PreconditionError("the server keeps no decisions: run it with --ledger-bytes above 0"))
            raise RuntimeError  # not reached: an abort raises
        await self._guarded(context, keeping.flush)
        async for request in request_iterator:
            await self._guarded(context, lambda: self._take(request, report, keeping.ledger))  # noqa: B023 - called here and now
        return report.message()

    async def GetEstimates(self, request: pb.GetEstimatesRequest, context: Context) -> pb.GetEstimatesResponse:  # noqa: N802 - as above
        """Estimates."""
        del request
        return await self._guarded(context, lambda: _told(self._department.read()))

    # ------------------------------------------------------------------ in other threads

    def _take(self, request: pb.ReportTruthRequest, report: _Report, ledger: Ledger) -> None:
        """Counts the frames of a message.

        Raises:
            InvalidRequestError: The message as a whole can't be taken.
        """
        iou, least_height = _checked(request)
        if len(report.seen) + len(request.frames) > _MOST_FRAMES_A_CALL:
            text = f"a call takes {_MOST_FRAMES_A_CALL:,} frames; those up to here are counted, make another call for the rest"
            raise InvalidRequestError.of("frames", text)
        stream = request.stream_id
        labelled: dict[int, list[TruthBox]] = {}
        for frame in request.frames:
            key = (stream, request.epoch, frame.frame_index)
            if key in report.seen:
                report.refuse(stream, frame.frame_index, _Refused.REASON_REPEATED, "it came twice; the first was taken")
                continue
            report.seen.add(key)
            boxes = _boxes(frame)
            if isinstance(boxes, str):
                report.refuse(stream, frame.frame_index, _Refused.REASON_INVALID_BOX, boxes)
            else:
                labelled[frame.frame_index] = boxes
        pairs = list(_paired(request, labelled, report, ledger))
        counted = count(pairs, iou=iou, least_height=least_height) if pairs else []
        frames = [
            TruthFrame(stream, pair.decided.epoch, pair.decided.index, pair.decided.decided_at, classes)
            for pair, classes in zip(pairs, counted, strict=True)
        ]
        report.add(frames, self._department.keep_truth(frames))

    async def _guarded(self, context: Context, work: Callable[[], _Value]) -> _Value:
        """Has work done for a caller who may; any error ends the call with its status."""
        try:
            self._gate.identify(_token(context)).require(Role.ADMIN)
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            raise
        except StoreUnavailableError as error:
            await abort(context, UnavailableError(str(error), retry_after=_RETRY_SECONDS))
            raise  # not reached: an abort raises
        except Exception as error:
            if not isinstance(error, RequestError):
                self._log.error("internal error", exc_info=error)
            await abort(context, error)
            raise  # not reached: an abort raises


def _paired(
    request: pb.ReportTruthRequest, labelled: dict[int, list[TruthBox]], report: _Report, ledger: Ledger
) -> Iterator[Pair]:
    """The frames with the decisions on them."""
    stream = request.stream_id
    found = read_frames(ledger, stream, request.epoch, labelled)
    classes: dict[int, frozenset[str]] = {}
    for index, boxes in labelled.items():
        decided = found.get(index)
        if decided is None:
            text = f"no decisions on frame {index} of {stream!r} are kept: it was never taken, or is too old"
            report.refuse(stream, index, _Refused.REASON_UNKNOWN_FRAME, text)
            continue
        if decided.epoch not in classes:
            classes[decided.epoch] = classes_of(ledger, stream, decided.epoch, index)
        known = classes[decided.epoch]
        unknown = next((box.class_name for box in boxes if box.class_name and box.class_name not in known), None)
        if unknown is None:
            yield Pair(decided, boxes)
        else:
            text = f"{stream!r} has no class {unknown!r}; it has: {', '.join(sorted(known)[:20])}"
            report.refuse(stream, index, _Refused.REASON_UNKNOWN_CLASS, text)


def _token(context: Context) -> str:
    metadata: dict[str, Any] = dict(context.invocation_metadata() or ())
    kind, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token if kind.lower() == "bearer" else ""


def _checked(request: pb.ReportTruthRequest) -> tuple[float, float]:
    """IoU and least height of a message."""
    if not request.stream_id:
        raise InvalidRequestError.of("stream_id", "has to name the stream that the frames are of")
    if len(request.stream_id) > _MOST_STREAM_ID:  # it is repeated with each frame that is refused
        raise InvalidRequestError.of(
            "stream_id", f"has at most {_MOST_STREAM_ID} characters, not {len(request.stream_id)}"
        )
    if len(request.frames) > _MOST_FRAMES:
        raise InvalidRequestError.of("frames", f"at most {_MOST_FRAMES} a message, not {len(request.frames)}")
    if not 0.0 <= request.iou <= 1.0:
        raise InvalidRequestError.of("iou", f"lies above 0 and up to 1, or is 0 for {_IOU}, not {request.iou:g}")
    if not 0.0 <= request.least_height <= _MOST_COORDINATE:
        raise InvalidRequestError.of("least_height", f"is 0 or more pixels, not {request.least_height:g}")
    for place, frame in enumerate(request.frames):
        if frame.frame_index > _MOST_INDEX:
            raise InvalidRequestError.of(f"frames[{place}].frame_index", "goes up to 2^62")
    return request.iou or _IOU, request.least_height


def _boxes(frame: pb.LabelledFrame) -> list[TruthBox] | str:
    """The labelled boxes of a frame; or what is wrong with one."""
    if len(frame.objects) > _MOST_OBJECTS:
        return f"at most {_MOST_OBJECTS} objects a frame, not {len(frame.objects)}"
    boxes: list[TruthBox] = []
    for place, each in enumerate(frame.objects):
        corners = (each.x1, each.y1, each.x2, each.y2)
        if not all(abs(corner) <= _MOST_COORDINATE for corner in corners) or any(map(math.isnan, corners)):
            return f"objects[{place}]: corners have to be numbers within ±1,000,000"
        if not (each.x1 < each.x2 and each.y1 < each.y2):
            return f"objects[{place}]: the box is empty; x1 < x2 and y1 < y2 have to hold"
        kind = _KINDS.get(each.kind)
        if kind is None or (kind is Kind.EVALUATE and not each.class_name):
            return f"objects[{place}]: an object to find needs a class_name, and a kind that there is"
        boxes.append(TruthBox(each.class_name, corners, kind))
    return boxes


def _numbers(counts: BoxCounts) -> dict[str, int]:
    names = ("tp", "fp", "fn", "maybe_tp", "maybe_fp")
    return {name: getattr(counts, name) for name in names}


def _told(book: Book) -> pb.GetEstimatesResponse:
    """The book as a message."""
    report = report_of(book)
    response = pb.GetEstimatesResponse(made_at_micros=report.made_at)
    for line in report.lines:
        response.estimates.add(
            class_name=line.class_name,
            window=line.window,
            method=line.method,
            precision=_estimate(line.precision),
            recall=_estimate(line.recall),
        )
    for stratum in report.strata:
        response.strata.add(**asdict(stratum))
    return response


def _estimate(made: Estimate) -> pb.QualityEstimate:
    return pb.QualityEstimate(
        value=made.value, lower=made.lower, upper=made.upper, effective_samples=made.effective_samples
    )
