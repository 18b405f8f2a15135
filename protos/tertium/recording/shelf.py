"""The files of a recording: parts of bounded size on a shelf of bounded size, where the oldest give way to newer ones."""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tertium.recording.folder import SUFFIXES, PartName, stream_folder
from tertium.recording.layout import MAGIC, Opening, encode_opening

_log = logging.getLogger("tertium.recording")


class PartFile:
    """A file that is being written. Each record goes to the system at once, so that none is lost when this process dies."""

    def __init__(self, path: Path, start: bytes) -> None:
        self.path = path
        self.size = 0
        # Unbuffered: what is written has arrived, or failed, when write() returns.
        self._file = path.open("xb", buffering=0)
        self.append(start)

    def append(self, record: bytes) -> None:
        """Writes a record.

        Raises:
            OSError: it could not be written, or only a part of it.
        """
        written = self._file.write(record)
        self.size += written
        if written < len(record):
            raise OSError(errno.ENOSPC, "the disk is full", str(self.path))

    def close(self) -> None:
        """Ends the file. More than once does no harm."""
        try:
            self._file.close()
        except OSError as error:  # some file systems tell of a failed write only now
            _log.warning("%s was not closed well (%s); its end may be missing", self.path, error)

    @property
    def closed(self) -> bool:
        """Nothing can be appended any more."""
        return self._file.closed


class Shelf:
    """All files under a folder, no more bytes than `total`. Used by one thread.

    Raises:
        OSError: the folder can't be made or looked through.
    """

    def __init__(self, folder: Path, total: int, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._total = total
        self._clock = clock
        self._open: list[PartFile] = []
        self._closed = deque(sorted(_files(folder), key=lambda one: one[2]))
        self._closed_size = sum(size for _, size, _ in self._closed)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._closed_size + sum(part.size for part in self._open)

    def begin(self, opening: Opening) -> PartFile:
        """A new file for a stream, with the next number that is free.

        Raises:
            OSError: it can't be made.
        """
        folder = stream_folder(self._folder, opening.stream_id)
        folder.mkdir(parents=True, exist_ok=True)
        names = (PartName.of(file) for file in folder.iterdir())
        number = max((name.number for name in names if name is not None and name.epoch == opening.epoch), default=-1)
        start = MAGIC + encode_opening(replace(opening, recorded_at=round(self._clock(), 3)))
        self.make_room(len(start))
        part = PartFile(folder / str(PartName(opening.epoch, number + 1)), start)
        self._open.append(part)
        return part

    def end(self, part: PartFile) -> None:
        """Closes a file; it may be deleted from now on."""
        if part in self._open:
            self._open.remove(part)
            self._closed.append((part.path, part.size, 0.0))
            self._closed_size += part.size
        part.close()

    def make_room(self, size: int) -> None:
        """Deletes the oldest files until so many bytes fit; where all are open, the one that was begun first is closed for it.

        Raises:
            OSError: a file can't be deleted.
        """
        while self.size + size > self._total and (self._closed or self._open):
            if not self._closed:
                self.end(self._open[0])
            path, length, _ = self._closed[0]
            path.unlink(missing_ok=True)
            self._closed.popleft()
            self._closed_size -= length

    def close(self) -> None:
        """Closes all files."""
        for part in list(self._open):
            self.end(part)


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Path, size and time of the last change of each part of a recording."""
    for file in folder.glob("*/*"):
        if file.name.endswith(SUFFIXES) and PartName.of(file) is not None:
            status = file.stat()
            yield file, status.st_size, status.st_mtime
