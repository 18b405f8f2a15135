"""Decisions as rows of a CSV file: one for each detection, in the order of the recording."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from .decisions import VERDICTS, Decisions

HEADER = (
    "sequence",
    "frame",
    "detection",
    "class",
    "x",
    "y",
    "w",
    "h",
    "score",
    "track",
    "probability",
    "track_probability",
    "verdict",
)


def write_header(file: TextIO) -> None:
    """The first row."""
    csv.writer(file, lineterminator="\n").writerow(HEADER)


def write_rows(file: TextIO, decisions: Decisions) -> None:
    """The rows of one sequence. Numbers have nine significant digits, enough to tell any two float32 apart."""
    csv.writer(file, lineterminator="\n").writerows(rows_of(decisions))


def rows_of(decisions: Decisions) -> Iterator[tuple[str, ...]]:
    """Rows as text, HEADER's columns."""
    sequence = decisions.sequence
    count = len(sequence)
    return zip(
        [sequence.name] * count,
        map(str, sequence.frame_indices()[sequence.frames - sequence.first_frame].tolist()),
        map(str, sequence.by_frame().ordinals.tolist()),
        [sequence.class_names[number] for number in sequence.class_ids.tolist()],
        *(_text(sequence.xywh[:, column]) for column in range(4)),
        _text(sequence.scores),
        map(str, decisions.track_ids.tolist()),
        _text(decisions.probabilities),
        _text(decisions.track_probabilities),
        [VERDICTS[number] for number in decisions.verdicts.tolist()],
        strict=True,
    )


def _text(numbers: NDArray[np.floating]) -> Iterator[str]:
    return (f"{number:.9g}" for number in numbers.tolist())
