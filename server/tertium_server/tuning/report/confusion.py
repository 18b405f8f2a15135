"""The confusion matrix of the page, with the boxes behind each cell (see tuning/confusion.py for what the cells mean)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.confusion import Entries, enter

from .packing import Json, short
from .views import Seen, Views

MOST_ROWS = 8_000
"""Rows behind all cells together."""

_LEAST_ROWS = 3
"""Of a cell, however many cells there are."""


def confusion(views: Views) -> Json:
    """``{"classes", "counts", "most", "cells"}``: (C + 1, C + 2) counts, and for each cell with any its rows, the worst first."""
    size = len(views.class_names)
    parts = [enter(one.judged) for one in views.seen]
    counts = np.zeros((size + 1, size + 2), np.int64)
    for part in parts:
        np.add.at(counts, (part.rows, part.columns), 1)
    most = max(_LEAST_ROWS, MOST_ROWS // max(int((counts > 0).sum()), 1))
    return {
        "classes": [*views.class_names.values()],
        "counts": counts.tolist(),
        "most": most,
        "cells": _cells(views, parts, most),
    }


def _cells(views: Views, parts: list[Entries], most: int) -> Json:
    """Rows by cell, the most wrong: the surest of what is false, the least sure of what is right or lost."""
    size = len(views.class_names)
    sure = np.concatenate([_sureness(one, part) for one, part in zip(views.seen, parts, strict=True)])
    rows, columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "columns"))
    places = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
    entries = np.concatenate([np.arange(len(part.rows)) for part in parts])
    rising = np.where(rows < size, (rows == columns) | (columns >= size), False)  # noqa: FBT003  # the third of where
    keys = rows * (size + 2) + columns
    order = np.lexsort((entries, places, np.where(rising, sure, -sure), keys))
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    cells: Json = {}
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        row, column = divmod(int(keys[order[start]]), size + 2)
        listed: Json = {name: [] for name in _LISTED}
        for at in order[start : min(stop, start + most)]:
            place = int(places[at])
            found = _row(views.seen[place], parts[place], place, int(entries[at]))
            for name, value in zip(_LISTED, found, strict=True):
                listed[name].append(value)
        cells[f"{row},{column}"] = listed
    return cells


def _sureness(one: Seen, part: Entries) -> NDArray[np.float64]:
    """(E,) the probability of each entry's detection, -1 of what was never detected."""
    sure = np.full(len(part.rows), -1.0)
    there = part.detections >= 0
    sure[there] = one.decisions.probabilities[part.detections[there]]
    return sure


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
