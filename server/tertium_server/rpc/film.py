"""The last messages of a stream, kept as the bytes they are, and what they tell of one track: read only when a case is opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import FrameColumns
from tertium_server.review.footage import PIXEL_DIGITS, SCORE_DIGITS, FrameOfTrack, Level
from tertium_server.rpc import wire
from tertium_server.rpc.codec.finding import find_track
from tertium_server.rpc.twin import twin_class

_RESPONSE: Any = twin_class("DecideResponse")
_INT64, _UINT64, _FLOAT32 = np.dtype("<i8"), np.dtype("<u8"), np.dtype("<f4")
_NANOSECONDS = 1e9
_MOST_AHEAD = 3

Entry = tuple[bytes | FrameColumns, bytes]
"""A request of frames and its response."""


class Film:
    """The newest messages, up to a number of bytes. One thread writes; any may read what it has returned from ``entries``.

    What the reviewing thread has not come to yet is kept on top of that, up to ``_MOST_AHEAD`` times as much: a recording that is played at thousands
    of frames a second would otherwise be gone before its cases are opened.
    """

    __slots__ = ("_bytes", "_entries", "_most_bytes", "passed", "reviewed")

    def __init__(self, most_bytes: int) -> None:
        self._entries: deque[tuple[Entry, int]] = deque()
        self._bytes = 0
        self._most_bytes = most_bytes
        self.passed = 0
        """Bytes of all messages ever kept."""
        self.reviewed = 0
        """What had passed when the reviewing thread last had nothing more to read of this stream. Set by that thread."""

    def keep(self, entry: Entry, size: int) -> None:
        """Keeps a message and its response, ``size`` bytes together, and lets the oldest go; of one that is too large by itself, nothing is kept."""
        if size > self._most_bytes:
            return
        entries = self._entries
        entries.append((entry, size))
        self._bytes += size
        self.passed += size
        room = self._most_bytes + min(self.passed - self.reviewed, _MOST_AHEAD * self._most_bytes)
        while self._bytes > room:
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


def last_frame_in(response: bytes) -> int | None:
    """Index of the last frame that a response decides; None: it decides none."""
    indices: bytes = _RESPONSE.FromString(response).decisions.frame_indices
    return int.from_bytes(indices[-_INT64.itemsize :], "little") if indices else None


def times_of(frames: FrameColumns, nominal_fps: float) -> NDArray[np.int64]:
    """(F,) capture times in nanoseconds; 0: unknown."""
    return np.asarray(frames.times, np.int64) if len(frames.times) else _nominal_times(frames.indices, nominal_fps)


def _nominal_times(indices: NDArray[np.int64], nominal_fps: float) -> NDArray[np.int64]:
    if not nominal_fps:
        return np.zeros(len(indices), np.int64)
    return np.rint(indices / nominal_fps * _NANOSECONDS).astype(np.int64)


def taken(frames: FrameColumns, decided: NDArray[np.int64]) -> FrameColumns:
    """Only those frames of a message that were decided: of two of one index the second was refused."""
    if len(decided) == len(frames.indices):
        return frames
    places = np.array([int(np.flatnonzero(frames.indices == index)[0]) for index in decided], np.intp)
    chosen = np.isin(np.arange(len(frames.indices)), places)
    detections = np.flatnonzero(np.repeat(chosen, frames.counts))
    return FrameColumns(
        frames.indices[places],
        _chosen(frames.times, places),
        frames.counts[places],
        frames.boxes[detections],
        _chosen(frames.scores, detections),
        _chosen(frames.class_ids, detections),
        _chosen(frames.track_ids, detections),
    )


def _chosen(column: NDArray[Any], places: NDArray[np.intp]) -> NDArray[Any]:
    return column[places] if len(column) else column


class Scene(NamedTuple):
    """A message that a track was seen in."""

    frames: FrameColumns
    """Those that were decided."""
    decisions: Any
    """A twin: its arrays are bytes."""


def track_in(entries: Sequence[Entry], track_id: int, nominal_fps: float) -> tuple[list[FrameOfTrack], list[Level]]:
    """A track's frames in these messages, in order and none twice; and its levels of evidence, where its caller was told of it."""
    plain = [(request, response) for request, response in entries if isinstance(request, bytes)]
    found = find_track(plain, track_id) if len(plain) == len(entries) else None
    if found is None:
        return _track_in_any(entries, track_id, nominal_fps)
    times = np.where(found.timed, found.times, _nominal_times(found.indices, nominal_fps))
    levels = [
        level
        for place in found.told.tolist()
        for level in _levels_in(_RESPONSE.FromString(plain[place][1]).events, track_id)
    ]
    return _frames(found.indices, times, found.boxes, found.scores, found.probabilities), levels


