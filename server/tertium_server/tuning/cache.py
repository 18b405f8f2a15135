"""What was replayed once is not replayed again: results on disk, by the content they follow from.

A key is a hash of everything that a result depends on: detections, truth, policy, and the sources of engine, policy and tuning. So nothing is
ever out of date; what changes gets another key. Entries appear whole or not at all, and a damaged one counts as missing. Those that were used
longest ago are dropped where all together are larger than the bound.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .readers import Labelled, Sequence, Truth

Arrays = Mapping[str, NDArray[Any]]

MOST_BYTES = 1 << 30
"""Of all entries together."""

_SOURCES = ("engine", "policy", "tuning")
_SUFFIX = ".npz"
_UNFINISHED = ".part"

_ABANDONED = 24 * 3600.0
"""Seconds after which a file that is being written was left behind by a process that was killed."""


@dataclass(frozen=True, slots=True)
class ReplayCache:
    """A folder of results."""

    folder: Path
    """Made when the first result is kept."""

    most_bytes: int = MOST_BYTES
    """Beyond this the entries used longest ago are dropped."""

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays kept under a key; None where there are none, or they are damaged."""
        path = self._path(key)
        try:
            # numpy leaves a damaged file open that it opened itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
                found = {name: entry[name] for name in entry.files}
            os.utime(path)
        except (OSError, ValueError, EOFError, BadZipFile, KeyError):
            return None
        return found

    def put(self, key: str, arrays: Arrays) -> None:
        """Keeps arrays under a key. Where the folder can't be written nothing is kept, and nothing else is lost."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=_UNFINISHED, dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # its stub takes the names for flags
                Path(name).replace(self._path(key))
            finally:
                Path(name).unlink(missing_ok=True)
            self._shrink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _shrink(self) -> None:
        entries = []
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                found = path.stat()
                entries.append((found.st_mtime_ns, found.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/tertium/replays``, or the same under ``~/.cache``."""
    # os.path's, not Path's: the latter fails where there is no home.
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(base) / "tertium" / "replays"


def key_of(what: str, labelled: Iterable[Labelled], settings: Mapping[str, Any]) -> str:
    """The key of a result of this kind that follows from these recordings and settings (ready for JSON), and the present sources."""
    digest = hashlib.blake2b(digest_size=20)
    text = json.dumps([what, _sources_hash(), settings], sort_keys=True, separators=(",", ":"))
    digest.update(text.encode())
    for one in labelled:
        digest.update(content_of(one).encode())
    return digest.hexdigest()


def content_of(labelled: Labelled) -> str:
    """A hash of all that a recording and its truth say, whatever files it stands in."""
    digest = hashlib.sha256()
    for piece in (*_of_sequence(labelled.sequence), *_of_truth(labelled.truth)):
        digest.update(piece)
    return digest.hexdigest()


def _of_sequence(sequence: Sequence) -> Iterator[bytes]:
    facts = [
        sequence.name, sequence.nominal_fps, sequence.frame_size, sequence.first_frame, sequence.length,
        sorted(sequence.class_names.items()), sequence.first_track, sequence.logits,
    ]  # fmt: skip
    yield json.dumps(facts).encode()
    columns = (
        sequence.frames, sequence.boxes, sequence.xywh, sequence.scores, sequence.class_ids, sequence.track_ids,
        sequence.capture_times(), sequence.frame_indices(),
    )  # fmt: skip
    yield from _of_arrays(columns)


def _of_truth(truth: Truth) -> Iterator[bytes]:
    yield json.dumps([truth.first_frame, truth.length, truth.min_height]).encode()
    yield from _of_arrays((truth.frames, truth.boxes, truth.class_ids, truth.track_ids, truth.kinds))


def _of_arrays(arrays: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    for array in arrays:
        yield f"{array.dtype.str}{array.shape}".encode()
        yield np.ascontiguousarray(array).tobytes()


@cache
def _sources_hash() -> str:
    digest = hashlib.blake2b(digest_size=16)
    root = Path(__file__).parents[1]
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
