"""What is resampled as a whole: sequences, or blocks of consecutive frames where there are too few of them.

Detections of one frame, and frames of one sequence, depend on each other. Resampling them one by one would promise too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

LEAST_SEQUENCES = 5
"""With fewer sequences than this blocks of frames are resampled: two or three sequences say nothing about how sequences differ."""

LEAST_FRAMES = 25
"""Frames of a block: a second or so, for what follows at once is nearly the same picture."""

AIMED_AT = 20
"""Blocks that the frames of all sequences are cut into, where they are enough."""


class BlockUnit(StrEnum):
    """What a block is."""

    SEQUENCE = "sequence"
    """A whole sequence. What is said holds for other sequences of the kind."""

    FRAMES = "frames"
    """Consecutive frames of one sequence. What is said holds for more footage of the same cameras, not for others."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Which block each frame of each sequence belongs to."""

    unit: BlockUnit
    """What a block is."""

    count: int
    """How many there are."""

    of_frames: tuple[NDArray[np.int64], ...]
    """For each sequence (length,) the number of the block, from 0, of each frame."""


def make_blocks(lengths: Sequence[int], unit: BlockUnit | None = None) -> Blocks:
    """Blocks over sequences of these lengths; of frames where there are fewer than LEAST_SEQUENCES, unless told otherwise."""
    if unit is None:
        unit = BlockUnit.SEQUENCE if len(lengths) >= LEAST_SEQUENCES else BlockUnit.FRAMES
    if unit is BlockUnit.SEQUENCE:
        return Blocks(unit, len(lengths), tuple(np.full(length, number) for number, length in enumerate(lengths)))
    size = max(LEAST_FRAMES, -(-sum(lengths) // AIMED_AT))
    of_frames, count = [], 0
    for length in lengths:
        pieces = max(1, round(length / size))
        of_frames.append(count + np.arange(length) * pieces // max(length, 1))
        count += pieces
    return Blocks(unit, count, tuple(of_frames))
