"""Decided frames against the truth about them, paired as tuning pairs them: by falling verdict and probability, class by class (COCO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.quality.truths import BoxCounts
from tertium_server.rpc.kept import DecidedFrame
from tertium_server.tuning.matching import Label, match
from tertium_server.tuning.readers import Kind, Labelled
from tertium_server.tuning.readers import Sequence as Detections
from tertium_server.tuning.readers.truth import ALL_CLASSES, Truth

_NOWHERE = Path("wire")


@dataclass(frozen=True, slots=True)
class TruthBox:
    """A labelled box."""

    class_name: str
    """Empty: of every class."""
    box: tuple[float, float, float, float]
    """Corners x1, y1, x2, y2 in pixels."""
    kind: Kind = Kind.EVALUATE


@dataclass(frozen=True, slots=True)
class Pair:
    """A decided frame, and all that there was to see in it."""

    decided: DecidedFrame
    truth: Sequence[TruthBox]


def count(pairs: Sequence[Pair], *, iou: float = 0.5, least_height: float = 0.0) -> list[dict[str, BoxCounts]]:
    """What each frame has shown, by class; classes of which there was nothing are left out."""
    names = sorted(
        {name for pair in pairs for name in (*pair.decided.classes, *(box.class_name for box in pair.truth))}
    )
    places = {name: place for place, name in enumerate(names)}
    detections, truth = _detections(pairs, places), _truth(pairs, places, least_height)
    verdicts = np.concatenate([np.zeros(0, np.uint8), *(pair.decided.verdicts for pair in pairs)])
    # A probability is at most 1: what was accepted comes before all that was not.
    ranks = 2.0 * verdicts + detections.scores
    labels = match(Labelled(detections, truth), ranks, iou).labels
    cells = detections.frames * len(names) + detections.class_ids
    evaluated = truth.kinds == Kind.EVALUATE
    objects = truth.frames[evaluated] * len(names) + truth.class_ids[evaluated]
    size = len(pairs) * len(names)

    def table(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(cells[chosen], minlength=size).reshape(len(pairs), len(names))

    true, false = labels == Label.TRUE, labels == Label.FALSE
    yes, maybe = verdicts == Verdict.YES, verdicts == Verdict.MAYBE
    tp, wanted = table(true & yes), np.bincount(objects, minlength=size).reshape(len(pairs), len(names))
    columns = (tp, table(false & yes), wanted - tp, table(true & maybe), table(false & maybe))
    return [
        {
            name: BoxCounts(*numbers)
            for name, place in places.items()
            if any(numbers := [int(column[row, place]) for column in columns])
        }
        for row in range(len(pairs))
    ]


def _detections(pairs: Sequence[Pair], places: dict[str, int]) -> Detections:
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(pair.decided.boxes for pair in pairs)])
    probabilities = np.concatenate([np.zeros(0), *(pair.decided.probabilities.astype(np.float64) for pair in pairs)])
    wide = boxes.astype(np.float64)
    return Detections(
        name="truth",
        fps=1.0,
        first_frame=0,
        length=len(pairs),
        class_names={place: name for name, place in places.items()},
        frames=np.repeat(np.arange(len(pairs), dtype=np.int64), [len(pair.decided.boxes) for pair in pairs]),
        boxes=boxes,
        xywh=np.hstack([wide[:, :2], wide[:, 2:] - wide[:, :2]]),
        scores=probabilities,
        class_ids=np.array([places[name] for pair in pairs for name in pair.decided.classes], np.uint32),
        track_ids=np.full(len(boxes), -1, np.int64),
        rows=np.arange(1, len(boxes) + 1),
        source=_NOWHERE,
    )


def _truth(pairs: Sequence[Pair], places: dict[str, int], least_height: float) -> Truth:
    boxes = [box for pair in pairs for box in pair.truth]
    return Truth(
        name="truth",
        first_frame=0,
        length=len(pairs),
        class_names={place: name for name, place in places.items()},
        frames=np.repeat(np.arange(len(pairs), dtype=np.int64), [len(pair.truth) for pair in pairs]),
        boxes=np.array([each.box for each in boxes], np.float64).reshape(len(boxes), 4),
        class_ids=np.array([places[each.class_name] if each.class_name else ALL_CLASSES for each in boxes], np.uint32),
        track_ids=np.full(len(boxes), -1, np.int64),
        kinds=np.array([each.kind for each in boxes], np.uint8),
        rows=np.arange(1, len(boxes) + 1),
        source=_NOWHERE,
        min_height=least_height,
    )
