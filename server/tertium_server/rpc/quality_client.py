"""A running server's quality, for the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc

from tertium.v1 import quality_service_pb2 as pb
from tertium_server.quality.report import Line, Report, StratumLine
from tertium_server.quality.values import Estimate
from tertium_server.rpc.caller import Caller
from tertium_server.rpc.truth_matching import TruthBox
from tertium_server.tuning.readers import Kind

_FRAMES_A_MESSAGE = 200
_KINDS = {
    Kind.EVALUATE: pb.LabelledObject.KIND_FIND,
    Kind.IGNORE: pb.LabelledObject.KIND_IGNORE,
    Kind.REGION: pb.LabelledObject.KIND_REGION,
}


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth about frames of one stream."""

    stream_id: str
    frames: Iterable[tuple[int, Sequence[TruthBox]]]
    """Index and boxes of each."""
    epoch: int = 0
    """0: the newest."""
    iou: float = 0.5
    least_height: float = 0.0


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of truth that was reported."""

    accepted: int
    replaced: int
    refused: int
    refusals: tuple[str, ...]
    """The first of them, for people."""
    counts: dict[str, dict[str, int]]
    """By class: tp, fp, fn, maybe_tp, maybe_fp."""


class QualityClient:
    """``with QualityClient("HOST:PORT") as quality``. Every method raises CallError where the server refuses, or is not there."""

    def __init__(self, address: str, token: str = "", credentials: grpc.ChannelCredentials | None = None) -> None:
        self._caller = Caller(address, "tertium.v1.QualityService", token, credentials)

    def estimates(self) -> Report:
        """All estimates as of now."""
        return _report(self._caller.unary("GetEstimates", pb.GetEstimatesRequest(), pb.GetEstimatesResponse))

    def report(self, labels: Iterable[Labels]) -> Reported:
        """Reports the truth about frames."""
        requests = (request for each in labels for request in _requests(each))
        response: pb.ReportTruthResponse = self._caller.stream("ReportTruth", requests, pb.ReportTruthResponse)
        refusals = tuple(f"{each.stream_id} frame {each.frame_index}: {each.message}" for each in response.refusals)
        counts = {
            each.class_name: {name: int(getattr(each, name)) for name in ("tp", "fp", "fn", "maybe_tp", "maybe_fp")}
            for each in response.counts
        }
        return Reported(response.accepted, response.replaced, response.refused, refusals, counts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.close()


def _requests(labels: Labels) -> Iterator[pb.ReportTruthRequest]:
    """Messages of so many frames each."""
    request = pb.ReportTruthRequest()
    for index, boxes in labels.frames:
        frame = request.frames.add(frame_index=index)
        for each in boxes:
            x1, y1, x2, y2 = each.box
            frame.objects.add(class_name=each.class_name, x1=x1, y1=y1, x2=x2, y2=y2, kind=_KINDS[each.kind])
        if len(request.frames) == _FRAMES_A_MESSAGE:
            yield _headed(request, labels)
            request = pb.ReportTruthRequest()
    if request.frames:
        yield _headed(request, labels)


def _headed(request: pb.ReportTruthRequest, labels: Labels) -> pb.ReportTruthRequest:
    request.stream_id, request.epoch = labels.stream_id, labels.epoch
    request.iou, request.least_height = labels.iou, labels.least_height
    return request


def _report(response: pb.GetEstimatesResponse) -> Report:
    lines = [
        Line(each.class_name, each.window, each.method, _estimate(each.precision), _estimate(each.recall))
        for each in response.estimates
    ]
    strata = [
        StratumLine(
            each.class_name,
            each.window,
            each.stratum,
            each.population,
            each.yes,
            each.no,
            each.cannot_tell,
            each.coverage,
        )
        for each in response.strata
    ]
    return Report(response.made_at_micros, tuple(lines), tuple(strata))


def _estimate(message: pb.QualityEstimate) -> Estimate:
    return Estimate(message.value, message.lower, message.upper, message.effective_samples)
