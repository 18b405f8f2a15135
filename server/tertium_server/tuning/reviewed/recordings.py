"""Recordings that a server wrote (``serve --record``), each with its stream and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tertium.recording import PartName
from tertium_server.tuning.readers import FORMATS, Options, ReadError, Sequence, choose
from tertium_server.tuning.readers.errors import UnreadableError

_FORMAT = "tertium"


def read_runs(path: Path, pattern: str = "*") -> Iterator[tuple[str, int, Sequence]]:
    """Runs of streams whose names match the pattern, read one after the other.

    Raises:
        NothingFoundError: there are none.
        UnreadableError: one can't be read.
    """
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
