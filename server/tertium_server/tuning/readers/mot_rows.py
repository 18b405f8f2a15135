"""Rows of MOTChallenge's kind: `frame, id, left, top, width, height, …`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .checks import check_finite, check_frames, require, whole_numbers
from .table import Column, Table
from .truth import Kind

SIDES = ("left", "top", "width", "height")
COLUMNS = tuple(Column(index, name) for index, name in enumerate(("frame", "id", *SIDES)))
SCORE = Column(6, "score")
EVALUATE = Column(6, "evaluate")
CLASS = Column(7, "class")


def frames_of(table: Table, first: int) -> NDArray[np.int64]:
    """(N,) frame numbers from `first` on."""
    frames = whole_numbers(table.numbers("frame"), table.place, "frame")
    check_frames(frames, first, None, table.place, "frame")
    return frames


def boxes_of(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 4) left, top, width, height, and (N, 4) x1, y1, x2, y2."""
    xywh = np.stack([table.numbers(name) for name in SIDES], axis=1)
    for position, name in enumerate(SIDES):
        check_finite(xywh[:, position], table.place, name)
    return xywh, np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def kinds_of(table: Table) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """(M,) what each row of truth is for, and what there is to say about that."""
    if "evaluate" not in table.columns:
        warning = f"{table.file}: has no column 7 (evaluate); every row counts as an object to find"
        return np.full(len(table), Kind.EVALUATE, np.uint8), (warning,) if len(table) else ()
    evaluate = table.numbers("evaluate")
    require(
        (evaluate == 0) | (evaluate == 1),
        table.place,
        "evaluate",
        lambda index: (f"is {evaluate[index]:g}", "write 1 for an object to find, 0 for one to ignore"),
    )
    kinds = np.where(evaluate == 1, Kind.EVALUATE, Kind.IGNORE).astype(np.uint8)
    return kinds, ()
