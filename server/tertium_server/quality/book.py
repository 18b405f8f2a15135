"""The book: all estimates as of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

from tertium_server.quality import audit, calibrated, truth
from tertium_server.quality.values import ALL, Estimates, Method, Tally, Window

Key = tuple[str, Window, Method]
"""Class (or ALL), window and method."""


@dataclass(frozen=True, slots=True)
class Book:
    """Estimates, and the tallies they were made from."""

    made_at: int
    """Microseconds."""
    estimates: Mapping[Key, Estimates] = field(default_factory=dict[Key, Estimates])
    tallies: Mapping[tuple[str, Window], Tally] = field(default_factory=dict[tuple[str, Window], Tally])
    truths: Mapping[tuple[str, Window], truth.TruthTally] = field(
        default_factory=dict[tuple[str, Window], truth.TruthTally]
    )


def make(
    made_at: int,
    tallies: Mapping[tuple[str, Window], Tally],
    truths: Mapping[tuple[str, Window], truth.TruthTally],
    frames: Mapping[Window, truth.FrameTally],
) -> Book:
    """All estimates. Of each window there is a tally by class, and one of ALL. The same tallies give the same estimates."""
    estimates: dict[Key, Estimates] = {}
    for (class_name, window), tally in tallies.items():
        seed = crc32(f"{window.value} {class_name}".encode())
        estimates[class_name, window, Method.AUDIT] = audit.estimate(tally, seed=seed)
        estimates[class_name, window, Method.CALIBRATED] = calibrated.estimate(tally)
        counted = truths.get((class_name, window), truth.TruthTally())
        estimates[class_name, window, Method.TRUTH] = truth.estimate(counted)
    for window, audited in frames.items():
        estimates[ALL, window, Method.FRAME_AUDIT] = truth.estimate_frames(audited)
    return Book(made_at, estimates, tallies, truths)


def classes_of(book: Book) -> list[str]:
    """The book's classes, ALL first."""
    return sorted({name for name, _ in book.tallies}, key=lambda name: (name != ALL, name))
