"""Text tables of numbers: read fast where they are sound, told exactly where they are not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import TEXT_LENGTH
from .errors import Place, ReadError


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a format defines."""

    index: int
    """Where it stands, from 0."""

    name: str
    """What the format calls it."""

    text: bool = False
    """Whether it holds a word; else it holds a number."""

    def __str__(self) -> str:
        return f"column {self.index + 1} ({self.name})"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The wanted columns of a file, N rows each."""

    file: Path
    columns: dict[str, Column]
    """Those that the file has, by name."""

    values: NDArray[Any]
    """(N,) structured: float64 or text, a field for each column."""

    rows: NDArray[np.int64]
    """(N,) row numbers in the file, from 1."""

    def __len__(self) -> int:
        return len(self.rows)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(N,) the numbers of a column."""
        column: NDArray[np.float64] = self.values[name]
        return column

    def place(self, index: int, name: str) -> Place:
        """Where the value of a column stands for the detection with this index."""
        return Place(self.file, int(self.rows[index]), str(self.columns[name]))


def read_table(
    file: Path, columns: Sequence[Column], optional: Sequence[Column] = (), delimiter: str | None = None
) -> Table:
    """The wanted columns of a text file whose rows are split at `delimiter` (None: blanks).

    Each of `optional` is taken where the first row has it; then all rows must. Blank lines are passed over, all else is
    a row.

    Raises:
        ReadError: the file can't be read, or a row does not hold what it must.
    """
    lines = _read_lines(file)
    numbers = [number for number, line in enumerate(lines, 1) if line and not line.isspace()]
    kept = [lines[number - 1] for number in numbers]
    taken = list(columns)
    for column in optional:
        if kept and _has(kept[0], column, delimiter):
            taken.append(column)
        else:
            _check_absent(file, numbers, kept, column, delimiter)
    rows = np.array(numbers, np.int64)
    try:
        values = _parse(kept, taken, delimiter)
    except ValueError as error:
        for row, line in zip(numbers, kept, strict=True):
            _explain(Place(file, row), _cells(line, delimiter), taken, optional)
        raise ReadError(Place(file), f"can't be read as a table ({error})", "write a detection a row") from error
    for column in taken:
        if column.text:
            _check_text(file, rows, values[column.name], column)
    return Table(file, {column.name: column for column in taken}, values, rows)


def _read_lines(file: Path) -> list[str]:
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except OSError as error:
        reason = error.strerror or error
        raise ReadError(Place(file), f"can't be read ({reason})", "check the path and its permissions") from error
    except (EOFError, zlib.error) as error:
        raise ReadError(Place(file), f"is not whole ({error})", "compress it again") from error
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise ReadError(Place(file, row), "is not text in UTF-8", "give a text file with a detection a row") from error


def _cells(line: str, delimiter: str | None) -> list[str]:
    return [cell.strip() for cell in line.split(delimiter)]


def _has(line: str, column: Column, delimiter: str | None) -> bool:
    return len(_cells(line, delimiter)) > column.index


def _check_absent(file: Path, numbers: list[int], lines: list[str], column: Column, delimiter: str | None) -> None:
    for number, line in zip(numbers, lines, strict=True):
        if _has(line, column, delimiter):
            problem = f"is there, and is missing in row {numbers[0]}"
            raise ReadError(Place(file, number, str(column)), problem, "give all rows the column, or none")


def _parse(lines: list[str], columns: Sequence[Column], delimiter: str | None) -> NDArray[Any]:
    kind = np.dtype([(column.name, f"U{TEXT_LENGTH + 1}" if column.text else "f8") for column in columns])
    if not lines:
        return np.empty(0, kind)
    wanted = [column.index for column in columns]
    # Comments, quotes and the like are off: a row that is no row of numbers is an error, not a remark.
    parsed: NDArray[Any] = np.loadtxt(lines, kind, comments=None, delimiter=delimiter, usecols=wanted, ndmin=1)
    return parsed


def _explain(place: Place, cells: list[str], columns: Sequence[Column], optional: Sequence[Column]) -> None:
    """Raises what is wrong with a row, if anything is."""
    least = max(column.index for column in columns) + 1
    if len(cells) < least:
        missing = next(column for column in columns if column.index >= len(cells))
        problem = f"is missing: the row has {len(cells)} of the {least} columns it needs"
        remedy = "give all rows the column, or none" if missing in optional else "write the row in full"
        raise ReadError(replace(place, column=str(missing)), problem, remedy)
    for column in columns:
        cell = cells[column.index]
        if not column.text and not _is_number(cell):
            problem = f"has {cell[:40]!r} where a number belongs" if cell else "is empty where a number belongs"
            raise ReadError(replace(place, column=str(column)), problem, "write a decimal number with a point")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    # Python's float also takes 1_000 and the digits of other scripts; numpy's parser does not.
    return "_" not in cell and cell.isascii()


def _check_text(file: Path, rows: NDArray[np.int64], words: NDArray[np.str_], column: Column) -> None:
    long = np.flatnonzero(np.strings.str_len(words) > TEXT_LENGTH)
    if long.size:
        place = Place(file, int(rows[long[0]]), str(column))
        raise ReadError(place, f"is longer than {TEXT_LENGTH} characters", "shorten the name")
