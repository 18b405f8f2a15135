"""The confusion matrix at the exported thresholds, with the boxes behind each cell.

Rows are what there was: each class, and nothing. Columns are what was said: YES as each class, Maybe, and None. So

- a class's row adds up to its objects, and its diagonal cell is its right YES boxes;
- a class's column adds up to its YES boxes: the diagonal is right, all else in it is false;
- Maybe adds up to the boxes that people see: in a class's row the right ones, in the row of nothing all others;
- None holds the objects that nothing was said of, or NO; and in the row of nothing the false boxes that were turned down.

A false YES box goes into the row of an object that nothing else has found and that it overlaps by the matching's IoU, the largest overlap
first; else into that of nothing. Matching by score is class by class, so this is told afterwards; it moves boxes from one row to another
and changes no count of right, false and missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.tuning.matching import Label, Matches, Rule, match
from tertium_server.tuning.readers import Kind

from .overlap import overlap
from .packing import Json, short
from .views import Seen, Views

MOST_ROWS = 8_000
"""Rows behind all cells together."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """E entries of the matrix: each a detection, an object, or a detection with its object."""

    rows: Ints
    """(E,) class ids; the number of classes for nothing."""

    columns: Ints
    """(E,) class ids; then Maybe, then None."""

    detections: Ints
    """(E,) places in the sequence, -1 for none."""

    objects: Ints
    """(E,) places in the truth, -1 for none."""

    ious: Floats
    """(E,) overlap of the two, NaN for none."""


def confusion(views: Views) -> Json:
    """``{"rows", "columns", "counts", "cells"}``: names, (C + 1, C + 2) counts, and for each cell with any its rows, the worst first."""
    size = len(views.class_names)
    parts = [enter(views, one) for one in views.seen]
    counts = np.zeros((size + 1, size + 2), np.int64)
    for part in parts:
        np.add.at(counts, (part.rows, part.columns), 1)
    names = [*views.class_names.values()]
    most = max(10, MOST_ROWS // max(int((counts > 0).sum()), 1))
    cells = {
        f"{row},{column}": _cell(views, parts, row, column, most) for row, column in np.argwhere(counts > 0).tolist()
    }
    return {"classes": names, "counts": counts.tolist(), "most": most, "cells": cells}


def enter(views: Views, one: Seen) -> Entries:
    """The entries of a sequence."""
    size = len(views.class_names)
    yes, maybe = (one.decisions.verdicts == verdict for verdict in (Verdict.YES, Verdict.MAYBE))
    said, kept = _among(views, one, yes), _among(views, one, yes | maybe)
    classes = one.labelled.sequence.class_ids.astype(np.int64)
    truth = one.labelled.truth
    wanted = np.flatnonzero(truth.kinds == Kind.EVALUATE)
    right = np.flatnonzero(said.labels == Label.TRUE)
    helped = np.flatnonzero(maybe & (kept.labels == Label.TRUE) & ~np.isin(kept.truth_index, said.truth_index[right]))
    found = np.concatenate([said.truth_index[right], kept.truth_index[helped]])
    lost = np.setdiff1d(wanted, found)
    false = np.flatnonzero(said.labels == Label.FALSE)
    confused, mistaken, ious = _confused(one, false, lost, views.matching.iou)
    false, lost = np.setdiff1d(false, confused), np.setdiff1d(lost, mistaken)
    doubted = np.setdiff1d(np.flatnonzero(maybe & (kept.labels >= Label.FALSE)), helped)
    turned_down = np.flatnonzero((one.decisions.verdicts == Verdict.NO) & (one.matches.labels == Label.FALSE))
    unsaid = _turned_down_of(one, lost)
    wrong = truth.class_ids.astype(np.int64)
    pieces = (
        (classes[right], classes[right], right, said.truth_index[right], said.ious[right]),
        (classes[helped], _all(size, helped), helped, kept.truth_index[helped], kept.ious[helped]),
        (wrong[mistaken], classes[confused], confused, mistaken, ious),
        (wrong[lost], _all(size + 1, lost), unsaid, lost, np.where(unsaid >= 0, one.matches.ious[unsaid], np.nan)),
        *(
            (_all(size, alone), column, alone, _all(-1, alone), np.full(len(alone), np.nan))
            for alone, column in (
                (false, classes[false]),
                (doubted, _all(size, doubted)),
                (turned_down, _all(size + 1, turned_down)),
            )
        ),
    )
    return Entries(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _all(value: int, like: Ints) -> Ints:
    return np.full(len(like), value, np.int64)


def _among(views: Views, one: Seen, accepted: NDArray[np.bool_]) -> Matches:
    """Matches of the accepted detections alone."""
    if views.matching.rule is Rule.IOU:
        scores = np.where(accepted, one.observation.probabilities, np.float32(-1.0))
        return match(one.labelled, scores, views.matching.iou, Rule.IOU, least=0.0)
    # By score, class by class, those of lower scores change nothing for the others.
    labels = np.where(accepted, one.matches.labels, Label.ABSENT).astype(np.int8)
    return Matches(
        one.matches.rule, one.matches.iou, labels, one.matches.truth_index, one.matches.ious, one.matches.objects
    )


def _turned_down_of(one: Seen, lost: Ints) -> Ints:
    """For each lost object the detection that had it and was turned down, -1 for none."""
    had = np.flatnonzero((one.matches.labels == Label.TRUE) & (one.decisions.verdicts == Verdict.NO))
    by_object = np.full(len(one.labelled.truth), -1, np.int64)
    by_object[one.matches.truth_index[had]] = had
    return by_object[lost]


def _confused(one: Seen, false: Ints, lost: Ints, least: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of a false detection and a lost object of another class, by falling overlap, each once; and their overlaps."""
    sequence, truth = one.labelled.sequence, one.labelled.truth
    false, lost = (
        places[np.argsort(frames[places], kind="stable")]
        for places, frames in ((false, sequence.frames), (lost, truth.frames))
    )
    pairs: list[tuple[float, int, int]] = []
    for frame in np.intersect1d(sequence.frames[false], truth.frames[lost]):
        here, there = (
            places[slice(*np.searchsorted(frames[places], (frame, frame + 1)))]
            for places, frames in ((false, sequence.frames), (lost, truth.frames))
        )
        ious = overlap(sequence.boxes[here].astype(np.float64), truth.boxes[there])
        ious[sequence.class_ids[here][:, None] == truth.class_ids[there][None, :]] = 0.0
        pairs += [(-float(ious[a, b]), int(here[a]), int(there[b])) for a, b in np.argwhere(ious >= least).tolist()]
    detections, objects = dict[int, float](), dict[int, None]()
    for iou, detection, thing in sorted(pairs):
        if detection not in detections and thing not in objects:
            detections[detection] = -iou
            objects[thing] = None
    return np.array([*detections], np.int64), np.array([*objects], np.int64), np.array([*detections.values()])


