"""The confusion matrix of verdicts: each class and nothing in rows, YES as each class, Maybe and None in columns.

- A class's row adds up to its objects, and its diagonal cell is its right YES boxes.
- A class's column adds up to its YES boxes: the diagonal is right, all else in it is false.
- Maybe adds up to the boxes that people see: in a class's row the right ones, in the row of nothing all others.
- None holds the objects that nothing was said of, or NO; and in the row of nothing the false boxes that were turned down.

A false YES box goes into the row of an object of another class that nothing else has found and that it overlaps by the matching's IoU, the
largest overlap first; else into that of nothing. This moves boxes from one row to another and changes no count of right, false and missed.

Matched by IoU, boxes that are MAYBE may re-pair some that are YES: the matrix keeps the pairs that YES makes by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict

from .judged import Judged
from .matching import Label, Matches, Rule, match
from .readers import Kind

NOTHING = "None"
MAYBE = "Maybe"

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Counts over C classes."""

    class_names: tuple[str, ...]

    counts: Ints
    """(C + 1, C + 2): rows are the classes and nothing, columns YES as each class, Maybe, None."""

    def as_json(self) -> dict[str, Any]:
        """For summaries."""
        return {
            "rows": [*self.class_names, NOTHING],
            "columns": [*self.class_names, MAYBE, NOTHING],
            "counts": self.counts.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The E entries of one sequence: each a detection, an object, or a detection with its object."""

    rows: Ints
    """(E,) class ids; the number of classes for nothing."""

    columns: Ints
    """(E,) class ids, then Maybe, then None."""

    detections: Ints
    """(E,) places in the sequence; -1 for none."""

    objects: Ints
    """(E,) places in the truth; -1 for none."""

    ious: Floats
    """(E,) overlap of the two; NaN for none."""


def confusion(judged: Sequence[Judged]) -> Confusion:
    """That of all sequences together. Their classes go by the same ids."""
    names = judged[0].labelled.sequence.class_names
    counts = np.zeros((len(names) + 1, len(names) + 2), np.int64)
    for one in judged:
        entries = enter(one)
        np.add.at(counts, (entries.rows, entries.columns), 1)
    return Confusion(tuple(names.values()), counts)


def enter(one: Judged) -> Entries:
    """The entries of a sequence."""
    size = len(one.labelled.sequence.class_names)
    yes, maybe, no = (one.of(verdict) for verdict in (Verdict.YES, Verdict.MAYBE, Verdict.NO))
    said, kept = _among(one, yes), _among(one, yes | maybe)
    classes, wanted_as = (half.class_ids.astype(np.int64) for half in (one.labelled.sequence, one.labelled.truth))
    right = np.flatnonzero(said.labels == Label.TRUE)
    helped = np.flatnonzero(maybe & (kept.labels == Label.TRUE) & ~np.isin(kept.truth_index, said.truth_index[right]))
    wanted = np.flatnonzero(one.labelled.truth.kinds == Kind.EVALUATE)
    lost = np.setdiff1d(wanted, np.concatenate([said.truth_index[right], kept.truth_index[helped]]))
    false = np.flatnonzero(said.labels == Label.FALSE)
    confused, mistaken, overlap = _confuse(one, false, lost)
    false, lost = np.setdiff1d(false, confused), np.setdiff1d(lost, mistaken)
    unsaid = _turned_down_of(one, lost)
    doubted = np.setdiff1d(np.flatnonzero(maybe & (kept.labels >= Label.FALSE)), helped)
    turned_down = np.flatnonzero(no & (one.matches.labels == Label.FALSE))
    pairs = (
        (classes[right], classes[right], right, said.truth_index[right], said.ious[right]),
        (classes[helped], _all(size, helped), helped, kept.truth_index[helped], kept.ious[helped]),
        (wanted_as[mistaken], classes[confused], confused, mistaken, overlap),
        (wanted_as[lost], _all(size + 1, lost), unsaid, lost, _ious_of(one.matches, unsaid)),
    )
    alone = ((false, classes[false]), (doubted, _all(size, doubted)), (turned_down, _all(size + 1, turned_down)))
    singles = tuple(
        (_all(size, found), column, found, _all(-1, found), np.full(len(found), np.nan)) for found, column in alone
    )
    return Entries(*(np.concatenate(column) for column in zip(*pairs, *singles, strict=True)))


def _all(value: int, like: Ints) -> Ints:
    return np.full(len(like), value, np.int64)


def _turned_down_of(one: Judged, lost: Ints) -> Ints:
    """(L,) for each lost object the detection that had it and was turned down; -1 for none."""
    had = np.flatnonzero((one.matches.labels == Label.TRUE) & one.of(Verdict.NO))
    by_object = np.full(len(one.labelled.truth), -1, np.int64)
    by_object[one.matches.truth_index[had]] = had
    return by_object[lost]


def _ious_of(matches: Matches, detections: Ints) -> Floats:
    """(L,) overlaps of detections with their objects, NaN where the place is -1."""
    ious = np.full(len(detections), np.nan)
    ious[detections >= 0] = matches.ious[detections[detections >= 0]]
    return ious


def _among(one: Judged, accepted: NDArray[np.bool_]) -> Matches:
    """Matches of the accepted detections alone."""
    if one.matching.rule is Rule.IOU:
        return match(one.labelled, np.where(accepted, 1.0, 0.0), one.matching.iou, Rule.IOU, least=1.0)
    labels = np.where(accepted, one.matches.labels, Label.ABSENT).astype(np.int8)  # lower ones change nothing
    found = one.matches
    return Matches(found.rule, found.iou, labels, found.truth_index, found.ious, found.objects)


def _confuse(one: Judged, false: Ints, lost: Ints) -> tuple[Ints, Ints, Floats]:
    """Pairs of a false detection and a lost object of another class, by falling overlap, each once; and their overlaps."""
    sequence, truth = one.labelled.sequence, one.labelled.truth
    left_top, size = sequence.xywh[:, :2], sequence.xywh[:, 2:]
    corners = np.hstack([left_top, left_top + size])
    false = false[np.argsort(sequence.frames[false], kind="stable")]
    lost = lost[np.argsort(truth.frames[lost], kind="stable")]
    pairs: list[tuple[float, int, int]] = []
    for frame in np.intersect1d(sequence.frames[false], truth.frames[lost]):
        here = false[slice(*np.searchsorted(sequence.frames[false], (frame, frame + 1)))]
        there = lost[slice(*np.searchsorted(truth.frames[lost], (frame, frame + 1)))]
        ious = overlaps(corners[here], truth.boxes[there])
        ious[sequence.class_ids[here][:, None] == truth.class_ids[there][None, :]] = 0.0
        pairs += [
            (-float(ious[row, column]), int(here[row]), int(there[column]))
            for row, column in np.argwhere(ious >= one.matching.iou).tolist()
        ]
    ious_found, things = dict[int, float](), dict[int, None]()
    for falling, detection, thing in sorted(pairs):
        if detection not in ious_found and thing not in things:
            ious_found[detection] = -falling
            things[thing] = None
    return (
        np.array([*ious_found], np.int64),
        np.array([*things], np.int64),
        np.array([*ious_found.values()], np.float64),
    )


def overlaps(these: Floats, those: Floats) -> Floats:
    """(A, B) intersection over union of boxes (A, 4) and (B, 4), corners x1, y1, x2, y2."""
    low = np.maximum(these[:, None, :2], those[None, :, :2])
    high = np.minimum(these[:, None, 2:], those[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    first, second = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (these, those))
    return np.asarray(shared / (first[:, None] + second[None, :] - shared))
