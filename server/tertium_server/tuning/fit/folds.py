"""Folds: what is held out while the rest is fitted.

Detections of one frame, and frames of one sequence, depend on each other; so whole sequences are held out. Where there is but one, it is
cut into blocks of consecutive frames: the engine runs over the whole, and the read-outs of a block are fitted on the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_FOLDS = 10
"""Folds where the caller names no number: as many as sequences, but no more than this. The less is held out at a time, the more are the policies of
folds like the one of all data that they speak for (docs/evidence.md)."""

BLOCKS = 5
"""The same for blocks of one sequence: frames on both sides of a cut are alike, so there should be few of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Which fold each detection of each sequence belongs to."""

    count: int
    """Number of folds, at least 2."""

    unit: str
    """What is held out: "sequence" or "block"."""

    of_sequence: tuple[NDArray[np.int64], ...]
    """For each sequence (N,) the fold of each detection."""

    fold_of: tuple[int, ...] = ()
    """For each sequence the fold that holds it out, where sequences are held out whole, with detections or without."""

    def held_out(self, sequence: int, fold: int) -> NDArray[np.bool_]:
        """(N,) the detections of a sequence that a fold holds out."""
        return np.asarray(self.of_sequence[sequence] == fold)

    def sequences_of(self, fold: int) -> list[int]:
        """Sequences that a fold holds out whole; none where blocks are held out."""
        return [] if self.unit == "block" else [place for place, own in enumerate(self.fold_of) if own == fold]


def make_folds(
    frames: list[NDArray[np.int64]], lengths: list[int], first_frames: list[int], count: int | None, seed: int
) -> Folds:
    """Folds over sequences, given each one's frame numbers (N,), length and first frame.

    Sequences are dealt out in an order drawn by ``seed``, longest first among the folds, so that folds are of like size.
    """
    if len(frames) == 1:
        blocks = count or BLOCKS
        position = frames[0] - first_frames[0]
        blocks = max(2, min(blocks, lengths[0]))
        return Folds(
            blocks, "block", (np.minimum(position * blocks // max(lengths[0], 1), blocks - 1).astype(np.int64),)
        )
    folds = max(2, min(count or MOST_FOLDS, len(frames)))
    order = np.random.default_rng(seed).permutation(len(frames))
    order = order[np.argsort([-lengths[index] for index in order], kind="stable")]
    load = np.zeros(folds)
    fold_of = np.zeros(len(frames), np.int64)
    for index in order:
        fold = int(load.argmin())
        fold_of[index] = fold
        load[fold] += lengths[index]
    of_sequence = tuple(np.full(len(rows), fold_of[index]) for index, rows in enumerate(frames))
    return Folds(folds, "sequence", of_sequence, tuple(fold_of.tolist()))
