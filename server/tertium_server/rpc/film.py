"""The last messages of a stream, kept as the bytes they are, and what they say of one track: read only when a case is opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import FrameColumns
from tertium_server.review.footage import FrameOfTrack
from tertium_server.rpc import wire
from tertium_server.rpc.twin import twin_class

_RESPONSE: Any = twin_class("DecideResponse")
_INT64, _FLOAT32, _UINT32 = np.dtype("<i8"), np.dtype("<f4"), np.dtype("<u4")
_NANOSECONDS = 1e9

Entry = tuple[bytes | FrameColumns, bytes]
"""A request of frames and its response."""


class Film:
    """The newest messages, up to a number of bytes. One thread writes; any may read what it has returned from ``entries``."""

    __slots__ = ("_bytes", "_entries", "_most_bytes")

    def __init__(self, most_bytes: int) -> None:
        self._entries: deque[tuple[Entry, int]] = deque()
        self._bytes = 0
        self._most_bytes = most_bytes

    def keep(self, entry: Entry, size: int) -> None:
        """Keeps a message and its response, ``size`` bytes together, and lets the oldest go; of one that is too large by itself, nothing is kept."""
        if size > self._most_bytes:
            return
        entries = self._entries
        entries.append((entry, size))
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._bytes -= entries.popleft()[1]

    def entries(self) -> list[Entry]:
        """What is kept now, oldest first."""
        # list() of a deque is one step for other threads.
        return [entry for entry, _ in list(self._entries)]


def frames_of(entry: Entry) -> FrameColumns | None:
    """The frames of a message; None: it holds none."""
    request = entry[0]
    if not isinstance(request, bytes):
        return request
    if not request:
        return None
    columns = wire.read_frames(request)
    if columns is not None:
        return columns
    message = wire.read_request(request)
    return wire.frame_columns(message.frames) if message.WhichOneof("message") == "frames" else None


def times_of(frames: FrameColumns, nominal_fps: float) -> dict[int, int]:
    """Capture times in nanoseconds by frame index."""
    indices = frames.indices.tolist()
    if len(frames.times):
        return dict(zip(indices, frames.times.tolist(), strict=True))
    return {index: round(index / nominal_fps * _NANOSECONDS) for index in indices} if nominal_fps else {}


def track_in(entries: list[Entry], track_id: int, nominal_fps: float) -> Iterator[FrameOfTrack]:
    """A track's frames in these messages, in order, none twice."""
    newest = -1
    for entry in entries:
        decisions = _RESPONSE.FromString(entry[1]).decisions
        places = np.flatnonzero(np.frombuffer(decisions.track_ids, _INT64) == track_id)
        frames = frames_of(entry) if len(places) else None
        if frames is None:
            continue
        for frame in _frames(frames, decisions, places, times_of(frames, nominal_fps)):
            if frame.index > newest:
                newest = frame.index
                yield frame


def _frames(
    frames: FrameColumns,
    decisions: Any,  # noqa: ANN401 - a twin
    places: NDArray[np.intp],
    times: dict[int, int],
) -> Iterator[FrameOfTrack]:
    """The detections of a response at ``places``, each with its frame and its box."""
    decided = np.frombuffer(decisions.frame_indices, _INT64)
    counts = np.frombuffer(decisions.detection_counts, _UINT32).astype(np.int64)
    probabilities = np.frombuffer(decisions.probabilities, _FLOAT32)
    ends = np.cumsum(counts)
    # Where the detections of each frame begin in the request, in which refused frames have theirs, too: of two of one index the second was refused.
    starts = np.cumsum(frames.counts, dtype=np.int64) - frames.counts
    sent_starts = dict(zip(frames.indices[::-1].tolist(), starts[::-1].tolist(), strict=True))
    rows = np.searchsorted(ends, places, side="right")
    indices = decided[rows].tolist()
    sent = np.array([sent_starts[index] for index in indices]) + places - (ends - counts)[rows]
    scores = frames.scores[sent].tolist() if len(frames.scores) else [1.0] * len(indices)
    boxes = frames.boxes[sent].tolist()
    for index, (x1, y1, x2, y2), score, probability in zip(
        indices, boxes, scores, probabilities[places].tolist(), strict=True
    ):
        yield FrameOfTrack(index, times.get(index, 0), x1, y1, x2, y2, score, probability)
