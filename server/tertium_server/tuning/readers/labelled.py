"""Detections and truth from their paths: paired by name, with frames and class ids in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from .errors import NothingFoundError, Place, ReadError, UnreadableError
from .formats import Format, Options, Source
from .naming import named
from .reading import FORMATS, WITH_PICTURES, choose, listed, renumbered, with_classes
from .remote import Mirrors
from .sequence import Sequence
from .truth import ALL_CLASSES, Labelled, Truth

Pair = tuple[Source, Source]
"""Where the detections of a sequence are, and the truth about them."""

Failed = Callable[[str, ReadError], None]
"""Told of a sequence that can't be read, by name, and why."""


def read_labelled(
    detections: Path | str,
    truth: Path | str,
    format_name: str,
    options: Options | None = None,
    pattern: str = "*",
    *,
    failed: Failed | None = None,
    mirrors: Mirrors | None = None,
) -> tuple[Labelled, ...]:
    """All sequences whose names match the pattern, each with its truth, by name. Both paths or URLs may be the same folder.

    ``mirrors``: where copies of what URLs name are kept.

    With `failed`, it is told of each sequence that can't be read, and the others are given; all go by the same classes.

    Raises:
        NothingFoundError: there are none, or one has detections and no truth, or truth and no detections.
        UnreadableError: some can't be read, and there is no `failed`; or none can.
    """
    reader, mirrors = FORMATS[format_name], mirrors or Mirrors()
    failures: list[tuple[str, ReadError]] = []
    pictures = format_name in WITH_PICTURES
    with mirrors.local(detections, pictures=pictures) as here, mirrors.local(truth, pictures=pictures) as there:
        options = replace(options or Options(), truth=there)
        pairs = find_pairs(here, there, format_name, options, pattern)
        read = _read_truths(reader, options, _read_sequences(reader, options, pairs, failures), failures)
    if failures and (failed is None or not read):
        raise UnreadableError(failures)
    if failed is not None:
        for name, error in failures:
            failed(name, error)
    return unify(read)


def find_pairs(
    detections: Path, truth: Path, format_name: str, options: Options | None = None, pattern: str = "*"
) -> tuple[Pair, ...]:
    """Detections and truth of each sequence whose name matches the pattern, by name, not read yet.

    Raises:
        NothingFoundError: there are none, or one has detections and no truth, or truth and no detections.
    """
    reader, options = FORMATS[format_name], replace(options or Options(), truth=truth)
    found, truths = reader.find(detections, options), reader.find_truth(truth, options)
    if len(found) == len(truths) == 1 and found[0].alone and truths[0].alone:
        # Two that are given one by one belong together, whatever their names.
        truths = (replace(truths[0], name=found[0].name),)
    found, truths = choose(found, pattern, detections), choose(truths, pattern, truth)
    _check_names(found, truths, truth, "no truth for", "add it, or choose sequences that have it")
    _check_names(truths, found, detections, "no detections for", "add a file of them, empty where nothing was found")
    by_name = {source.name: source for source in truths}
    pairs = tuple((source, by_name[source.name]) for source in found)
    for source, answer in pairs:
        if (source.file, source.part) == (answer.file, answer.part):
            problem = "is given as detections and as truth"
            raise NothingFoundError(Place(source.file), problem, "give the truth by a file of its own")
    return pairs


def _check_names(these: Iterable[Source], those: Iterable[Source], path: Path, problem: str, remedy: str) -> None:
    names = {source.name for source in those}
    missing = [source.name for source in these if source.name not in names]
    if missing:
        raise NothingFoundError(Place(path), f"holds {problem} {listed(missing)}", remedy)


def _read_sequences(
    reader: Format, options: Options, pairs: Iterable[Pair], failures: list[tuple[str, ReadError]]
) -> list[tuple[Sequence, Source]]:
    sequences: list[tuple[Sequence, Source]] = []
    for source, answer in pairs:
        try:
            sequences.append((reader.read(source, options), answer))
        except ReadError as error:
            failures.append((source.name, error))
    return sequences


def _read_truths(
    reader: Format,
    options: Options,
    sequences: Iterable[tuple[Sequence, Source]],
    failures: list[tuple[str, ReadError]],
) -> list[Labelled]:
    sequences = list(sequences)
    named = frozenset(name for sequence, _ in sequences for name in sequence.class_names.values())
    labelled: list[Labelled] = []
    for sequence, source in sequences:
        try:
            truth = reader.read_truth(source, options, sequence, named)
        except ReadError as error:
            failures.append((sequence.name, error))
        else:
            # The longer of the two, where the format leaves the end open: frames without rows count.
            labelled.append(Labelled(replace(sequence, length=truth.length), truth))
    return labelled


def unify(labelled: Iterable[Labelled]) -> tuple[Labelled, ...]:
    """The same with class ids that mean the same in each: places in the sorted names of all."""
    labelled = tuple(labelled)
    names = sorted(
        {name for one in labelled for half in (one.sequence, one.truth) for name in half.class_names.values()}
    )
    return tuple(
        Labelled(_with_names(with_classes(one.sequence, names)), _with_names(_with_classes(one.truth, names)))
        for one in labelled
    )


_Half = TypeVar("_Half", Sequence, Truth)


def _with_names(half: _Half) -> _Half:
    """The same with warnings that call copies of remote files by their URLs."""
    return replace(half, warnings=tuple(map(named, half.warnings)))


def _with_classes(truth: Truth, names: list[str]) -> Truth:
    everybody = truth.class_ids == ALL_CLASSES
    class_ids = renumbered(np.where(everybody, 0, truth.class_ids).astype(np.uint32), truth.class_names, names)
    class_ids[everybody] = ALL_CLASSES
    return replace(truth, class_names=dict(enumerate(names)), class_ids=class_ids)
