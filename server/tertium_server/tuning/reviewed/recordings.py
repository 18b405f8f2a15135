"""Recordings that a server wrote (``serve --record``), each with its stream and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tertium.recording import PartName
from tertium_server.tuning.readers import FORMATS, Mirrors, Options, ReadError, Sequence, choose
from tertium_server.tuning.readers.errors import UnreadableError

_FORMAT = "tertium"


def read_runs(
    place: Path | str, pattern: str = "*", mirrors: Mirrors | None = None
) -> Iterator[tuple[str, int, Sequence]]:
    """Runs of streams whose names match the pattern, read one after the other; ``place``: a path or a URL.

    Raises:
        NothingFoundError: there are none.
        UnreadableError: one can't be read.
    """
    with (mirrors or Mirrors()).local(place) as path:
        yield from _runs(path, pattern)


def _runs(path: Path, pattern: str) -> Iterator[tuple[str, int, Sequence]]:
    options = Options()
    for source in choose(FORMATS[_FORMAT].find(path, options), pattern, path):
        name = PartName.of(source.file)
        epoch = int(source.part) if source.part else 0 if name is None else name.epoch
        try:
            sequence = FORMATS[_FORMAT].read(source, options)
        except ReadError as error:
            raise UnreadableError([(source.name, error)]) from error
        # Several runs of one stream are told apart by a suffix.
        yield source.name.removesuffix(f"@{epoch}"), epoch, sequence