def _cell(views: Views, parts: list[Entries], row: int, column: int, most: int) -> Json:
    """The rows of a cell that are most wrong: the surest of what is false, the least sure of what is right or lost."""
    size = len(views.class_names)
    rising = row == column < size or row < size <= column
    chosen: list[tuple[float, int, int]] = []
    for place, (one, part) in enumerate(zip(views.seen, parts, strict=True)):
        entries = np.flatnonzero((part.rows == row) & (part.columns == column))
        detections = part.detections[entries]
        sure = np.full(len(entries), -1.0)  # of what was never detected
        sure[detections >= 0] = one.observation.probabilities[detections[detections >= 0]]
        order = np.argsort(sure if rising else -sure, kind="stable")[:most]
        keys: list[float] = (sure if rising else -sure)[order].tolist()
        chosen += [(key, place, entry) for key, entry in zip(keys, entries[order].tolist(), strict=True)]
    listed: Json = {name: [] for name in _LISTED}
    for _, place, entry in sorted(chosen)[:most]:
        for name, value in zip(_LISTED, _row(views.seen[place], parts[place], place, entry), strict=True):
            listed[name].append(value)
    return listed


_LISTED = ("sequences", "frames", "classes", "boxes", "scores", "probabilities", "tracks", "ious", "lines")


def _row(one: Seen, part: Entries, place: int, entry: int) -> tuple[Any, ...]:
    """An entry, as listed. One without a detection shows the object's box."""
    sequence, truth = one.labelled.sequence, one.labelled.truth
    detection, thing = int(part.detections[entry]), int(part.objects[entry])
    frame = int((truth.frames[thing] if detection < 0 else sequence.frames[detection]) - sequence.first_frame)
    where = place, int(sequence.frame_indices()[frame])
    if detection < 0:
        corners = truth.boxes[thing]
        box = np.concatenate([corners[:2], corners[2:] - corners[:2]])
        return *where, int(truth.class_ids[thing]), short(box, 1), None, None, None, None, None
    score, probability = short(np.array([sequence.scores[detection], one.observation.probabilities[detection]]), 6)
    return (
        *where,
        int(sequence.class_ids[detection]),
        short(sequence.xywh[detection], 1),
        score,
        probability,
        int(one.observation.track_ids[detection]),
        *short(part.ious[[entry]], 3),
        int(sequence.rows[detection]),
    )
