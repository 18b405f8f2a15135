"""From the engine's event records to the track events of a response, in kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, decisions_pb2
from tertium_server.engine import arrays
from tertium_server.engine.addresses import pointer
from tertium_server.engine.columns import COASTED_OUT, DETECTIONS_OUT, EVENTS_OUT
from tertium_server.engine.layout import EVENT
from tertium_server.rpc.codec import letterhead
from tertium_server.rpc.codec.compiling import array_kernel, kernel
from tertium_server.rpc.codec.writing import field_size, put, put_head, put_varint, varint_size

_Event, _Why = decisions_pb2.TrackEvent, decisions_pb2.Why
_TYPE, _TRACK_ID, _CLASS_ID = _Event.TYPE_FIELD_NUMBER, _Event.TRACK_ID_FIELD_NUMBER, _Event.CLASS_ID_FIELD_NUMBER
_FRAME_INDEX, _FIRST_FRAME = _Event.FRAME_INDEX_FIELD_NUMBER, _Event.FIRST_FRAME_FIELD_NUMBER
_FROM_VERDICT, _TO_VERDICT = _Event.FROM_VERDICT_FIELD_NUMBER, _Event.TO_VERDICT_FIELD_NUMBER
_REASON, _RETROACTIVE_FROM = _Event.REASON_FIELD_NUMBER, _Event.RETROACTIVE_FROM_FIELD_NUMBER
_WHY = _Event.WHY_FIELD_NUMBER
_HITS, _MISSES, _POLICY_VERSION = (
    _Why.HITS_FIELD_NUMBER,
    _Why.MISSES_FIELD_NUMBER,
    _Why.POLICY_VERSION_FIELD_NUMBER,
)
_EVENTS = decision_service_pb2.DecideResponse.EVENTS_FIELD_NUMBER
_EVENT_BYTES = EVENT.itemsize
_FIXED_32, _FIXED_64 = 5, 1
_ID = 8

_BASE, _READY_IDS = letterhead.BASE, letterhead.READY_IDS
_VERSION, _VERSION_SIZE = letterhead.VERSION, letterhead.VERSION_SIZE


def _floats(*names: str) -> NDArray[np.int64]:
    """(floats, 2) field number and place in the record of numbers that Why has under the record's names."""
    numbers = _Why.DESCRIPTOR.fields_by_name
    places = {} if EVENT.fields is None else {name: field[1] for name, field in EVENT.fields.items()}
    return np.array([(numbers[name].number, places[name]) for name in names], np.int64)


# In the order of their field numbers, with hits and misses between.
_FIRST_FLOATS = _floats("probability", "lower", "upper", "threshold")
_LAST_FLOATS = _floats("evidence_fast", "evidence_slow", "score")


@kernel
def _number_size(value: int) -> int:
    """Bytes of a number under a field number below 16; 0 is left out."""
    return 0 if value == 0 else 1 + varint_size(int(value))


@kernel
def _put_number(out: NDArray[np.uint8], place: int, number: int, value: int) -> int:
    if value == 0:
        return place
    return put_varint(out, put_varint(out, place, number << 3), int(value))


@kernel
def _is_zero(memory: NDArray[np.uint8], place: int) -> bool:
    return bool(memory[place] == 0 and memory[place + 1] == 0 and memory[place + 2] == 0 and memory[place + 3] == 0)


@kernel
def _floats_size(memory: NDArray[np.uint8], record: int, floats: NDArray[np.int64]) -> int:
    size = 0
    for entry in range(floats.shape[0]):
        if not _is_zero(memory, record + floats[entry, 1]):
            size += 5
    return size


@kernel
def _put_floats(
    out: NDArray[np.uint8], place: int, memory: NDArray[np.uint8], record: int, floats: NDArray[np.int64]
) -> int:
    for entry in range(floats.shape[0]):
        start = record + floats[entry, 1]
        if _is_zero(memory, start):
            continue
        out[place] = floats[entry, 0] << 3 | _FIXED_32
        for byte in range(4):
            out[place + 1 + byte] = memory[start + byte]
        place += 5
    return place


