"""Writes recordings off the path of frames: they are handed to a thread through a queue of bounded size, and what does not fit is counted.

A write that fails (a full disk) ends the file. What comes until the next try is lost, and counted; the next file says how much.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tertium.recording.layout import FrameArrays, MismatchError, Opening, encode_frames, encode_lost
from tertium.recording.shelf import PartFile, Shelf

_log = logging.getLogger("tertium.recording")

_MEBIBYTE = 1 << 20
_RETRY_AFTER = 10.0
"""Seconds until a stream whose file could not be written is tried again."""
_MOST_LOST = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept, in bytes.

    Raises:
        ValueError: that makes no sense.
    """

    part: int = 64 * _MEBIBYTE
    """A file that has grown so long is closed, and the next begun."""

    total: int = 4096 * _MEBIBYTE
    """All files of the folder together; the oldest are deleted for newer ones."""

    pending: int = 32 * _MEBIBYTE
    """What may wait to be written; more is lost."""

    def __post_init__(self) -> None:
        if not 0 < self.part <= self.total or self.pending <= 0:
            raise ValueError(f"{self}: all have to be above 0, and a part no larger than the total")


class StreamRecorder:
    """One stream's recording, to be used from one thread at a time. Nothing here ever waits for a disk."""

    def __init__(self, recorder: Recorder, opening: Opening) -> None:
        self._recorder = recorder
        self.opening = opening
        self.lost = 0
        """Frames that could not be written so far."""

    def write(self, arrays: FrameArrays) -> bool:
        """Hands over the frames of a message: buffers that nobody changes any more. False: the queue is full, they are lost."""
        return self._recorder.enqueue(self, arrays)

    def close(self) -> None:
        """Nothing more will come; what was handed over is still written."""
        self._recorder.enqueue(self, None)


class Recorder:
    """Writes the recordings of any number of streams into one folder, which no other process writes to.

    Raises:
        OSError: the folder can't be made or looked through.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits = Limits(),  # frozen
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.limits = limits
        self.lost_frames = 0
        """Frames that could not be written, of all streams."""
        self.refused_messages = 0
        """Messages whose arrays do not fit together: no server takes their frames either."""
        self._shelf = Shelf(folder, limits.total, clock)
        self._monotonic = monotonic
        self._writers: dict[StreamRecorder, _Writer] = {}
        self._queue: deque[tuple[StreamRecorder, FrameArrays | None, int]] = deque()
        self._pending = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tertium recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Bytes that wait to be written."""
        return self._pending

    def open(self, opening: Opening) -> StreamRecorder:
        """Begins the recording of a stream, in a file of its own that is made with the first frames."""
        return StreamRecorder(self, opening)

    def enqueue(self, stream: StreamRecorder, arrays: FrameArrays | None) -> bool:
        """See StreamRecorder.write, and StreamRecorder.close (None)."""
        size = 0 if arrays is None else sum(memoryview(array).nbytes for array in arrays)
        with self._changed:
            if self._closed or (arrays is not None and self._pending + size > self.limits.pending):
                self._lose(stream, arrays)
                return False
            self._pending += size
            self._queue.append((stream, arrays, size))
            self._changed.notify()
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Writes what is pending and closes all files. False: that takes longer than `timeout` seconds, and goes on by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _lose(self, stream: StreamRecorder, arrays: FrameArrays | None) -> None:
        frames = 0 if arrays is None else memoryview(arrays.indices).nbytes // 8
        stream.lost += frames
        self.lost_frames += frames

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    break
                stream, arrays, size = self._queue.popleft()
            self._take(stream, arrays)
            with self._changed:
                self._pending -= size
        for writer in self._writers.values():
            writer.close()
        self._shelf.close()

    def _take(self, stream: StreamRecorder, arrays: FrameArrays | None) -> None:
        if arrays is None:
            writer = self._writers.pop(stream, None)
            if writer is not None:
                writer.close()
            return
        try:
            record = encode_frames(arrays)
        except MismatchError:
            self.refused_messages += 1
            return
        writer = self._writers.get(stream)
        if writer is None:
            writer = self._writers[stream] = _Writer(stream, self._shelf, self.limits.part, self._monotonic)
        if not writer.write(record):
            with self._changed:
                self._lose(stream, arrays)


class _Writer:
    """One stream's records on their way into files. Used by the recorder's thread alone."""

    def __init__(self, stream: StreamRecorder, shelf: Shelf, part_size: int, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._shelf = shelf
        self._part_size = part_size
        self._monotonic = monotonic
        self._part: PartFile | None = None
        self._told = 0
        """Lost frames that the files tell of."""
        self._rests_until = 0.0

    def write(self, record: bytes) -> bool:
        """Appends a record, and before it how many frames were lost. False: that failed, or is not tried yet after it failed."""
        if self._monotonic() < self._rests_until:
            return False
        try:
            self._append(record)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def close(self) -> None:
        """Ends the recording."""
        try:
            if self._part is not None and not self._part.closed:
                self._tell_lost(self._part)
        except OSError as error:
            self._give_up(error)
        if self._part is not None:
            self._shelf.end(self._part)

    def _append(self, record: bytes) -> None:
        part = self._part
        if part is not None and part.size + len(record) > self._part_size:
            self._shelf.end(part)
        self._shelf.make_room(len(record))  # may close this part, too
        if part is None or part.closed:
            part = self._part = self._shelf.begin(self._stream.opening)
        self._tell_lost(part)
        part.append(record)

    def _tell_lost(self, part: PartFile) -> None:
        lost = self._stream.lost
        if lost > self._told:
            part.append(encode_lost(min(lost - self._told, _MOST_LOST)))
            self._told = lost

    def _give_up(self, error: OSError) -> None:
        self._rests_until = self._monotonic() + _RETRY_AFTER
        _log.warning(
            "recording of stream %r can't be written (%s); frames are lost until it can, tried again in %.0f s",
            self._stream.opening.stream_id,
            error,
            _RETRY_AFTER,
        )
        if self._part is not None:
            self._shelf.end(self._part)
