"""The confusion matrix of the page, with the boxes behind each cell (see tuning/confusion.py for what the cells mean)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tertium_server.tuning.confusion import Entries, enter

from .packing import Json, short
from .views import Seen, Views

MOST_ROWS = 8_000
"""Rows behind all cells together."""

_LEAST_ROWS = 10
"""Of a cell, however many cells there are."""


def confusion(views: Views) -> Json:
    """``{"classes", "counts", "most", "cells"}``: (C + 1, C + 2) counts, and for each cell with any its rows, the worst first."""
    size = len(views.class_names)
    parts = [enter(one.judged) for one in views.seen]
    counts = np.zeros((size + 1, size + 2), np.int64)
    for part in parts:
        np.add.at(counts, (part.rows, part.columns), 1)
    most = max(_LEAST_ROWS, MOST_ROWS // max(int((counts > 0).sum()), 1))
    cells = {
        f"{row},{column}": _cell(views, parts, row, column, most) for row, column in np.argwhere(counts > 0).tolist()
    }
    return {"classes": [*views.class_names.values()], "counts": counts.tolist(), "most": most, "cells": cells}


def _cell(views: Views, parts: list[Entries], row: int, column: int, most: int) -> Json:
    """The rows of a cell that are most wrong: the surest of what is false, the least sure of what is right or lost."""
    size = len(views.class_names)
    rising = row == column < size or row < size <= column
    chosen: list[tuple[float, int, int]] = []
    for place, (one, part) in enumerate(zip(views.seen, parts, strict=True)):
        entries = np.flatnonzero((part.rows == row) & (part.columns == column))
        detections = part.detections[entries]
        sure = np.full(len(entries), -1.0)  # of what was never detected
        sure[detections >= 0] = one.decisions.probabilities[detections[detections >= 0]]
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
    score, probability = short(np.array([sequence.scores[detection], one.decisions.probabilities[detection]]), 6)
    return (
        *where,
        int(sequence.class_ids[detection]),
        short(sequence.xywh[detection], 1),
        score,
        probability,
        int(one.decisions.track_ids[detection]),
        *short(part.ious[[entry]], 3),
        int(sequence.rows[detection]),
    )
