"""Detections from a path: find the sequences, choose among them, read them with class ids in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .coco import Coco
from .errors import NothingFoundError, Place, ReadError, UnreadableError
from .fiftyone import FiftyOne
from .formats import Format, Options, Source
from .kitti import Kitti
from .mot import Mot
from .naming import named
from .remote import Mirrors
from .sequence import Sequence
from .tertium import Tertium
from .yolo import Yolo

FORMATS: Mapping[str, Format] = MappingProxyType(
    {"mot": Mot(), "kitti": Kitti(), "coco": Coco(), "yolo": Yolo(), "fiftyone": FiftyOne(), "tertium": Tertium()}
)
"""The formats by name."""

WITH_PICTURES = frozenset({"yolo", "fiftyone"})
"""Formats that say where boxes are in shares of a picture, whose size only the picture tells."""

_NAMED = 12
"""Names that an error lists at most."""


def find(path: Path, format_name: str, options: Options | None = None) -> tuple[Source, ...]:
    """The sequences at a path, not read yet.

    Raises:
        NothingFoundError: there are none.
    """
    return FORMATS[format_name].find(path, options or Options())


def choose(sources: Iterable[Source], pattern: str, path: Path) -> tuple[Source, ...]:
    """Those whose names match a shell pattern such as "MOT17-0*".

    Raises:
        NothingFoundError: none does.
    """
    sources = tuple(sources)
    chosen = tuple(source for source in sources if fnmatchcase(source.name, pattern))
    if not chosen:
        raise NothingFoundError(
            Place(path),
            f"holds no sequence whose name matches {pattern!r}",
            f"it holds {listed(source.name for source in sources)}",
        )
    return chosen


def listed(names: Iterable[str]) -> str:
    """Names for people, cut short where there are many."""
    names = list(names)
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


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
    place: Path | str,
    format_name: str,
    options: Options | None = None,
    pattern: str = "*",
    *,
    mirrors: Mirrors | None = None,
) -> tuple[Sequence, ...]:
    """All sequences at a path or URL whose names match the pattern, by name, with class ids in common. ``mirrors``: where copies of URLs are kept.

    Raises:
        NothingFoundError: there are none.
        UnreadableError: some can't be read.
    """
    options = options or Options()
    with (mirrors or Mirrors()).local(place, pictures=format_name in WITH_PICTURES) as path:
        sequences = read(choose(find(path, format_name, options), pattern, path), format_name, options)
    return tuple(replace(one, warnings=tuple(map(named, one.warnings))) for one in sequences)


def unify_classes(sequences: Iterable[Sequence]) -> tuple[Sequence, ...]:
    """The same sequences with class ids that mean the same in each: places in the sorted names of all."""
    sequences = tuple(sequences)
    names = sorted({name for sequence in sequences for name in sequence.class_names.values()})
    return tuple(with_classes(sequence, names) for sequence in sequences)


def with_classes(sequence: Sequence, names: list[str]) -> Sequence:
    """The same sequence with class ids that are places in `names`."""
    return replace(
        sequence,
        class_names=dict(enumerate(names)),
        class_ids=renumbered(sequence.class_ids, sequence.class_names, names),
    )


def renumbered(class_ids: NDArray[np.uint32], class_names: Mapping[int, str], names: list[str]) -> NDArray[np.uint32]:
    """Class ids as places in `names`."""
    ids = {name: index for index, name in enumerate(names)}
    table = np.zeros(max(class_names, default=0) + 1, np.uint32)
    for old, name in class_names.items():
        table[old] = ids[name]
    places: NDArray[np.uint32] = table[class_ids]
    return places
