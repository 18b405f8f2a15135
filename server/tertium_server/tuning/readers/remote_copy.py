"""Copies of remote recordings on this machine's disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fsspec.callbacks import Callback

from .errors import Place, ReadError
from .naming import MIRROR
from .remote_store import Entry, Store

Told = Callable[[str, int, int], None]
"""Hears what is fetched, and how many bytes of how many are here."""

_AT_A_TIME = 256
"""Files asked for in one go; the store's own client decides how many of them travel side by side."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The files of a URL as they were when it was listed."""

    folder: Path
    """All of it: in it a folder of the URL's scheme, and its path."""

    path: Path
    """What the URL names."""

    stamped: bool
    """The store says of every file what changes with its content: as long as that is the same, so is this."""

    @classmethod
    def of(cls, folder: Path, store: Store, entries: Sequence[Entry]) -> Copy:
        """Where these files go, in a folder of copies."""
        stamped = all(one.stamp for one in entries)
        facts = [store.url, *([one.path, one.size, one.stamp] for one in entries), None if stamped else uuid4().hex]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]
        mine = folder / f"{MIRROR}{key}"
        return cls(mine, mine / store.scheme / store.path, stamped)

    @property
    def note(self) -> Path:
        """Written when all is there, touched when it is used: how large it is."""
        return self.folder.with_suffix(".json")

    def fetch(self, store: Store, entries: Sequence[Entry], told: Told) -> None:
        """Fetches what is not here yet.

        Raises:
            ReadError: the store or the disk failed; what came is kept for the next time.
        """
        total = sum(one.size for one in entries)
        try:
            if not self.note.exists():
                self._fetch(store, entries, told, total)
                self.note.write_text(json.dumps({"url": store.url, "bytes": total}), "utf-8")
            self.note.touch()
        except OSError as error:
            problem = f"can't be copied to {self.folder.parent} ({error.strerror or error})"
            raise ReadError(Place(store.url), problem, "make room there, or set XDG_CACHE_HOME") from error

    def _fetch(self, store: Store, entries: Sequence[Entry], told: Told, total: int) -> None:
        missing, here = list[Entry](), 0
        for one in entries:
            if self._place(store, one).exists():
                here += one.size
            else:
                missing.append(one)
        counted = _Bytes(lambda done: told(f"fetching {store.url}", min(done, total), total), here)
        for start in range(0, len(missing), _AT_A_TIME):
            some = missing[start : start + _AT_A_TIME]
            places = [self._place(store, one) for one in some]
            arriving = [place.with_name(f".{place.name}.{uuid4().hex[:8]}.part") for place in places]
            for place in places:
                place.parent.mkdir(parents=True, exist_ok=True)
            try:
                store.fetch([one.name for one in some], [str(path) for path in arriving], counted)
                for path, place in zip(arriving, places, strict=True):
                    path.replace(place)
            finally:
                for path in arriving:
                    path.unlink(missing_ok=True)

    def _place(self, store: Store, entry: Entry) -> Path:
        return self.folder / store.scheme / entry.path

    def remove(self) -> None:
        """Deletes it, as far as that can be done."""
        self.note.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class _Bytes(Callback):  # type: ignore[misc]  # fsspec has no types
    """Counts the bytes of all files together."""

    def __init__(self, told: Callable[[int], None], here: int) -> None:
        super().__init__()
        self._told, self._here = told, here

    def branched(self, path_1: str, path_2: str, **_: object) -> _OneFile:
        """For one file."""
        del path_1, path_2
        return _OneFile(self)

    def add(self, count: int) -> None:
        """So many more bytes are here."""
        self._here += count
        self._told(self._here)


class _OneFile(Callback):  # type: ignore[misc]  # fsspec has no types
    def __init__(self, all_files: _Bytes) -> None:
        super().__init__()
        self._all = all_files

    def relative_update(self, inc: int = 1) -> None:
        self._all.add(inc)
