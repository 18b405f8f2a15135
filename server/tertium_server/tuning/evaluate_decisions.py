"""Decisions from the CSV that ``tertium replay --out`` wrote, put beside the recordings they were made on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict

from .decisions import VERDICTS, Decisions
from .readers import Labelled, Place, ReadError
from .rows import HEADER, rows_of

_GIVEN = HEADER.index("track")
"""The columns before this one repeat the recording; from here on are the decisions."""


def read_decisions(path: Path, labelled: Sequence[Labelled], version: str) -> tuple[Decisions, ...]:
    """The decisions on each sequence, row for row. ``version``: that of the policy that is said to have made them.

    Sequences of the file that are not asked for are passed over. Verdicts on tracks are not in the file; `Judged` makes them from probabilities.

    Raises:
        ReadError: the file can't be read, or does not belong to these recordings: row and column are named.
    """
    by_sequence = _read(path)
    return tuple(_decisions(path, one, by_sequence.get(one.name, []), version) for one in labelled)


_Row = tuple[int, list[str]]
"""The line in the file, and its cells."""


def _read(path: Path) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if tuple(header) != HEADER:
                problem = f"is not what tertium replay writes: its first row is {','.join(header)[:80]!r}"
                raise ReadError(Place(path), problem, "give the file of `tertium replay --out`")
            for cells in reader:
                if len(cells) != len(HEADER):
                    problem = f"has {len(cells)} cells, not {len(HEADER)}"
                    raise ReadError(Place(path, reader.line_num), problem, "replay anew")
                found.setdefault(cells[0], []).append((reader.line_num, cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReadError(Place(path), f"can't be read ({reason})", "replay anew") from error
    return found


def _decisions(path: Path, one: Labelled, rows: list[_Row], version: str) -> Decisions:
    count = len(one.sequence)
    if len(rows) != count:
        problem = f"has {len(rows)} rows for sequence {one.name}, which has {count} detections"
        raise ReadError(Place(path), problem, "replay the same recordings with the same options")
    _compare(path, one, rows)
    columns = list(zip(*(cells for _, cells in rows), strict=True)) or [()] * len(HEADER)
    probabilities, track_probabilities = (_numbers(path, rows, name) for name in ("probability", "track_probability"))
    verdicts = np.zeros(count, np.uint8)
    for place, word in enumerate(columns[HEADER.index("verdict")]):
        if word not in VERDICTS[1:]:
            problem = f"is {word!r}, not one of {', '.join(VERDICTS[1:])}"
            raise ReadError(Place(path, rows[place][0], "verdict"), problem, "replay anew")
        verdicts[place] = VERDICTS.index(word)
    return Decisions(
        one.sequence,
        _tracks(path, rows),
        probabilities.astype(np.float32),
        verdicts,
        track_probabilities.astype(np.float32),
        np.full(count, int(Verdict.NO), np.uint8),
        version,
    )


def _compare(path: Path, one: Labelled, rows: Iterable[_Row]) -> None:
    """Each row has to be the recording's own, or these decisions are about something else."""
    count = len(one.sequence)
    nothing = Decisions(
        one.sequence,
        np.zeros(count, np.int64),
        np.zeros(count, np.float32),
        np.full(count, int(Verdict.NO), np.uint8),
        np.zeros(count, np.float32),
        np.full(count, int(Verdict.NO), np.uint8),
        "",
    )
    for (line, cells), expected in zip(rows, rows_of(nothing), strict=True):
        for name, cell, known in zip(HEADER[:_GIVEN], cells, expected, strict=False):
            if cell != known:
                problem = f"is {cell}; the recording has {known} there"
                raise ReadError(Place(path, line, name), problem, "replay the same recordings with the same options")


def _numbers(path: Path, rows: Sequence[_Row], name: str) -> NDArray[np.float64]:
    column = HEADER.index(name)
    numbers = np.empty(len(rows))
    for place, (line, cells) in enumerate(rows):
        try:
            numbers[place] = float(cells[column])
        except ValueError:
            raise ReadError(
                Place(path, line, name), f"is {cells[column]!r}, which is no number", "replay anew"
            ) from None
        if not 0.0 <= numbers[place] <= 1.0:  # NaN is not, either
            raise ReadError(Place(path, line, name), f"is {cells[column]}, no probability", "replay anew")
    return numbers


def _tracks(path: Path, rows: Sequence[_Row]) -> NDArray[np.int64]:
    column = HEADER.index("track")
    tracks = np.empty(len(rows), np.int64)
    for place, (line, cells) in enumerate(rows):
        try:
            tracks[place] = int(cells[column])
        except (ValueError, OverflowError):
            problem = f"is {cells[column]!r}, which is no track"
            raise ReadError(Place(path, line, "track"), problem, "replay anew") from None
    return tracks
