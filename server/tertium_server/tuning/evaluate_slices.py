"""Figures of boxes by part of the data: by sequence, class, size of box, and time.

A right box belongs with its object: the slice is the object's. A false box, and one that is MAYBE, is sliced by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .evaluate import at_verdicts, ends
from .intervals import LEVEL, figure_draws, interval
from .judged import YES, Judged
from .matching import Label, changes_of, label_changes
from .matching import Rule as MatchingRule
from .readers import Kind
from .units import Place, Units, box_units, merge

SIZES = (("small", 32.0**2), ("medium", 96.0**2), ("large", np.inf))
"""Sizes of boxes by area in pixels, each up to its bound, as COCO has them."""

MOST_WINDOWS = 12
"""Windows of time, at most."""

_WINDOWS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Slicing:
    """A way to part the data."""

    names: tuple[str, ...]
    """Of the slices, in order."""

    detections: tuple[Ints, ...]
    """For each sequence (N,) the slice of each detection."""

    truths: tuple[Ints, ...]
    """For each sequence (M,) the slice of each row of truth."""


def slices(judged: Sequence[Judged], places: Sequence[Place], seed: int) -> dict[str, Any]:
    """Counts and figures at the verdicts, with an interval of the F1 of YES: ``{way: {slice: figures}}``.

    Slices without any box or object are left out.
    """
    return {
        way: _describe(slicing, judged, places, seed)
        for way, slicing in {
            "sequence": by_sequence(judged),
            "class": by_class(judged),
            "size": by_size(judged),
            "time": by_time(judged),
        }.items()
    }


def by_sequence(judged: Sequence[Judged]) -> Slicing:
    """Each sequence by itself."""
    return Slicing(
        tuple(one.name for one in judged),
        tuple(np.full(len(one.labelled.sequence), place) for place, one in enumerate(judged)),
        tuple(np.full(len(one.labelled.truth), place) for place, one in enumerate(judged)),
    )


def by_class(judged: Sequence[Judged]) -> Slicing:
    """By class."""
    halves = [(one.labelled.sequence.class_ids, one.labelled.truth.class_ids) for one in judged]
    detections, truths = zip(*((here.astype(np.int64), there.astype(np.int64)) for here, there in halves), strict=True)
    return Slicing(tuple(judged[0].labelled.sequence.class_names.values()), detections, truths)


def by_size(judged: Sequence[Judged]) -> Slicing:
    """By area of the box."""
    bounds = np.array([bound for _, bound in SIZES[:-1]])
    detections, truths = [], []
    for one in judged:
        xywh, corners = one.labelled.sequence.xywh, one.labelled.truth.boxes
        detections.append(np.searchsorted(bounds, xywh[:, 2] * xywh[:, 3]).astype(np.int64))
        truths.append(np.searchsorted(bounds, np.prod(corners[:, 2:] - corners[:, :2], axis=1)).astype(np.int64))
    return Slicing(tuple(name for name, _ in SIZES), tuple(detections), tuple(truths))


def by_time(judged: Sequence[Judged]) -> Slicing:
    """By time since the sequence began, in windows of a round length."""
    times = [one.labelled.sequence.capture_times() * 1e-9 for one in judged]
    longest = max((float(one.max()) for one in times if len(one)), default=0.0)
    window = next((length for length in _WINDOWS if longest < length * MOST_WINDOWS), _WINDOWS[-1])
    count = min(int(longest // window) + 1, MOST_WINDOWS)
    detections, truths = [], []
    for one, of_frames in zip(judged, times, strict=True):
        windows = np.clip(of_frames // window, 0, count - 1).astype(np.int64)  # a clock may have been set back
        first = one.labelled.sequence.first_frame
        detections.append(windows[one.labelled.sequence.frames - first])
        truths.append(windows[one.labelled.truth.frames - first])
    return Slicing(
        tuple(f"{_clock(place * window)}-{_clock((place + 1) * window)}" for place in range(count)),
        tuple(detections),
        tuple(truths),
    )


def _clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _describe(
    slicing: Slicing, judged: Sequence[Judged], places: Sequence[Place], seed: int
) -> Mapping[str, Mapping[str, Any]]:
    described = {}
    prepared = [
        _with_slices(one, place, slicing.detections[index], slicing.truths[index])
        for index, (one, place) in enumerate(zip(judged, places, strict=True))
    ]
    for number, name in enumerate(slicing.names):
        units = merge(_only(units, of_changes, of_truth, number, one, place)
                      for (units, of_changes, of_truth), one, place in zip(prepared, judged, places, strict=True))  # fmt: skip
        figures = at_verdicts(units)
        if not figures["objects"] and not figures["cases"]:
            continue
        drawn = figure_draws(units.counts_by_block(YES), seed)
        described[name] = {**figures, "intervals": {"yes.f1": ends(interval(drawn["f1"], LEVEL, units.filled))}}
    return described


def _with_slices(one: Judged, place: Place, detections: Ints, truths: Ints) -> tuple[Units, Ints, Ints]:
    """Boxes by verdict, the slice of each change, and the slices of truth."""
    if one.matching.rule is MatchingRule.SCORE:
        changes = changes_of(one.matches, one.levels)
    else:
        changes = label_changes(one.labelled, one.levels, one.matching.iou, one.matching.rule)
    own = detections.copy()
    right = np.flatnonzero(one.matches.labels == Label.TRUE)
    own[right] = truths[one.matches.truth_index[right]]
    return box_units(one.labelled, changes, place), own[changes.detections], truths


def _only(units: Units, of_changes: Ints, of_truth: Ints, number: int, one: Judged, place: Place) -> Units:
    """The units of one slice."""
    inside = of_changes == number
    truth = one.labelled.truth
    rows = np.flatnonzero((truth.kinds == Kind.EVALUATE) & (of_truth == number))
    positives = np.zeros_like(units.positives)
    np.add.at(positives, (place.of_frames[truth.frames[rows] - truth.first_frame], truth.class_ids[rows]), 1)
    names = ("scores", "true", "false", "found", "class_ids", "blocks")
    return replace(units, **{name: getattr(units, name)[inside] for name in names}, positives=positives)
