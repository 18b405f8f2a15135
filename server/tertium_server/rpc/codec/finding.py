"""Where a track is in messages that were answered, in one compiled call.

A stream's film holds hundreds of messages; while Python reads them, frames wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, decisions_pb2
from tertium_server.engine.addresses import copy_bytes
from tertium_server.engine.columns import FrameColumns
from tertium_server.rpc.codec.compiling import array_kernel, kernel
from tertium_server.rpc.codec.reading import FIELDS, MARGIN, NOWHERE, find_arrays, read_columns, read_varint

_Response, _Decisions, _Event = (
    decision_service_pb2.DecideResponse,
    decisions_pb2.Decisions,
    decisions_pb2.TrackEvent,
)
_DECISIONS, _EVENTS = _Response.DECISIONS_FIELD_NUMBER, _Response.EVENTS_FIELD_NUMBER
_INDICES, _IDS, _PROBABILITIES = (
    _Decisions.FRAME_INDICES_FIELD_NUMBER,
    _Decisions.TRACK_IDS_FIELD_NUMBER,
    _Decisions.PROBABILITIES_FIELD_NUMBER,
)
_COLUMNS = ((_INDICES, 8), (_IDS, 8), (_PROBABILITIES, 4))
"""What is read of decisions: field numbers and bytes of an element."""
_EVENT_TRACK = _Event.TRACK_ID_FIELD_NUMBER << 3 | 1  # a fixed64

_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5
_ID = 8
_LEAST_FRAME_BYTES = 12  # of an index and a count
_UNKNOWN = -(1 << 63)
_NOT_PLAIN = -1


class Sightings(NamedTuple):
    """The N frames that a track was found in, in order and none twice."""

    indices: NDArray[np.int64]
    """(N,)"""
    times: NDArray[np.int64]
    """(N,) capture times in nanoseconds, where ``timed``."""
    timed: NDArray[np.bool_]
    """(N,)"""
    boxes: NDArray[np.float32]
    """(N, 4) corners in pixels."""
    scores: NDArray[np.float32]
    """(N,) 1 where none was sent."""
    probabilities: NDArray[np.float32]
    """(N,)"""
    told: NDArray[np.intp]
    """Places of the messages with an event of the track."""


def find_track(messages: Sequence[tuple[bytes, bytes]], track_id: int) -> Sightings | None:
    """Finds a track in requests of frames and the responses to them; None: not all are as this server and most callers write them.

    ``track_id``: as on the wire. A request of no bytes has no frames.
    """
    pieces = [piece for message in messages for piece in message]
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    data = np.frombuffer(b"".join(pieces), np.uint8)
    most = len(data) // _LEAST_FRAME_BYTES
    numbers, values = np.empty((most, 2), np.int64), np.empty((most, 6), np.float32)
    told = np.zeros(len(messages), np.bool_)
    inbox = np.empty(max(map(len, pieces), default=0) // 8 + MARGIN, np.int64).view(np.uint8)
    wanted = int(np.uint64(track_id).astype(np.int64))  # kernels take ids as signed
    count = _find(data, ends, wanted, inbox, numbers, values, told) if pieces else 0
    if count == _NOT_PLAIN:
        return None
    numbers, values = numbers[:count], values[:count]
    indices, times = numbers.T
    return Sightings(
        indices, times, times != _UNKNOWN, values[:, :4], values[:, 4], values[:, 5], np.flatnonzero(told)
    )  # fmt: skip


@array_kernel
def _find(  # noqa: PLR0917 - a kernel is called by position
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    track_id: int,
    inbox: NDArray[np.uint8],
    numbers: NDArray[np.int64],
    values: NDArray[np.float32],
    told: NDArray[np.bool_],
) -> int:
    """Writes index and time, and box, score and probability, of each frame that the track is in; returns how many, or _NOT_PLAIN."""
    spans = np.zeros((FIELDS, 2), np.int64)
    columns = np.zeros((FIELDS, 2), np.int64)
    begin = 0
    count = 0
    for message in range(told.shape[0]):
        request = data[begin : ends[2 * message]]
        response = data[ends[2 * message] : ends[2 * message + 1]]
        begin = ends[2 * message + 1]
        plain, told[message] = _read_response(response, columns, track_id)
        if not plain:
            return _NOT_PLAIN
        if request.shape[0] == 0 or columns[_IDS, 1] == 0:
            continue
        decided = np.empty(columns[_INDICES, 1] // 8, np.int64)
        ids = np.empty(columns[_IDS, 1] // 8, np.int64)
        probabilities = np.empty(columns[_PROBABILITIES, 1] // 4, np.float32)
        _copy_column(response, columns, _IDS, ids.ctypes.data)
        if not _holds(ids, track_id):
            continue
        _copy_column(response, columns, _INDICES, decided.ctypes.data)
        _copy_column(response, columns, _PROBABILITIES, probabilities.ctypes.data)
        if ids.shape[0] != probabilities.shape[0] or not find_arrays(request, spans):
            return _NOT_PLAIN
        frames = read_columns(request, spans, inbox)
        if not _fit(frames):
            return _NOT_PLAIN
        count = _take(frames, decided, ids, probabilities, track_id, numbers, values, count)
        if count == _NOT_PLAIN:
            return _NOT_PLAIN
    return count


@kernel
def _fit(frames: FrameColumns) -> bool:
    """Whether the columns are as long as each other where one is read by the place in another."""
    count, detections = frames.indices.shape[0], frames.boxes.shape[0]
    return bool(
        frames.counts.shape[0] == count
        and (frames.times.shape[0] == count or frames.times.shape[0] == 0)
        and (frames.scores.shape[0] == detections or frames.scores.shape[0] == 0)
    )


@kernel
def _take(  # noqa: PLR0917 - as above
    frames: FrameColumns,
    decided: NDArray[np.int64],
    ids: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    track_id: int,
    numbers: NDArray[np.int64],
    values: NDArray[np.float32],
    count: int,
) -> int:
    """Writes the frames of one message. Of two frames of one index the second was refused."""
    answer = 0
    place = 0
    frame = 0
    for entry in range(decided.shape[0]):
        while frame < frames.indices.shape[0] and frames.indices[frame] != decided[entry]:
            place += int(frames.counts[frame])
            frame += 1
        if frame == frames.indices.shape[0]:
            return _NOT_PLAIN
        detections = int(frames.counts[frame])
        if answer + detections > ids.shape[0] or place + detections > frames.boxes.shape[0]:
            return _NOT_PLAIN
        # A stream that was resumed has taken some frames again.
        if count == 0 or decided[entry] > numbers[count - 1, 0]:
            for step in range(detections):
                if ids[answer + step] == track_id:
                    numbers[count, 0] = decided[entry]
                    numbers[count, 1] = frames.times[frame] if frames.times.shape[0] > 0 else _UNKNOWN
                    for corner in range(4):
                        values[count, corner] = frames.boxes[place + step, corner]
                    values[count, 4] = frames.scores[place + step] if frames.scores.shape[0] > 0 else 1.0
                    values[count, 5] = probabilities[answer + step]
                    count += 1
                    break
        answer += detections
        place += detections
        frame += 1
    return count


@kernel
def _holds(ids: NDArray[np.int64], track_id: int) -> bool:
    matches = 0
    for entry in range(ids.shape[0]):  # to the end, without branches: the compiler makes vector instructions of it
        matches += ids[entry] == track_id
    return matches > 0


@kernel
def _copy_column(data: NDArray[np.uint8], columns: NDArray[np.int64], number: int, target: int) -> None:
    """To where numbers may lie."""
    copy_bytes(np.int64(target), np.int64(data.ctypes.data) + columns[number, 0], columns[number, 1])


@kernel
def _read_response(data: NDArray[np.uint8], columns: NDArray[np.int64], track_id: int) -> tuple[bool, bool]:
    """Whether a response is plain, and whether it tells of the track; where its columns lie goes into ``columns``, as in find_arrays."""
    columns[:] = 0
    told = False
    place = 0
    while place < data.shape[0]:
        tag, start, end = _next_field(data, place, data.shape[0])
        if end == NOWHERE:
            return False, False
        if tag == (_DECISIONS << 3 | _LENGTH_DELIMITED):
            if columns[_INDICES, 1] > 0 or not _read_decisions(data, start, end, columns):
                return False, False
        elif tag == (_EVENTS << 3 | _LENGTH_DELIMITED) and not told:
            told = _tells(data, start, end, track_id)
        place = end
    return True, told


@kernel
def _read_decisions(data: NDArray[np.uint8], place: int, last: int, columns: NDArray[np.int64]) -> bool:
    while place < last:
        tag, start, end = _next_field(data, place, last)
        if end == NOWHERE:
            return False
        for number, size in _COLUMNS:
            if tag == (number << 3 | _LENGTH_DELIMITED):
                if columns[number, 1] > 0 or (end - start) % size != 0:
                    return False
                columns[number, 0], columns[number, 1] = start, end - start
        place = end
    return True


@kernel
def _tells(data: NDArray[np.uint8], place: int, last: int, track_id: int) -> bool:
    """Whether an event is the track's."""
    while place < last:
        tag, start, end = _next_field(data, place, last)
        if end == NOWHERE:
            return False
        if tag == _EVENT_TRACK:
            found = np.uint64(0)
            for byte in range(_ID):
                found |= np.uint64(data[start + byte]) << np.uint64(8 * byte)
            return bool(np.int64(found) == track_id)
        place = end
    return False


@kernel
def _next_field(data: NDArray[np.uint8], place: int, last: int) -> tuple[int, int, int]:
    """Tag of the field at a place, where its content begins and ends; NOWHERE in place of the end: it is cut off, or of a kind unknown."""
    tag, start = read_varint(data, place, last)
    if start == NOWHERE:
        return 0, 0, NOWHERE
    kind = tag & 7
    end = NOWHERE
    if kind == _LENGTH_DELIMITED:
        length, start = read_varint(data, start, last)
        end = start + length if start != NOWHERE else NOWHERE
    elif kind == _FIXED_64:
        end = start + _ID
    elif kind == _FIXED_32:
        end = start + 4
    elif kind == _VARINT:
        end = start
        while end < last and data[end] & 0x80:
            end += 1
        end += 1
    return tag, start, end if end <= last else NOWHERE
