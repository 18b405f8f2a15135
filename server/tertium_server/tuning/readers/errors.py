"""What a reader says of a file that it can't take: a branch of the tree in tertium_server.errors.

TertiumError
    ReadError                   a file can't be taken: where (file, row, column), what is wrong, and the remedy
        NothingFoundError       the path holds nothing of the format
    UnreadableError             several sequences can't be read: each with its ReadError
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tertium_server.errors import TertiumError

from .naming import named


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader was looking: a file and, as far as known, a row and a column of it."""

    file: Path | str
    """The file or folder; or a URL, or what else people call it."""

    row: int | None = None
    """Counts from 1, as editors do; blank lines count."""

    column: str = ""
    """The column in words, such as "column 7 (score)", or the key of a JSON object."""

    unit: str = "row"
    """What counts as a row: "row" in text, "annotation" and the like in lists of JSON objects."""

    def __str__(self) -> str:
        row = "" if self.row is None else f"{self.unit} {self.row}"
        return ", ".join(part for part in (str(self.file), row, self.column) if part)


class ReadError(TertiumError):
    """A file can't be read as what it was said to be. Carries the place, the problem and the remedy."""

    def __init__(self, place: Place, problem: str, remedy: str) -> None:
        super().__init__(named(f"{place}: {problem}; {remedy}"))
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[ReadError], tuple[Place, str, str]]:
        # Exceptions are pickled by `args`, which are not what the constructor takes; workers send these home.
        return type(self), (self.place, self.problem, self.remedy)


class NothingFoundError(ReadError):
    """The path exists, or not, and holds no recording of the format."""


class UnreadableError(TertiumError):
    """Some sequences can't be read: all that fail are named, so that they can be mended in one go."""

    def __init__(self, failures: Iterable[tuple[str, ReadError]]) -> None:
        self.failures = tuple(failures)
        """Names of sequences, and what is wrong with each."""
        super().__init__("\n".join(f"sequence {name}: {error}" for name, error in self.failures))
