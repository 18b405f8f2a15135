"""JSON files: lists of objects, read into columns, with every number's place."""

from __future__ import annotations

import gzip
import json
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Place, ReadError

Key = int | str
"""What an object is called by others."""

Stamp = tuple[int, ...]
"""What tells a file from the same file after a change: time of its last change in nanoseconds, size."""


def stamp_of(file: Path) -> Stamp:
    """The stamp of a file.

    Raises:
        ReadError: it can't be looked at.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise ReadError(Place(file), f"can't be read ({error.strerror or error})", "check the path") from error
    return status.st_mtime_ns, status.st_size


def load_json(file: Path) -> Any:  # noqa: ANN401  # JSON may be anything
    """What a JSON file holds; it may be compressed (.gz). NaN and Infinity are taken, to be refused where they stand.

    Raises:
        ReadError: it can't be read, or is no JSON.
    """
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReadError(Place(file), f"can't be read ({reason})", "check the path and its permissions") from error
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise ReadError(Place(file, row), "is not text in UTF-8", "give a JSON file") from error
    except json.JSONDecodeError as error:
        place = Place(file, error.lineno, f"character {error.colno}")
        raise ReadError(place, f"is no JSON ({error.msg})", "give a whole JSON file") from error
    except ValueError as error:
        raise ReadError(Place(file), "holds a number with thousands of digits", "correct it") from error
    except RecursionError as error:
        raise ReadError(Place(file), "is nested too deeply", "give a JSON file of the format") from error


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of N JSON objects in a file."""

    file: Path
    unit: str
    """What one is called in errors: "annotation"."""

    items: list[dict[str, Any]] = field(repr=False)

    origins: list[tuple[int, str]] | None = field(default=None, repr=False)
    """Where each lies, if not one after another: the number of what holds it, from 1, and the path in there."""

    @classmethod
    def of(cls, file: Path, value: Any, unit: str) -> Entries:  # noqa: ANN401  # JSON may be anything
        """The value as a list of objects.

        Raises:
            ReadError: it is none.
        """
        if not isinstance(value, list):
            raise ReadError(Place(file), f"has no list of {unit}s", "give a file of the format")
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise ReadError(Place(file, index + 1, unit=unit), f"is {item!r:.40}, no object", "write {…}")
        return cls(file, unit, value)

    def __len__(self) -> int:
        return len(self.items)

    def place(self, index: int, key: str) -> Place:
        """Where the value of a key stands."""
        row, path = (index + 1, "") if self.origins is None else self.origins[index]
        return Place(self.file, row, path + key, self.unit)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """(N,) numbers that every object has under a key."""
        try:
            return np.array(array("d", [item[key] for item in self.items]))
        except (KeyError, TypeError, OverflowError):
            for index, item in enumerate(self.items):
                _check_number(item.get(key), self.place(index, key), missing=key not in item)
            raise

    def numbers_or(self, key: str, default: float) -> NDArray[np.float64]:
        """(N,) numbers, the default where an object has no such key, or null."""
        values = [item.get(key) for item in self.items]
        try:
            return np.array(array("d", [default if value is None else value for value in values]))
        except (TypeError, OverflowError):
            for index, value in enumerate(values):
                if value is not None:
                    _check_number(value, self.place(index, key))
            raise

    def numbers_of_all(self, key: str) -> NDArray[np.float64] | None:
        """(N,) numbers; None where no object has such a key.

        Raises:
            ReadError: some have it, and some have not.
        """
        having = sum(item.get(key) is not None for item in self.items)
        if not having:
            return None
        if having < len(self):
            index = next(index for index, item in enumerate(self.items) if item.get(key) is None)
            raise ReadError(self.place(index, key), "is missing, and others have it", "give it to all, or to none")
        return self.numbers(key)

    def vectors(self, key: str, width: int) -> NDArray[np.float64]:
        """(N, width) lists of so many numbers that every object has under a key."""
        values: list[Any] = [item.get(key) for item in self.items]
        for index, value in enumerate(values):
            if not isinstance(value, list) or len(value) != width:
                _check_vector(value, width, self.place(index, key), missing=key not in self.items[index])
        try:
            return np.array(array("d", chain.from_iterable(values))).reshape(-1, width)
        except (TypeError, OverflowError):
            for index, value in enumerate(values):
                _check_vector(value, width, self.place(index, key), missing=False)
            raise

    def keys(self, key: str) -> list[Key]:
        """(N,) ids that every object has under a key: whole numbers or texts."""
        return [_key_of(item, key, self.place(index, key)) for index, item in enumerate(self.items)]

    def rows(self) -> NDArray[np.int64]:
        """(N,) the numbers by which errors name them."""
        if self.origins is None:
            return np.arange(1, len(self) + 1, dtype=np.int64)
        return np.array([row for row, _ in self.origins], np.int64)

    def text(self, index: int, key: str) -> str:
        """A text that an object has under a key."""
        item = self.items[index]
        value = item.get(key)
        if not isinstance(value, str):
            problem = f"is {value!r:.40}, no text" if key in item else "is missing"
            raise ReadError(self.place(index, key), problem, "write a text")
        return value


def _check_number(value: Any, place: Place, *, missing: bool = False) -> None:  # noqa: ANN401  # JSON may be anything
    if missing:
        raise ReadError(place, "is missing", "write the object in full")
    if not isinstance(value, int | float):
        raise ReadError(place, f"is {value!r:.40}, which is no number", "write a number")
    try:
        float(value)
    except OverflowError as error:
        raise ReadError(place, "is beyond all floating point numbers", "correct it") from error


def _check_vector(value: Any, width: int, place: Place, *, missing: bool) -> None:  # noqa: ANN401  # JSON may be anything
    if missing:
        raise ReadError(place, "is missing", "write the object in full")
    if not isinstance(value, list) or len(value) != width:
        raise ReadError(place, f"is {value!r:.40}, no list of {width} numbers", f"write {width} numbers")
    for number in value:
        _check_number(number, place)


def _key_of(item: Mapping[str, Any], key: str, place: Place) -> Key:
    value = item.get(key)
    if isinstance(value, float) and value.is_integer():  # tables with gaps are written so
        return int(value)
    if isinstance(value, int | str):
        return value
    problem = f"is {value!r:.40}, no whole number or text" if key in item else "is missing"
    raise ReadError(place, problem, "write an id")
