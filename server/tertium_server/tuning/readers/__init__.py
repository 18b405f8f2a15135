"""Readers of recorded detections: files in, checked `Sequence` values out.

A format is a module with a class that finds and reads (see `DetectionsFormat`); adding one is adding it to `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .errors import NothingFoundError, Place, ReadError, UnreadableError
from .formats import DetectionsFormat, Options, Source
from .kitti import KittiDetections
from .mot import MotDetections
from .sequence import FrameOrder, Sequence

__all__ = [
    "FORMATS",
    "DetectionsFormat",
    "FrameOrder",
    "NothingFoundError",
    "Options",
    "Place",
    "ReadError",
    "Sequence",
    "Source",
    "UnreadableError",
    "choose",
    "find",
    "read",
    "read_detections",
    "unify_classes",
]

FORMATS: Mapping[str, DetectionsFormat] = MappingProxyType({"mot": MotDetections(), "kitti": KittiDetections()})
"""The formats by name."""

_NAMED = 12
"""Names that an error lists at most."""


def find(path: Path, format_name: str) -> tuple[Source, ...]:
    """The sequences at a path, not read yet.

    Raises:
        NothingFoundError: there are none.
    """
    return FORMATS[format_name].find(path)


def choose(sources: Iterable[Source], pattern: str, path: Path) -> tuple[Source, ...]:
    """Those whose names match a shell pattern such as "MOT17-0*".

    Raises:
        NothingFoundError: none does.
    """
    sources = tuple(sources)
    chosen = tuple(source for source in sources if fnmatchcase(source.name, pattern))
    if not chosen:
        named = [source.name for source in sources[:_NAMED]]
        names = ", ".join(named) + (", …" if len(sources) > len(named) else "")
        raise NothingFoundError(Place(path), f"holds no sequence whose name matches {pattern!r}", f"it holds {names}")
    return chosen


def read(sources: Iterable[Source], format_name: str, options: Options) -> tuple[Sequence, ...]:
    """The sequences, all with the same class ids.

    Raises:
        UnreadableError: some can't be read; each is named.
    """
    sequences: list[Sequence] = []
    failures: list[tuple[str, ReadError]] = []
    for source in sources:
        try:
            sequences.append(FORMATS[format_name].read(source, options))
        except ReadError as error:
            failures.append((source.name, error))
    if failures:
        raise UnreadableError(failures)
    return unify_classes(sequences)


def read_detections(
    path: Path, format_name: str, options: Options | None = None, pattern: str = "*"
) -> tuple[Sequence, ...]:
    """All sequences at a path whose names match the pattern, by name, with class ids in common.

    Raises:
        NothingFoundError: there are none.
        UnreadableError: some can't be read.
    """
    return read(choose(find(path, format_name), pattern, path), format_name, options or Options())


def unify_classes(sequences: Iterable[Sequence]) -> tuple[Sequence, ...]:
    """The same sequences with class ids that mean the same in each: places in the sorted names of all."""
    sequences = tuple(sequences)
    names = sorted({name for sequence in sequences for name in sequence.class_names.values()})
    ids = {name: index for index, name in enumerate(names)}
    return tuple(
        replace(sequence, class_names=dict(enumerate(names)), class_ids=_renumbered(sequence, ids))
        for sequence in sequences
    )


def _renumbered(sequence: Sequence, ids: dict[str, int]) -> NDArray[np.uint32]:
    table = np.zeros(max(sequence.class_names, default=0) + 1, np.uint32)
    for old, name in sequence.class_names.items():
        table[old] = ids[name]
    renumbered: NDArray[np.uint32] = table[sequence.class_ids]
    return renumbered
