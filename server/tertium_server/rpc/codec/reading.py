"""From the bytes of a request to columns of frames, in kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, frames_pb2
from tertium_server.engine.addresses import copy_bytes, pointer
from tertium_server.engine.columns import FrameColumns
from tertium_server.rpc.codec.compiling import array_kernel, kernel

_Frames = frames_pb2.Frames
INDICES = _Frames.FRAME_INDICES_FIELD_NUMBER
TIMES = _Frames.CAPTURE_TIMES_FIELD_NUMBER
COUNTS = _Frames.DETECTION_COUNTS_FIELD_NUMBER
BOXES = _Frames.BOXES_FIELD_NUMBER
SCORES = _Frames.SCORES_FIELD_NUMBER
CLASS_IDS = _Frames.CLASS_IDS_FIELD_NUMBER
TRACK_IDS = _Frames.TRACK_IDS_FIELD_NUMBER

FIELDS = 8
"""Field numbers lie under this."""

_ITEM_SIZES = np.zeros(FIELDS, np.int64)
for _number, _size in {INDICES: 8, TIMES: 8, COUNTS: 4, BOXES: 16, SCORES: 4, CLASS_IDS: 4, TRACK_IDS: 8}.items():
    _ITEM_SIZES[_number] = _size

_LENGTH_DELIMITED = 2
_FRAMES_TAG = decision_service_pb2.DecideRequest.FRAMES_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_LONGEST_LENGTH = 4  # bytes of a varint: messages of up to 256 MiB
_CONTINUED = 0x80
ALIGNMENT = 8
MARGIN = FIELDS * ALIGNMENT
"""Bytes that the columns of a message may take beside its own."""

NOWHERE = -1
"""In place of a place: there is none."""


@kernel
def read_varint(data: NDArray[np.uint8], place: int, end: int) -> tuple[int, int]:
    """A number of up to 28 bits, written in as few bytes as it needs, and the place behind it; NOWHERE where there is none."""
    value = 0
    for number in range(_LONGEST_LENGTH):
        if place + number >= end:
            break
        byte = int(data[place + number])
        value |= (byte & (_CONTINUED - 1)) << (7 * number)
        if byte < _CONTINUED:
            if byte == 0 and number > 0:
                break
            return value, place + number + 1
    return 0, NOWHERE


@kernel
def find_arrays(data: NDArray[np.uint8], spans: NDArray[np.int64]) -> bool:
    """Whether the bytes are a plain request of frames. Writes where each array lies: ``spans`` (8, 2), start and bytes by field number."""
    spans[:] = 0
    size = data.shape[0]
    if size == 0 or data[0] != _FRAMES_TAG:
        return False
    length, place = read_varint(data, 1, size)
    if place == NOWHERE or place + length != size:
        return False
    while place < size:
        number = np.int64(data[place]) >> 3
        if data[place] & 7 != _LENGTH_DELIMITED or number < 1 or number >= FIELDS or spans[number, 1] > 0:
            return False
        length, place = read_varint(data, place + 1, size)
        if place == NOWHERE or length == 0 or length > size - place or length % _ITEM_SIZES[number] != 0:
            return False
        spans[number, 0] = place
        spans[number, 1] = length
        place += length
    return bool(spans[INDICES, 1] > 0 and spans[COUNTS, 1] > 0)


@kernel
def _copy(data: NDArray[np.uint8], spans: NDArray[np.int64], inbox: NDArray[np.uint8]) -> None:
    """Copies each array to a place in the inbox where numbers may lie, and says in ``spans`` where that is."""
    source, target = np.int64(data.ctypes.data), np.int64(inbox.ctypes.data)
    free = 0
    for number in range(1, FIELDS):
        start, length = spans[number, 0], spans[number, 1]
        copy_bytes(target + free, source + start, length)
        spans[number, 0] = free
        free += (length + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


@kernel
def _shape(spans: NDArray[np.int64], number: int) -> tuple[int]:
    return (spans[number, 1] // _ITEM_SIZES[number],)


@array_kernel
def read_columns(data: NDArray[np.uint8], spans: NDArray[np.int64], inbox: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - typed by numba
    """The message's :class:`FrameColumns`, in the inbox. ``spans`` as :func:`find_arrays` left them; they point into the inbox from now on."""
    _copy(data, spans, inbox)
    base = np.int64(inbox.ctypes.data)
    return FrameColumns(
        carray(pointer(base + spans[INDICES, 0]), _shape(spans, INDICES), np.int64),
        carray(pointer(base + spans[TIMES, 0]), _shape(spans, TIMES), np.int64),
        carray(pointer(base + spans[COUNTS, 0]), _shape(spans, COUNTS), np.uint32),
        carray(pointer(base + spans[BOXES, 0]), (spans[BOXES, 1] // _ITEM_SIZES[BOXES], 4), np.float32),
        carray(pointer(base + spans[SCORES, 0]), _shape(spans, SCORES), np.float32),
        carray(pointer(base + spans[CLASS_IDS, 0]), _shape(spans, CLASS_IDS), np.uint32),
        carray(pointer(base + spans[TRACK_IDS, 0]), _shape(spans, TRACK_IDS), np.int64),
    )


@kernel
def frames_in(spans: NDArray[np.int64]) -> int:
    """Frames of the message."""
    return int(spans[INDICES, 1] // _ITEM_SIZES[INDICES])


@kernel
def detections_in(spans: NDArray[np.int64]) -> int:
    """Detections of the message."""
    return int(spans[BOXES, 1] // _ITEM_SIZES[BOXES])
