"""Truth frames sent to a running server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium.v1 import quality_service_pb2 as pb

from .caller import Caller

_AT_A_TIME = 200
"""Frames of a message."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameOfTruth:
    """All that there was to see in a frame, T objects."""

    frame_index: int
    boxes: NDArray[np.float32]
    """(T, 4) corners in pixels."""
    class_names: list[str]
    ignored: NDArray[np.bool_]
    """(T,) neither to be found nor held against a box that overlaps it."""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """What a server counted of a class, box by box."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    maybe_tp: int = 0
    maybe_fp: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """What a server made of truth frames."""

    accepted: int
    refused: int
    reasons: tuple[str, ...]
    """Why, for people: the first of each kind."""
    counts: dict[str, ClassCounts]
    """By class."""


def report(address: str, token: str, streams: Iterable[tuple[str, Iterable[FrameOfTruth]]]) -> Reported:
    """Sends the truth about some streams' frames.

    Raises:
        CallError: the server refused, or is not there.
    """
    with Caller(address, "tertium.v1.QualityService", token) as call:
        found: Any = call.stream("ReportTruth", _requests(streams), pb.ReportTruthResponse)
    reasons = dict[int, str]()
    for one in found.refusals:
        reasons.setdefault(one.reason, f"{one.stream_id}, frame {one.frame_index}: {one.message}")
    counts = {one.class_name: ClassCounts(one.tp, one.fp, one.fn, one.maybe_tp, one.maybe_fp) for one in found.counts}
    return Reported(found.accepted, found.refused, tuple(reasons.values()), counts)


def _requests(streams: Iterable[tuple[str, Iterable[FrameOfTruth]]]) -> Iterator[pb.ReportTruthRequest]:
    for stream, frames in streams:
        request = pb.ReportTruthRequest(stream_id=stream)
        for frame in frames:
            request.frames.append(_frame(frame))
            if len(request.frames) == _AT_A_TIME:
                yield request
                request = pb.ReportTruthRequest(stream_id=stream)
        if request.frames:
            yield request


def _frame(frame: FrameOfTruth) -> pb.LabelledFrame:
    kinds = (pb.LabelledObject.KIND_FIND, pb.LabelledObject.KIND_IGNORE)
    return pb.LabelledFrame(
        frame_index=frame.frame_index,
        objects=[
            pb.LabelledObject(class_name=name, x1=x1, y1=y1, x2=x2, y2=y2, kind=kinds[ignored])
            for name, (x1, y1, x2, y2), ignored in zip(
                frame.class_names, frame.boxes.tolist(), frame.ignored.tolist(), strict=True
            )
        ],
    )
