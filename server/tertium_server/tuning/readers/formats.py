"""What a format is to the rest, and the names of those that exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .sequence import Sequence


@dataclass(frozen=True, slots=True)
class Source:
    """One recorded sequence that was found and not read yet."""

    name: str
    """The name the sequence goes by; unique in what one path holds."""

    file: Path
    """The file with its detections."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to take what a file leaves open."""

    class_name: str = "object"
    """The class of detections in formats that have none (mot)."""

    logits: bool = False
    """Scores are log-odds, not probabilities."""

    fps: float | None = None
    """Frames per second, in place of what the recording says, or does not say."""


class DetectionsFormat(Protocol):
    """A file format of recorded detections. Finding is cheap; reading is by sequence, side by side where wanted."""

    name: str
    """What --format calls it."""

    def find(self, path: Path) -> tuple[Source, ...]:
        """The sequences at a path, by name.

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
