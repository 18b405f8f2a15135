"""From decisions in a workspace to the bytes of a response, in kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, decisions_pb2
from tertium_server.engine import arrays
from tertium_server.engine.addresses import copy_bytes
from tertium_server.engine.columns import COASTED_OUT, DETECTIONS_OUT, FRAMES_TAKEN, Outputs
from tertium_server.rpc.codec import letterhead
from tertium_server.rpc.codec.compiling import array_kernel, kernel

_Decisions = decisions_pb2.Decisions
_FRAME_INDICES = _Decisions.FRAME_INDICES_FIELD_NUMBER
_DETECTION_COUNTS = _Decisions.DETECTION_COUNTS_FIELD_NUMBER
_TRACK_IDS = _Decisions.TRACK_IDS_FIELD_NUMBER
_PROBABILITIES = _Decisions.PROBABILITIES_FIELD_NUMBER
_VERDICTS = _Decisions.VERDICTS_FIELD_NUMBER
_POLICY_VERSION = _Decisions.POLICY_VERSION_FIELD_NUMBER
_BOXES = _Decisions.BOXES_FIELD_NUMBER
_TRACK_PROBABILITIES = _Decisions.TRACK_PROBABILITIES_FIELD_NUMBER
_TRACK_LOWER = _Decisions.TRACK_LOWER_FIELD_NUMBER
_TRACK_UPPER = _Decisions.TRACK_UPPER_FIELD_NUMBER
_TRACK_VERDICTS = _Decisions.TRACK_VERDICTS_FIELD_NUMBER
_COASTED_COUNTS = _Decisions.COASTED_COUNTS_FIELD_NUMBER
_COASTED_TRACK_IDS = _Decisions.COASTED_TRACK_IDS_FIELD_NUMBER
_COASTED_BOXES = _Decisions.COASTED_BOXES_FIELD_NUMBER
_COASTED_PROBABILITIES = _Decisions.COASTED_PROBABILITIES_FIELD_NUMBER
_COASTED_VERDICTS = _Decisions.COASTED_VERDICTS_FIELD_NUMBER

# What a field's number and type are written as, before its length.
_LENGTH_DELIMITED = 2
_DECISIONS_TAG = decision_service_pb2.DecideResponse.DECISIONS_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_TWO_BYTE_NUMBERS = 16  # field numbers from here on take two bytes with their type
_CONTINUED = 0x80
_ID = 8
_BOX = 16
_FLOAT = 4

_BASE, _READY_IDS = letterhead.BASE, letterhead.READY_IDS
_WANT_BOXES, _WANT_TRACKS, _WANT_COASTED = letterhead.BOXES, letterhead.TRACKS, letterhead.COASTED
_VERSION, _VERSION_SIZE = letterhead.VERSION, letterhead.VERSION_SIZE


@kernel
def varint_size(number: int) -> int:
    """Bytes of a number on the wire."""
    size = 1
    while number >= _CONTINUED:
        number >>= 7
        size += 1
    return size


@kernel
def field_size(number: int, length: int) -> int:
    """Bytes of a field with ``length`` bytes in it; a field with none is left out."""
    if length == 0:
        return 0
    return (1 if number < _TWO_BYTE_NUMBERS else 2) + varint_size(length) + length


@kernel
def put_varint(out: NDArray[np.uint8], place: int, number: int) -> int:
    """Writes a number; returns the place behind it."""
    while number >= _CONTINUED:
        out[place] = number & (_CONTINUED - 1) | _CONTINUED
        number >>= 7
        place += 1
    out[place] = number
    return place + 1


@kernel
def put_head(out: NDArray[np.uint8], place: int, number: int, length: int) -> int:
    """Writes what stands before ``length`` bytes of a field; returns the place behind it."""
    return put_varint(out, put_varint(out, place, number << 3 | _LENGTH_DELIMITED), length)


@array_kernel
def put(out: NDArray[np.uint8], place: int, number: int, address: int, length: int) -> int:
    """Writes a field of ``length`` bytes from an address; returns the place behind it."""
    if length == 0:
        return place
    place = put_head(out, place, number, length)
    copy_bytes(np.int64(out.ctypes.data) + place, np.int64(address), np.int64(length))
    return place + length


@kernel
def _put_ids(
    out: NDArray[np.uint8], place: int, number: int, ordinals: NDArray[np.int64], count: int, base: int
) -> int:
    """Writes ordinals as ids: see rpc/track_ids.py."""
    if count == 0:
        return place
    place = put_head(out, place, number, _ID * count)
    for entry in range(count):
        track_id = ordinals[entry] | base
        for byte in range(_ID):  # a response's numbers lie anywhere: byte by byte
            out[place + byte] = track_id >> (8 * byte) & 0xFF
        place += _ID
    return place


@kernel
def _wanted(progress: NDArray[np.int64], entries: NDArray[np.int64]) -> tuple[int, int, int, int, int]:
    """Frames, detections, those with boxes, those with tracks, and coasted tracks to be written."""
    detections = progress[DETECTIONS_OUT]
    return (
        progress[FRAMES_TAKEN],
        detections,
        detections * entries[_WANT_BOXES],
        detections * entries[_WANT_TRACKS],
        progress[COASTED_OUT] * entries[_WANT_COASTED],
    )


@kernel
def _body_size(progress: NDArray[np.int64], entries: NDArray[np.int64]) -> int:
    frames, detections, boxes, tracks, coasted = _wanted(progress, entries)
    size = field_size(_FRAME_INDICES, 8 * frames) + field_size(_DETECTION_COUNTS, 4 * frames)
    size += field_size(_TRACK_IDS, _ID * detections) + field_size(_PROBABILITIES, _FLOAT * detections)
    size += field_size(_VERDICTS, detections) + field_size(_POLICY_VERSION, entries[_VERSION_SIZE])
    size += field_size(_BOXES, _BOX * boxes) + field_size(_TRACK_PROBABILITIES, _FLOAT * tracks)
    size += field_size(_TRACK_LOWER, _FLOAT * tracks) + field_size(_TRACK_UPPER, _FLOAT * tracks)
    size += field_size(_TRACK_VERDICTS, tracks) + field_size(_COASTED_COUNTS, 4 * frames * entries[_WANT_COASTED])
    size += field_size(_COASTED_TRACK_IDS, _ID * coasted) + field_size(_COASTED_BOXES, _BOX * coasted)
    return size + field_size(_COASTED_PROBABILITIES, _FLOAT * coasted) + field_size(_COASTED_VERDICTS, coasted)


@array_kernel
def _put_detections(
    out: NDArray[np.uint8], place: int, outputs: Outputs, progress: NDArray[np.int64], entries: NDArray[np.int64]
) -> int:
    frames, detections, boxes, tracks, _ = _wanted(progress, entries)
    values, row = int(outputs.values.ctypes.data), _FLOAT * outputs.values.shape[1]
    verdicts = int(outputs.verdicts.ctypes.data)
    place = put(out, place, _FRAME_INDICES, outputs.frame_indices.ctypes.data, 8 * frames)
    place = put(out, place, _DETECTION_COUNTS, outputs.counts.ctypes.data, 4 * frames)
    if entries[_READY_IDS] != 0:
        place = put(out, place, _TRACK_IDS, entries[_READY_IDS], _ID * detections)
    else:
        place = _put_ids(out, place, _TRACK_IDS, outputs.track_ids, detections, entries[_BASE])
    place = put(out, place, _PROBABILITIES, values, _FLOAT * detections)
    place = put(out, place, _VERDICTS, verdicts, detections)
    place = put(out, place, _POLICY_VERSION, entries[_VERSION], entries[_VERSION_SIZE])
    place = put(out, place, _BOXES, outputs.boxes.ctypes.data, _BOX * boxes)
    place = put(out, place, _TRACK_PROBABILITIES, values + row, _FLOAT * tracks)
    place = put(out, place, _TRACK_LOWER, values + 2 * row, _FLOAT * tracks)
    place = put(out, place, _TRACK_UPPER, values + 3 * row, _FLOAT * tracks)
    return put(out, place, _TRACK_VERDICTS, verdicts + outputs.verdicts.shape[1], tracks)


@array_kernel
def _put_coasted(
    out: NDArray[np.uint8], place: int, outputs: Outputs, progress: NDArray[np.int64], entries: NDArray[np.int64]
) -> int:
    frames, detections, _, _, coasted = _wanted(progress, entries)
    place = put(out, place, _COASTED_COUNTS, outputs.coasted_counts.ctypes.data, 4 * frames * entries[_WANT_COASTED])
    if entries[_READY_IDS] != 0:
        place = put(out, place, _COASTED_TRACK_IDS, entries[_READY_IDS] + _ID * detections, _ID * coasted)
    else:
        place = _put_ids(out, place, _COASTED_TRACK_IDS, outputs.coasted_track_ids, coasted, entries[_BASE])
    place = put(out, place, _COASTED_BOXES, outputs.coasted_boxes.ctypes.data, _BOX * coasted)
    place = put(out, place, _COASTED_PROBABILITIES, outputs.coasted_values.ctypes.data, _FLOAT * coasted)
    return put(out, place, _COASTED_VERDICTS, outputs.coasted_verdicts.ctypes.data, coasted)


@array_kernel
def write_decisions(workspace_table: NDArray[np.int64], entries: NDArray[np.int64], out: NDArray[np.uint8]) -> int:
    """Writes the field ``decisions`` of a response, with all arrays that the letterhead's ``entries`` ask for, as protobuf would.

    Returns its size. A size over that of ``out`` was not written.
    """
    progress = arrays.progress_of(workspace_table)
    outputs = arrays.outputs_of(workspace_table)
    if progress[FRAMES_TAKEN] == 0:
        return 0
    body = _body_size(progress, entries)
    size = 1 + varint_size(body) + body
    if size <= out.shape[0]:
        out[0] = _DECISIONS_TAG
        place = put_varint(out, 1, body)
        place = _put_detections(out, place, outputs, progress, entries)
        _put_coasted(out, place, outputs, progress, entries)
    return size