def _track_in_any(
    entries: Sequence[Entry], track_id: int, nominal_fps: float
) -> tuple[list[FrameOfTrack], list[Level]]:
    """The same in messages of any kind."""
    scenes, levels = list[Scene](), list[Level]()
    wanted = track_id.to_bytes(8, "little")
    for entry in entries:
        response = _RESPONSE.FromString(entry[1])
        levels += _levels_in(response.events, track_id)
        decisions = response.decisions
        # Most messages that a track is not in are told by looking for its bytes; the few that hold them by chance, below.
        frames = frames_of(entry) if wanted in decisions.track_ids else None
        if frames is not None:
            scenes.append(Scene(taken(frames, np.frombuffer(decisions.frame_indices, _INT64)), decisions))
    return (_frames_in(scenes, wanted, nominal_fps) if scenes else []), levels


def _levels_in(events: Iterable[Any], track_id: int) -> Iterator[Level]:
    for event in events:
        if event.track_id == track_id and event.why.hits:
            why = event.why
            yield Level(int(event.frame_index), why.evidence_fast, why.evidence_slow, why.probability)


def _frames_in(scenes: Sequence[Scene], wanted: bytes, nominal_fps: float) -> list[FrameOfTrack]:
    """All scenes at once, as columns behind one another: a message at a time takes five times as long."""
    track_ids = np.frombuffer(b"".join(one.decisions.track_ids for one in scenes), _UINT64)
    probabilities = np.frombuffer(b"".join(one.decisions.probabilities for one in scenes), _FLOAT32)
    frames = [one.frames for one in scenes]
    places = np.flatnonzero(track_ids == np.frombuffer(wanted, _UINT64))
    rows = np.searchsorted(np.cumsum(np.concatenate([one.counts for one in frames]), dtype=np.int64), places, "right")
    indices = np.concatenate([one.indices for one in frames])[rows]
    # A stream that was resumed has taken some frames again.
    fresh = np.diff(np.maximum.accumulate(indices), prepend=-1) > 0
    places, rows = places[fresh], rows[fresh]
    return _frames(
        indices[fresh],
        np.concatenate([times_of(one, nominal_fps) for one in frames])[rows],
        np.concatenate([one.boxes for one in frames])[places],
        np.concatenate([one.scores if len(one.scores) else np.ones(len(one.boxes)) for one in frames])[places],
        probabilities[places],
    )


def _frames(
    indices: NDArray[np.int64],
    times: NDArray[np.int64],
    boxes: NDArray[np.float32],
    scores: NDArray[Any],
    probabilities: NDArray[np.float32],
) -> list[FrameOfTrack]:
    """Numbers are rounded to what a person can tell: written out, they take half the room and time."""
    columns = (
        indices,
        times,
        *_rounded(boxes.T, PIXEL_DIGITS),
        _rounded(scores, SCORE_DIGITS),
        _rounded(probabilities, SCORE_DIGITS),
    )
    return [FrameOfTrack(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


def _rounded(column: NDArray[Any], digits: int) -> NDArray[np.float64]:
    return np.asarray(np.round(column.astype(np.float64), digits), np.float64)
