"""The fast codec: request bytes to numpy columns, decision columns to response bytes.

Requests are parsed through the twin schema (rpc/twin.py) and read in place. A message that is packed in another way than senders normally do
(element by element, in several pieces, with fields this server does not know) shows by its size, and is parsed by the public classes instead; what
comes out is the same.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, cast

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, frames_pb2
from tertium_server.engine import FrameColumns
from tertium_server.errors import InvalidRequestError
from tertium_server.rpc.twin import TwinFrames, twin_class

if sys.byteorder != "little":  # pragma: no cover - no such machine here
    raise ImportError("tertium_server.rpc reads the wire's little-endian arrays in place; this machine is big-endian")

_REQUEST = twin_class("DecideRequest")
_FRAMES = twin_class("Frames")
_BATCH_PIECES = twin_class("DecideBatchRequest")

# dtype objects: a dtype given as a string is parsed anew in each call.
_INT64 = np.dtype("<i8")
_UINT64 = np.dtype("<u8")
_UINT32 = np.dtype("<u4")
_FLOAT32 = np.dtype("<f4")
_NO_INT64: NDArray[np.int64] = np.frombuffer(b"", _INT64)
_NO_UINT32: NDArray[np.uint32] = np.frombuffer(b"", _UINT32)
_NO_FLOAT32: NDArray[np.float32] = np.frombuffer(b"", _FLOAT32)
_CORNERS = 4


@lru_cache(4096)
def _plain_size(*lengths: int) -> int:
    """Bytes of a message whose payloads have these lengths and which holds nothing else: each field once, lengths as short as can be."""
    return sum(_field_size(length) for length in lengths if length)


def _field_size(length: int) -> int:
    """Bytes of a field with a payload: a tag of one byte, the length as a varint of seven bits a byte, the payload."""
    return 1 + max(1, -(-length.bit_length() // 7)) + length


def read_frames(data: bytes) -> FrameColumns | None:
    """The frames of a DecideRequest as columns that lie in the message's own memory; None: it is no plain message of frames.

    None says only that the fast way does not apply: ``read_request`` then tells what the message is.
    """
    try:
        request: Any = _REQUEST.FromString(data)
    except DecodeError:
        return None
    columns, size = _columns(request.frames)
    return columns if _field_size(size) == len(data) else None


def _columns(frames: TwinFrames) -> tuple[FrameColumns | None, int]:
    """Columns of a twin, and the bytes it would take if it held nothing else. If it took more, something was lost in parsing.

    What the twin has read it writes in as many bytes as it came in, or in fewer. So where both are as long, there was no second piece of an array, no
    element outside of one, and no field that the twin does not know.
    """
    indices = frames.frame_indices
    times = frames.capture_times
    counts = frames.detection_counts
    boxes = frames.boxes
    scores = frames.scores
    class_ids = frames.class_ids
    track_ids = frames.track_ids
    size = _plain_size(len(indices), len(times), len(counts), len(boxes), len(scores), len(class_ids), len(track_ids))
    read = np.frombuffer
    try:
        columns = FrameColumns(
            read(indices, _INT64),
            read(times, _INT64) if times else _NO_INT64,
            read(counts, _UINT32),
            read(boxes, _FLOAT32).reshape(-1, _CORNERS),
            read(scores, _FLOAT32) if scores else _NO_FLOAT32,
            read(class_ids, _UINT32) if class_ids else _NO_UINT32,
            read(track_ids, _INT64) if track_ids else _NO_INT64,
        )
    except ValueError:  # no whole number of elements, or of boxes
        return None, size
    return columns, size


def read_request(data: bytes) -> decision_service_pb2.DecideRequest:
    """The request through the public class.

    Raises:
        InvalidRequestError: The bytes are no DecideRequest, or hold none of its kinds.
    """
    try:
        request = decision_service_pb2.DecideRequest.FromString(data)
    except DecodeError as error:
        raise InvalidRequestError.of("", f"the message is no tertium.v1.DecideRequest ({error})") from error
    if request.WhichOneof("message") is None:
        raise InvalidRequestError.of("message", "one of open, frames or evidence has to be set")
    return request


def read_batch(data: bytes) -> tuple[decision_service_pb2.DecideBatchRequest, FrameColumns]:
    """A DecideBatchRequest, its frames left out, and those frames as columns.

    Raises:
        InvalidRequestError: The bytes are no DecideBatchRequest.
    """
    try:
        pieces: Any = _BATCH_PIECES.FromString(data)
        request = decision_service_pb2.DecideBatchRequest(end_of_stream=pieces.end_of_stream)
        if pieces.open:
            # The pieces of a message, behind one another, are the message. One without content is there all the same.
            request.open.SetInParent()
            request.open.MergeFromString(b"".join(pieces.open))
        body = b"".join(pieces.frames)
        columns, size = _columns(_frames_twin(body))
        if columns is None or size != len(body):
            columns = frame_columns(frames_pb2.Frames.FromString(body))
    except DecodeError as error:
        raise InvalidRequestError.of("", f"the message is no tertium.v1.DecideBatchRequest ({error})") from error
    return request, columns


def _frames_twin(body: bytes) -> TwinFrames:
    twin: Any = _FRAMES.FromString(body)
    return cast("TwinFrames", twin)


def frame_columns(frames: frames_pb2.Frames) -> FrameColumns:
    """Columns of a public Frames message: the slow way, which copies."""
    counts = np.array(frames.detection_counts, _UINT32)
    columns = FrameColumns(
        _signed(frames.frame_indices),
        np.array(frames.capture_times, _INT64),
        counts,
        _whole_boxes(np.array(frames.boxes, _FLOAT32), int(counts.sum(dtype=np.int64))),
        np.array(frames.scores, _FLOAT32),
        np.array(frames.class_ids, _UINT32),
        _signed(frames.track_ids),
    )
    for column in columns:
        column.flags.writeable = False  # kernels are compiled for read-only columns
    return columns


def _whole_boxes(corners: NDArray[np.float32], detections: int) -> NDArray[np.float32]:
    """Corners as rows of four. A torn last box is left out, or filled up, so that the number of boxes can't fit the counts by chance."""
    boxes, rest = divmod(len(corners), _CORNERS)
    if not rest:
        return corners.reshape(-1, _CORNERS)
    rows = boxes + 1 if boxes == detections else boxes
    return np.resize(corners, (rows, _CORNERS))


def _signed(numbers: Any) -> NDArray[np.int64]:  # noqa: ANN401 - a repeated container, whose class is private to protobuf
    """Unsigned 64-bit numbers as the engine takes them: what lies over 2^63 - 1 turns negative, which no index and no id may be."""
    return np.array(numbers, _UINT64).view(_INT64)
