"""Answered cases as tuning takes them: one track each, what people said of it, and how many tracks it stands for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.errors import TertiumError

_ANSWERS = {"yes": True, "no": False}
STRATA = ("auto_yes", "auto_no", "maybe")
"""What the machine alone had said."""


class ReviewsError(TertiumError):
    """Reviews that can't be used. The message names the file, the line and the field, and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReviewedTrack:
    """A track that people answered yes or no."""

    case_id: str
    stream_id: str
    epoch: int
    class_name: str
    stratum: str
    """One of STRATA."""
    policy_version: str
    """Of the policy that judged it."""
    probability: float
    """P(real object) as it was when the track was decided, 0 to 1."""
    is_real: bool
    """What people said."""
    weight: float
    """How many tracks it stands for: 1 / the probability with which it was chosen; 1 or more."""
    frames: NDArray[np.int64]
    """(F,) frames, by the camera's numbers, that its evidence holds."""
    boxes: NDArray[np.float32]
    """(F, 4) the detections in them, corners in pixels, to a hundredth."""
    closed_at: int | None = None
    """When it was settled, microseconds since the Unix epoch; None: the file does not say."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Tracks that were decided alike: what a sample of them stands for."""

    stream_id: str
    epoch: int
    class_name: str
    stratum: str
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reviews:
    """What people answered, and of how many tracks that is a sample."""

    tracks: tuple[ReviewedTrack, ...]
    population: Mapping[Cell, int] | None = field(default=None)
    """How many tracks were decided, answered or not; None: not known, as in an exported file."""
    source: str = ""
    """Where it comes from, for people."""


def read_reviews(path: Path) -> Reviews:
    """The lines that ``tertium review export --format jsonl`` wrote.

    Raises:
        ReviewsError: The file can't be read, or a line is none of these.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return Reviews(tracks=tuple(_parsed(path, file)), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReviewsError(f"--reviews {path}: can't be read ({reason}); name an export, or a data folder") from error


def tracks_of(lines: Iterable[Mapping[str, Any]]) -> tuple[ReviewedTrack, ...]:
    """Tracks from lines of an export that are known to be whole."""
    return tuple(_track(line) for line in lines)


def joined(parts: Iterable[Mapping[Cell, int]]) -> Mapping[Cell, int]:
    """Populations together."""
    total: dict[Cell, int] = {}
    for part in parts:
        for cell, count in part.items():
            total[cell] = total.get(cell, 0) + count
    return MappingProxyType(total)


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[ReviewedTrack]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _track(json.loads(line))
        except KeyError as error:
            raise _refused(path, number, f"{error.args[0]} is missing") from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused(path, number, str(error)) from error


def _refused(path: Path, number: int, problem: str) -> ReviewsError:
    return ReviewsError(
        f"--reviews {path}, line {number}: {problem}; write the file with tertium review export --format jsonl"
    )


def _track(line: Any) -> ReviewedTrack:  # noqa: ANN401  # whatever a file holds
    if not isinstance(line, dict):
        raise TypeError("is no JSON object")
    weight, probability = float(line["weight"]), float(line["probability"])
    if not (math.isfinite(weight) and weight >= 1.0):
        raise ValueError(f"weight is {weight:g}; it has to be 1 or more")
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability is {probability:g}; it has to be from 0 to 1")
    for name, allowed in (("answer", tuple(_ANSWERS)), ("stratum", STRATA)):
        if line[name] not in allowed:
            raise ValueError(f"{name} is {line[name]!r}; it has to be one of {', '.join(allowed)}")
    frames, closed = line["frames"], line.get("closed_at")
    return ReviewedTrack(
        case_id=str(line["case_id"]),
        stream_id=str(line["stream_id"]),
        epoch=int(line["epoch"]),
        class_name=str(line["class_name"]),
        stratum=line["stratum"],
        policy_version=str(line["policy_version"]),
        probability=probability,
        is_real=_ANSWERS[line["answer"]],
        weight=weight,
        frames=np.array([frame["index"] for frame in frames], np.int64),
        boxes=np.array([frame["box"] for frame in frames], np.float32).reshape(len(frames), 4),
        closed_at=None if closed is None else int(closed),
    )
