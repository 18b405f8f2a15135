"""The values of labelled reading: what there was to see in a sequence, and a sequence together with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .sequence import Sequence

ALL_CLASSES = 0xFFFF_FFFF
"""The class id of a row to ignore that concerns detections of every class."""


class Kind(IntEnum):
    """What a row of truth is for."""

    EVALUATE = 0
    """An object to find. Not finding it is a miss."""

    IGNORE = 1
    """An object that is neither to be found nor held against a detection: one that matches no object to find and
    overlaps this box (IoU at the matching's threshold or above) is dropped."""

    REGION = 2
    """A part of the picture where nothing is judged: a detection that matches no object to find and has half of its
    area or more in here is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What there was to see in a sequence: M boxes in the order of the file, over `length` frames with and without."""

    name: str
    """That of the sequence."""

    first_frame: int
    """The number of the first frame, as in the sequence."""

    length: int
    """How many frames there are, as in the sequence."""

    class_names: Mapping[int, str]
    """Names by class id, as in the sequence."""

    frames: NDArray[np.int64]
    """(M,) frame numbers, first_frame to first_frame + length - 1, in any order."""

    boxes: NDArray[np.float64]
    """(M, 4) corners x1, y1, x2, y2 in pixels; x1 < x2 and y1 < y2."""

    class_ids: NDArray[np.uint32]
    """(M,) keys of class_names; ALL_CLASSES in rows to ignore that concern every class."""

    track_ids: NDArray[np.int64]
    """(M,) which object it is, as the file numbers them; -1 where the file does not say."""

    kinds: NDArray[np.uint8]
    """(M,) Kind of each row."""

    rows: NDArray[np.int64]
    """(M,) the row of the file each box comes from, from 1. A row that is there for two classes comes twice."""

    source: Path
    """The file the boxes come from."""

    min_height: float = 0.0
    """A detection that matches no object to find and is this high or less, in pixels, is dropped; 0: none is."""

    warnings: tuple[str, ...] = field(default=())
    """What the reader took in spite of doubts, or left out, in words that name the file."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A sequence of detections and the truth about it, with frames and class ids in common."""

    sequence: Sequence
    """What the detector said."""

    truth: Truth
    """What there was to see."""

    @property
    def name(self) -> str:
        """The name of both."""
        return self.sequence.name

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of both."""
        return (*self.sequence.warnings, *self.truth.warnings)
