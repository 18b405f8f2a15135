"""Recordings that lie elsewhere (``s3://``, ``gs://``, ``file://``, whatever fsspec knows): copied once, then read as files.

Readers look into many small files and ask of each whether it is there: over a network that is a round trip each time, and pathlib's look-alikes for
stores do just that. So a URL is listed once, what readers could want of it is fetched side by side, and read from the disk from then on. Copies are
kept by the content that the store lists (names, sizes, and its stamp of each file): what changes there is fetched anew, and a fetch that
broke off goes on where it stood.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Place, ReadError
from .naming import MIRROR, default_folder
from .remote_copy import Copy, Told
from .remote_store import Store

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

MOST_BYTES = 8 << 30
"""Of all copies together. Those used longest ago go first, never the one in use."""

ABANDONED = 7 * 24 * 3600.0
"""Seconds for which what came of a fetch that broke off is kept."""


def is_url(place: str | Path) -> bool:
    """Whether a place is named by URL."""
    return isinstance(place, str) and _URL.match(place) is not None


def read_text(url: str) -> str:
    """The text of a file.

    Raises:
        ReadError: it can't be read, or is no UTF-8.
    """
    try:
        return Store.open(url).read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReadError(Place(url), f"is no text ({error})", "give a file in UTF-8") from error


def write_file(url: str, data: bytes) -> None:
    """Puts a file where a URL says, whole or not at all as far as the store can.

    Raises:
        ReadError: it can't be written; the URL is named, and what is missing.
    """
    Store.open(url).write(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Where copies of remote recordings are kept."""

    folder: Path = field(default_factory=default_folder)

    keep: bool = True
    """Keep copies for the next time; otherwise they go when they were read."""

    most_bytes: int = MOST_BYTES

    told: Told = lambda _what, _done, _all: None

    @contextlib.contextmanager
    def local(self, place: str | Path, *, pictures: bool = False) -> Generator[Path]:
        """A path to read in place of a place: itself, or a copy of what the URL names. ``pictures``: they are read, too, for their sizes.

        Raises:
            ReadError: it can't be fetched; the URL is named, and what is missing.
        """
        if not is_url(place):
            yield Path(place)
            return
        store = Store.open(str(place))
        if store.is_local():
            yield Path(store.root)
            return
        entries = store.list(pictures=pictures)
        copy = Copy.of(self.folder, store, entries)
        try:
            copy.fetch(store, entries, self.told)
            yield copy.path
        finally:
            if not (self.keep and copy.stamped):
                copy.remove()
        self._shrink(copy)

    def _shrink(self, used: Copy) -> None:
        for folder in self.folder.glob(f"{MIRROR}*/"):  # a fetch that broke off, and that nobody took up again
            with contextlib.suppress(OSError):
                copy = Copy(folder, folder, stamped=True)
                if not copy.note.exists() and folder.stat().st_mtime < time.time() - ABANDONED:
                    copy.remove()
        copies: list[tuple[int, int, Path]] = []
        for note in self.folder.glob(f"{MIRROR}*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):  # another process was faster
                size = int(json.loads(note.read_text("utf-8"))["bytes"])
                copies.append((note.stat().st_mtime_ns, size, note.with_suffix("")))
        total = sum(size for _, size, _ in copies)
        for _, size, folder in sorted(copies):
            if total <= self.most_bytes:
                return
            if folder != used.folder:
                Copy(folder, folder, stamped=True).remove()
                total -= size
