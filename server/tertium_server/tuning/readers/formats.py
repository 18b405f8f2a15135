"""What a format is to the rest: finding and reading, of detections and of truth."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .checks import check_class_names
from .errors import Place
from .sequence import Sequence
from .truth import Truth


@dataclass(frozen=True, slots=True)
class Source:
    """One recorded sequence, or the truth about one, that was found and not read yet."""

    name: str
    """The name the sequence goes by; unique in what one path holds."""

    file: Path
    """The file with its detections or its truth, or the folder of such files."""

    alone: bool = False
    """It was given by itself, so that the name says little: it belongs with the one other that is given."""

    part: str = ""
    """Which part of the file, where detections and truth share one."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to take what a file leaves open."""

    class_name: str = "object"
    """The class of detections in formats that have none (mot)."""

    logits: bool = False
    """Scores are log-odds, not probabilities."""

    fps: float | None = None
    """Frames per second, in place of what the recording says, or does not say."""

    truth: Path | None = None
    """Where the truth is: detections that name no images and no classes go by its (coco, yolo)."""

    detections_field: str = ""
    """The field with detections (fiftyone); empty: "predictions", or the one whose boxes have a confidence."""

    truth_field: str = ""
    """The field with the truth (fiftyone); empty: "ground_truth", or the one whose boxes have no confidence."""

    def __post_init__(self) -> None:
        """Raises where no class can be called so.

        Raises:
            ReadError: it can't.
        """
        check_class_names(np.array([self.class_name], np.str_), lambda _, name: Place(name), "--class-name")


class Format(Protocol):
    """A file format. Finding is cheap; reading is by sequence, side by side where wanted."""

    name: str
    """What --format calls it."""

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of detections at a path, by name.

        Raises:
            NothingFoundError: there are none.
        """
        ...

    def read(self, source: Source, options: Options) -> Sequence:
        """The detections of one sequence, checked to the last number.

        Raises:
            ReadError: a file, row and column that can't be taken, and the remedy.
        """
        ...

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The truths at a path, by the names of their sequences.

        Raises:
            NothingFoundError: there are none.
        """
        ...

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """The truth about a sequence, checked to the last number, with class ids of its own.

        `named`: the classes that detections have, in this sequence or another of the set. The length is the
        sequence's, or more where the truth goes on and the format does not fix the end.

        Raises:
            ReadError: a file, row and column that can't be taken, and the remedy.
        """
        ...