@kernel
def _why_size(event: Any, memory: NDArray[np.uint8], record: int, version_size: int) -> int:  # noqa: ANN401 - a record
    size = _floats_size(memory, record, _FIRST_FLOATS) + _number_size(event.hits) + _number_size(event.misses)
    return size + _floats_size(memory, record, _LAST_FLOATS) + field_size(_POLICY_VERSION, version_size)


@kernel
def _event_size(event: Any, why: int) -> int:  # noqa: ANN401 - a record
    """Bytes of an event whose Why has ``why``. No track has the id 0, and an event always has a Why."""
    size = _number_size(event.type) + 1 + _ID + _number_size(event.class_id)
    size += _number_size(event.frame_index) + _number_size(event.first_frame)
    size += _number_size(event.from_verdict) + _number_size(event.to_verdict) + _number_size(event.reason)
    if event.retroactive_from >= 0:
        size += 1 + varint_size(event.retroactive_from)
    return size + 1 + varint_size(why) + why


@array_kernel
def _put_event(  # noqa: PLR0917 - a kernel is called by position
    out: NDArray[np.uint8],
    place: int,
    event: Any,  # noqa: ANN401 - a record
    track_id: int,
    memory: NDArray[np.uint8],
    record: int,
    why: int,
    entries: NDArray[np.int64],
) -> int:
    place = _put_number(out, place, _TYPE, event.type)
    out[place] = _TRACK_ID << 3 | _FIXED_64
    for byte in range(_ID):
        out[place + 1 + byte] = track_id >> (8 * byte) & 0xFF
    place = _put_number(out, place + 1 + _ID, _CLASS_ID, event.class_id)
    place = _put_number(out, place, _FRAME_INDEX, event.frame_index)
    place = _put_number(out, place, _FIRST_FRAME, event.first_frame)
    place = _put_number(out, place, _FROM_VERDICT, event.from_verdict)
    place = _put_number(out, place, _TO_VERDICT, event.to_verdict)
    place = _put_number(out, place, _REASON, event.reason)
    if event.retroactive_from >= 0:  # it may be 0 and is told all the same
        place = put_varint(out, put_varint(out, place, _RETROACTIVE_FROM << 3), event.retroactive_from)
    place = put_head(out, place, _WHY, why)
    place = _put_floats(out, place, memory, record, _FIRST_FLOATS)
    place = _put_number(out, _put_number(out, place, _HITS, event.hits), _MISSES, event.misses)
    place = _put_floats(out, place, memory, record, _LAST_FLOATS)
    return put(out, place, _POLICY_VERSION, entries[_VERSION], entries[_VERSION_SIZE])


@array_kernel
def write_events(
    workspace_table: NDArray[np.int64], entries: NDArray[np.int64], out: NDArray[np.uint8], begin: int
) -> int:
    """Writes the field ``events`` of a response behind ``begin`` bytes of it; returns the size of both.

    A size over that of ``out`` was not written.
    """
    progress = arrays.progress_of(workspace_table)
    if progress[EVENTS_OUT] == 0:
        return begin
    outputs = arrays.outputs_of(workspace_table)
    events, count = outputs.events, progress[EVENTS_OUT]
    memory = carray(pointer(np.int64(events.ctypes.data)), (count * _EVENT_BYTES,), np.uint8)
    ready = entries[_READY_IDS] + _ID * (progress[DETECTIONS_OUT] + progress[COASTED_OUT])
    place = begin
    for writing in range(2):  # first to see whether there is room
        place = begin
        for number in range(count):
            event = events[number]
            why = _why_size(event, memory, number * _EVENT_BYTES, entries[_VERSION_SIZE])
            size = _event_size(event, why)
            if writing == 0:
                place += 1 + varint_size(size) + size
                continue
            track_id = event.track_id | entries[_BASE]
            if entries[_READY_IDS] != 0:
                track_id = carray(pointer(np.int64(ready)), (count,), np.int64)[number]
            place = put_head(out, place, _EVENTS, size)
            place = _put_event(out, place, event, track_id, memory, number * _EVENT_BYTES, why, entries)
        if place > out.shape[0]:
            return place
    return place
