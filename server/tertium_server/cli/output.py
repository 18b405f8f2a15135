"""Where results go: a file that appears whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

from .failure import MISUSED, CommandError

STDOUT = "-"
"""Means standard output."""


@contextlib.contextmanager
def written(place: str | Path) -> Generator[TextIO]:
    """A file for text that takes its name only after all was written; what was there before stays until then. URLs (``s3://…``) are places, too.

    Raises:
        CommandError: the file can't be written.
        ReadError: the URL's store can't be reached.
    """
    if str(place) == STDOUT:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as files are, whatever the terminal's encoding
        yield sys.stdout
        sys.stdout.flush()
        return
    if "://" in str(place):
        with _uploaded(str(place)) as file:
            yield file
        return
    path = Path(place)
    target = path.resolve()  # a link stays a link: the file it leads to is replaced
    if target.exists() and not target.is_file():  # a device or a pipe can't be replaced
        with _openable(path), target.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _openable(path):
            file = temporary.open("x", encoding="utf-8", newline="")
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_places(*places: str | None) -> None:
    """Says at once where a file can't be written, not when all work is done. URLs are not asked.

    Raises:
        CommandError: one can't, or is named twice.
    """
    given = [place for place in places if place is not None]
    twice = next((place for place in given if given.count(place) > 1), None)
    if twice is not None:
        raise CommandError(f"{twice}: is to hold two results; give each a file of its own", MISUSED)
    for place in places:
        if place is None or place == STDOUT or "://" in place:
            continue
        target = Path(place).resolve()
        folder = target.parent
        with _openable(Path(place)):
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}")
            if not os.access(folder, os.W_OK) and not target.exists():
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextlib.contextmanager
def _uploaded(url: str) -> Generator[TextIO]:
    from tertium_server.tuning.readers import write_file  # noqa: PLC0415  # slow to load

    file = io.StringIO(newline="")
    yield file
    write_file(url, file.getvalue().encode())


@contextlib.contextmanager
def _openable(path: Path) -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{path}: can't be written ({error.strerror or error}); choose another file") from error
