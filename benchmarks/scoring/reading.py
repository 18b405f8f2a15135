"""Data sets as they are named on the command line: each one detector's labelled recordings."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tertium_server.tuning.readers import FORMATS, Labelled, ReadError, UnreadableError, read_labelled


def read_sets(argument: str) -> Iterator[tuple[str, Sequence[Labelled]]]:
    """Name and sequences of each data set that an argument names: itself, or those of its folders that hold labelled recordings."""
    format_name, colon, folder = argument.partition(":")
    if colon and format_name in FORMATS:
        yield Path(folder).name, read_labelled(Path(folder), Path(folder), format_name)
        return
    path = Path(argument)
    whole = _read(path)
    if whole:
        yield path.name, whole
        return
    found = False
    for below in sorted(path.iterdir()) if path.is_dir() else []:
        part = _read(below) if below.is_dir() else ()
        if part:
            found = True
            yield below.name, part
        elif below.is_dir():
            print(f"{below.name}: left out, it holds no labelled recordings", file=sys.stderr)
    if not found:
        sys.exit(f"{argument}: no labelled recordings of a known format; name it, as in mot:{argument}, to hear why")


def _read(path: Path) -> Sequence[Labelled]:
    """The sequences, by the first format that can read them; none where none can."""
    for format_name in FORMATS:
        try:
            return read_labelled(path, path, format_name)
        except (ReadError, UnreadableError):
            continue
    return ()
