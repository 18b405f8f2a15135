"""What must hold of detections whatever file they come from, and what is said where it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import Place, ReadError

Locate = Callable[[int, str], Place]
"""Names the place of a detection (by its index) and a field (by the format's name for it)."""

FURTHEST = 1_000_000.0
"""Pixels: the largest coordinate that the engine takes, either way."""

MOST_PIXELS = 65_536
"""Width or height of a picture that the engine takes at most."""

TEXT_LENGTH = 64
"""The longest text that a column may hold: that of a class name on the wire."""

MOST_FRAMES = 10_000_000
"""Frames a sequence may have: four days at 30 a second. Beyond it a number is a time stamp or a slip."""


def require(holds: NDArray[np.bool_], locate: Locate, name: str, say: Callable[[int], tuple[str, str]]) -> None:
    """Raises ReadError for the first detection for which `holds` is false; `say` gives the problem and the remedy."""
    if not holds.all():
        index = int(np.argmin(holds))
        raise ReadError(locate(index, name), *say(index))


def check_finite(values: NDArray[np.float64], locate: Locate, name: str) -> None:
    """Every value is a finite number."""
    require(
        np.isfinite(values),
        locate,
        name,
        lambda index: (f"is {values[index]}, which is no finite number", "correct the row or leave the detection out"),
    )


def whole_numbers(values: NDArray[np.float64], locate: Locate, name: str) -> NDArray[np.int64]:
    """The values as integers; "3" and "3.0" are, "3.5" is not."""
    check_finite(values, locate, name)
    require(
        (values == np.rint(values)) & (np.abs(values) < 2**53),
        locate,
        name,
        lambda index: (
            f"is {values[index]:.17g}, which is no whole number",
            "write a whole number",
        ),
    )
    return values.astype(np.int64)


def check_frames(frames: NDArray[np.int64], first: int, length: int | None, locate: Locate, name: str) -> None:
    """Every frame number lies in first … first + length - 1 (length None: not known beforehand)."""
    require(
        frames >= first, locate, name, lambda index: (f"is {frames[index]}", f"frames of this format start at {first}")
    )
    if length is None:
        last, remedy = first + MOST_FRAMES - 1, f"number frames from {first}; a sequence may have {MOST_FRAMES:,}"
    else:
        last, remedy = first + length - 1, "correct seqLength in seqinfo.ini, or the row"
    require(frames <= last, locate, name, lambda index: (f"is {frames[index]}, after the last frame {last}", remedy))


def check_corners(corners: NDArray[np.float64], locate: Locate, names: tuple[str, str, str, str]) -> None:
    """Every box, given by its corners (N, 4), is finite, has a size and lies where pixels are.

    `names`: the columns that settle x1, y1, x2, y2.
    """
    for position, name in enumerate(names):
        _check_edge(corners[:, position], locate, name)
    _check_size(corners[:, 2] - corners[:, 0], "width", locate, names[2])
    _check_size(corners[:, 3] - corners[:, 1], "height", locate, names[3])


def boxes_from_corners(
    corners: NDArray[np.float64], locate: Locate, names: tuple[str, str, str, str]
) -> NDArray[np.float32]:
    """(N, 4) boxes as the engine takes them, from the file's x1, y1, x2, y2. `names`: the columns that settle these."""
    check_corners(corners, locate, names)
    boxes = corners.astype(np.float32)
    for position in (2, 3):
        require(
            boxes[:, position - 2] < boxes[:, position],
            locate,
            names[position],
            lambda _: (
                "makes a box that vanishes in single precision",
                "it is too small for where it lies; leave it out",
            ),
        )
    return boxes


def _check_size(size: NDArray[np.float64], word: str, locate: Locate, name: str) -> None:
    require(
        size > 0,
        locate,
        name,
        lambda index: (f"makes the {word} {size[index]:.9g}", f"a box needs a {word} above 0; leave empty boxes out"),
    )


def _check_edge(edge: NDArray[np.float64], locate: Locate, name: str) -> None:
    require(
        np.abs(edge) <= FURTHEST,
        locate,
        name,
        lambda index: (f"puts an edge of the box at {edge[index]:.9g}", f"boxes lie within ±{FURTHEST:,.0f} pixels"),
    )


def check_scores(scores: NDArray[np.float64], locate: Locate, name: str, *, logits: bool) -> None:
    """Every score lies on its scale."""
    check_finite(scores, locate, name)
    if logits:
        require(
            np.abs(scores) <= float(np.finfo(np.float32).max),
            locate,
            name,
            lambda index: (f"is {scores[index]:.9g}, beyond single precision", "log-odds are seldom beyond ±50"),
        )
        return
    require(
        (scores >= 0) & (scores <= 1),
        locate,
        name,
        lambda index: (
            f"is {scores[index]:.9g}, outside 0 to 1",
            "use --scores logit if these are log-odds",
        ),
    )


def check_class_names(names: NDArray[np.str_], locate: Locate, name: str) -> None:
    """Every class name is one that the wire takes: 1 to 64 printable characters."""
    distinct, first = np.unique(names, return_index=True)
    for word, index in zip(distinct.tolist(), first.tolist(), strict=True):
        if not word.isprintable() or not word.strip():
            raise ReadError(locate(index, name), f"is {word!r}", "name classes by printable characters")
        if len(word) > TEXT_LENGTH:
            raise ReadError(locate(index, name), f"is longer than {TEXT_LENGTH} characters", "shorten the name")


def track_numbers(values: NDArray[np.float64], first: int, locate: Locate, name: str) -> NDArray[np.int64]:
    """Track ids as integers: any negative number means "not tracked" and becomes -1; others are `first` or more."""
    ids = whole_numbers(values, locate, name)
    require(
        (ids < 0) | (ids >= first),
        locate,
        name,
        lambda index: (f"is {ids[index]}", f"track ids of this format start at {first}; -1 means not tracked"),
    )
    return np.maximum(ids, -1)


def warn_of_doubled_ids(
    frames: NDArray[np.int64], track_ids: NDArray[np.int64], locate: Locate, name: str = "id"
) -> tuple[str, ...]:
    """A warning where an object (an id that is not negative) has more than one box in a frame."""
    tracked = np.flatnonzero(track_ids >= 0)
    order = tracked[np.lexsort((tracked, track_ids[tracked], frames[tracked]))]
    doubled = order[1:][(np.diff(frames[order]) == 0) & (np.diff(track_ids[order]) == 0)]
    if not doubled.size:
        return ()
    place = locate(int(doubled.min()), name)
    return (
        f"{place}: an object has a second box in its frame, in this and {doubled.size - 1} other rows; each counts",
    )
