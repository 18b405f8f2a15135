"""What waits on the disk while the store is slow or away: whole batches, each a file, in order, up to a bound."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tertium_server.logs import get_logger
from tertium_server.review.values import Booking, Decision, Stratum, Terms, Verdict

_SUFFIX = ".json"
_ABANDONED_SECONDS = 3600.0
"""A batch that was begun and not finished so long ago never will be."""


class Spool:
    """A folder of batches. A batch is there whole or not at all, and outlives the process and a power cut.

    May be used by any number of threads, and by server processes that share a data folder: what one has left another books.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._last = 0
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*"):
            with contextlib.suppress(FileNotFoundError):  # another process has finished it a moment ago
                if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                    leftover.unlink()
        self._bookings = {file.name: len(_read(file) or ()) for file in self._files()}
        self._log = get_logger("review")

    @property
    def bookings(self) -> int:
        """How many bookings wait."""
        return sum(list(self._bookings.values()))

    def put(self, batch: Sequence[Booking]) -> bool:
        """Keeps a batch; False: there is no room for it, or the disk refuses, and nothing was kept."""
        content = json.dumps([asdict(booking) for booking in batch]).encode()
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            path = self._folder / f"{self._last:020d}-{os.getpid()}{_SUFFIX}"
            try:
                if sum(map(_size, self._files())) + len(content) > self._most_bytes:
                    return False
                _write_durably(path, content)
            except OSError as error:
                self._log.error("the spool can't be written", path=str(path), error=str(error))
                return False
            self._bookings[path.name] = len(batch)
            return True

    def oldest(self) -> tuple[Path, list[Booking]] | None:
        """The oldest batch, and the name to remove it by; None: none waits."""
        with self._lock:
            for file in self._files():
                batch = _read(file)
                if batch is not None:
                    return file, batch
                with contextlib.suppress(FileNotFoundError):  # another process has booked it, or set it aside
                    file.rename(file.with_suffix(".damaged"))
                    self._log.error("a batch in the spool is damaged; it is set aside", path=str(file))
            self._bookings.clear()
        return None

    def remove(self, file: Path) -> None:
        """A batch is in the store."""
        with self._lock:
            self._bookings.pop(file.name, None)
            file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"[0-9]*{_SUFFIX}"))


def _size(file: Path) -> int:
    """Bytes of a file; 0: another process has booked it a moment ago."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _write_durably(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(file: Path) -> list[Booking] | None:
    """The bookings of a file; None: it holds none."""
    try:
        return [_booking(entry) for entry in json.loads(file.read_bytes())]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _booking(entry: dict[str, Any]) -> Booking:
    decision, terms = entry["decision"], entry["terms"]
    return Booking(
        decision=Decision(**(decision | {"stratum": Stratum(decision["stratum"])})),
        terms=Terms(**(terms | {"default_verdict": Verdict(terms["default_verdict"])})),
        evidence=entry["evidence"],
    )
