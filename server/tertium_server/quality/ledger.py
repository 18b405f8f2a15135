"""The ledger: decisions kept on the disk for a while, in case the truth about them comes. Bytes in, bytes out; what they mean is others' business.

A page holds messages of one stream, in order, as they are. Pages are appended to files of a folder, with length and checksum, so that what was
cut off by a crash is the end of its file and spoils nothing before it. Whole files are deleted, oldest first, by age and by what all may take.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from tertium_server.quality.values import MICROS

SUFFIX = ".ledger"

_MAGIC = b"TLG1"
_HEAD = struct.Struct("<4sIII")
"""Magic, length of the heading, length of the body, CRC-32 of both."""
_RECORD = struct.Struct("<QII")
"""When it was decided, and the lengths of the request and the response."""
_MOST_HEADING = 1 << 20
_PARTS = 16
"""A file holds at most this part of what all may take, so that little goes at a time."""


@lru_cache(1024)
def _shared(names: tuple[tuple[int, str], ...]) -> Mapping[int, str]:
    """One mapping for all headings with these class names: there are many, and they are held in memory."""
    return dict(names)


@dataclass(frozen=True, slots=True)
class Message:
    """A request of frames and its response, as they are on the wire."""

    decided_at: int
    """Microseconds."""
    request: bytes
    response: bytes


@dataclass(frozen=True, slots=True)
class Heading:
    """What a page is about."""

    stream_id: str
    epoch: int
    class_names: Mapping[int, str]
    first: int
    """Least index of its frames."""
    last: int
    """Largest index of its frames."""
    decided_at: int
    """When its newest frame was decided, microseconds."""

    def to_json(self) -> bytes:
        """As it is written."""
        names = {str(number): name for number, name in self.class_names.items()}
        content = [self.stream_id, self.epoch, names, self.first, self.last, self.decided_at]
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def of_json(cls, content: bytes) -> Heading:
        """As it was written.

        Raises:
            ValueError: It was not.
        """
        match json.loads(content):
            case [str(stream), int(epoch), dict(names), int(first), int(last), int(decided_at)]:
                shared = _shared(tuple((int(key), str(name)) for key, name in names.items()))
                return cls(stream, epoch, shared, first, last, decided_at)
            case _:
                raise ValueError("no heading")


@dataclass(frozen=True, slots=True)
class _Page:
    """Where a page lies."""

    heading: Heading
    offset: int


@dataclass(slots=True)
class _File:
    """A file of pages."""

    path: Path
    size: int = 0
    newest: int = 0
    """When its newest frame was decided, microseconds."""
    pages: list[_Page] = field(default_factory=list[_Page])


class Ledger:
    """See the module. One thread appends; any may read.

    Raises:
        OSError: The folder can't be made or read.
    """

    def __init__(self, folder: Path, most_bytes: int, most_seconds: float) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._most_micros = round(most_seconds * MICROS)
        self._lock = threading.Lock()
        self._current: _File | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._files = [_read_headings(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        # Without the lock: a scrape must not wait for the disk.
        return sum(file.size for file in list(self._files))

    def append(self, heading: Heading, messages: list[Message]) -> None:
        """Writes a page, and lets the oldest files go.

        Raises:
            OSError: It can't be written.
        """
        page = _packed(heading, messages)
        heading = replace(heading, class_names=_shared(tuple(heading.class_names.items())))
        with self._lock:
            file = self._file_for(len(page))
            # Whatever a failed write leaves behind, no page comes after it.
            self._current = None
            try:
                with file.path.open("ab") as content:
                    content.write(page)
            except OSError:
                self._take_back(file)
                raise
            self._current = file
            file.pages.append(_Page(heading, file.size))
            file.size += len(page)
            file.newest = max(file.newest, heading.decided_at)
        self.retain(heading.decided_at)

    def retain(self, now: int) -> None:
        """Deletes files that are too old, and the oldest while all are too large together. The one that is written stays."""
        with self._lock:
            total = sum(file.size for file in self._files)
            while len(self._files) > (self._current is not None):
                oldest = self._files[0]
                if total <= self._most_bytes and oldest.newest >= now - self._most_micros:
                    break
                oldest.path.unlink(missing_ok=True)
                total -= oldest.size
                del self._files[0]

    def read(self, stream_id: str, epoch: int, first: int, last: int) -> Iterator[tuple[Heading, list[Message]]]:
        """Pages of a stream with frames of a range of indices, oldest first; epoch 0: of all its epochs. Damaged ones are passed over."""
        with self._lock:
            wanted = [
                (file.path, page)
                for file in self._files
                for page in file.pages
                if page.heading.stream_id == stream_id
                and epoch in {0, page.heading.epoch}
                and page.heading.first <= last
                and page.heading.last >= first
            ]
        for path, page in wanted:
            messages = _read_page(path, page.offset)
            if messages:
                yield page.heading, messages

    def _take_back(self, file: _File) -> None:
        """Lets go of what a failed write has left, so that tries on a full disk do not pile up there."""
        with contextlib.suppress(OSError):  # the disk refuses this, too: it was told of the write
            if file.pages:
                os.truncate(file.path, file.size)
            else:
                file.path.unlink(missing_ok=True)
                self._files.remove(file)

    def _file_for(self, more: int) -> _File:
        """The file that the next page goes to."""
        current = self._current
        if current is not None and current.size + more <= max(self._most_bytes // _PARTS, more):
            return current
        self._files.append(_File(self._folder / f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}"))
        return self._files[-1]


def _packed(heading: Heading, messages: list[Message]) -> bytes:
    parts: list[bytes] = []
    for each in messages:
        parts += (_RECORD.pack(each.decided_at, len(each.request), len(each.response)), each.request, each.response)
    # Not compressed: boxes and scores become a quarter smaller at best, for as long as a message takes to be answered.
    head, body = heading.to_json(), b"".join(parts)
    return _HEAD.pack(_MAGIC, len(head), len(body), zlib.crc32(body, zlib.crc32(head))) + head + body


def _read_headings(path: Path) -> _File:
    """A file by the headings of its pages, up to where it is whole. What can't be read has none."""
    found = _File(path, path.stat().st_size)
    with path.open("rb") as file:
        offset = 0
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, heading_size, body_size, _ = _HEAD.unpack(head)
            end = offset + _HEAD.size + heading_size + body_size
            if magic != _MAGIC or heading_size > _MOST_HEADING or end > found.size:
                break
            try:
                heading = Heading.of_json(file.read(heading_size))
            except ValueError:
                break
            found.pages.append(_Page(heading, offset))
            found.newest = max(found.newest, heading.decided_at)
            offset = file.seek(end)
    return found


def _read_page(path: Path, offset: int) -> list[Message]:
    """The messages of a page; none where it is damaged, or gone by now."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            _, heading_size, body_size, checksum = _HEAD.unpack(file.read(_HEAD.size))
            head, body = file.read(heading_size), file.read(body_size)
        if zlib.crc32(body, zlib.crc32(head)) != checksum:
            return []
        return list(_unpacked(body))
    except (OSError, struct.error):
        return []


def _unpacked(content: bytes) -> Iterator[Message]:
    offset = 0
    while offset < len(content):
        decided_at, request, response = _RECORD.unpack_from(content, offset)
        offset += _RECORD.size
        middle, end = offset + request, offset + request + response
        yield Message(decided_at, content[offset:middle], content[middle:end])
        offset = end
