"""Rows in order of frames, and within a frame by falling score."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel


class Boxes(NamedTuple):
    """N boxes of many frames, as kernels want them."""

    corners: NDArray[np.float64]
    """(N, 4) x1, y1, x2, y2."""

    areas: NDArray[np.float64]
    """(N,) width times height."""

    class_ids: NDArray[np.int64]
    """(N,) class of each."""

    order: NDArray[np.int64]
    """(N,) places sorted by frame."""

    starts: NDArray[np.int64]
    """(F + 1,) frame f owns order[starts[f]:starts[f + 1]]."""


class Truths(NamedTuple):
    """M rows of truth, as kernels want them."""

    corners: NDArray[np.float64]
    """(M, 4) x1, y1, x2, y2."""

    areas: NDArray[np.float64]
    """(M,) width times height."""

    class_ids: NDArray[np.int64]
    """(M,) class of each; ALL_CLASSES for some that are ignored."""

    kinds: NDArray[np.uint8]
    """(M,) EVALUATE, IGNORE or REGION."""

    order: NDArray[np.int64]
    """(M,) places sorted by frame."""

    starts: NDArray[np.int64]
    """(F + 1,) frame f owns order[starts[f]:starts[f + 1]]."""

    taken: NDArray[np.bool_]
    """(M,) scratch: which are paired with a detection; all False between calls."""


@kernel
def group_by_frame(frames: NDArray[np.int64], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order (N,) of rows by frame (0 to length - 1), as they come within each, and where each frame starts (length + 1,)."""
    starts = np.zeros(length + 1, np.int64)
    for frame in frames:
        starts[frame + 1] += 1
    for frame in range(length):
        starts[frame + 1] += starts[frame]
    filled = starts[:-1].copy()
    order = np.empty(frames.shape[0], np.int64)
    for row in range(frames.shape[0]):
        frame = frames[row]
        order[filled[frame]] = row
        filled[frame] += 1
    return order, starts


_FEW = 48
"""Rows up to which sorting by insertion is the faster way."""


@kernel
def sort_by_score(order: NDArray[np.int64], starts: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    """Sorts the rows of each frame by falling score, in place; rows of equal score stay as they come."""
    for frame in range(starts.shape[0] - 1):
        start, stop = starts[frame], starts[frame + 1]
        if stop - start > _FEW:
            rows = order[start:stop].copy()
            ranks = np.argsort(-scores[rows], kind="mergesort")
            for place in range(stop - start):
                order[start + place] = rows[ranks[place]]
            continue
        for place in range(start + 1, stop):
            row = order[place]
            score = scores[row]
            free = place
            while free > start and scores[order[free - 1]] < score:
                order[free] = order[free - 1]
                free -= 1
            order[free] = row
