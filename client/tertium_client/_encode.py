"""Callers' arrays to messages: checked early, by errors that name the field and the remedy."""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tertium_client._pictures import check_image
from tertium_client._settings import StreamSettings
from tertium_client._wire import delimited
from tertium_client.errors import InvalidFrameError

MOST_FRAME_INDEX = 2**62
_MOST_TIME = 2**63 - 1
_CLASS_ID, _TRACK_ID = np.dtype("<u4"), np.dtype("<i8")

_NO_NUMBERS = (TypeError, ValueError, OverflowError, RuntimeError)
"""What numpy raises where it can't make an array, and what arrays of other libraries (on a GPU, say) raise where they can't be read."""

_INDICES, _TIMES, _COUNTS, _BOXES, _SCORES, _CLASS_IDS, _TRACK_IDS = range(1, 8)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Frame:
    """One frame's detections. N is their number; 0 is evidence too, of absence, and has to be sent.

    Anything that numpy turns into arrays of these shapes may be given; the frame holds copies.

    Raises:
        InvalidFrameError: shapes, lengths or values that no server would take.
    """

    boxes: NDArray[np.float32]
    """(N, 4): x1, y1, x2, y2 in pixels, y downwards; [] for no detections."""
    scores: NDArray[np.float32] | None
    """(N,): on the scale of the stream; None: 1.0 each."""
    class_ids: NDArray[np.uint32] | None
    """(N,) whole numbers, each named in the stream's class_names; None where those name just one class."""
    track_ids: NDArray[np.int64] | None
    """(N,) whole numbers from 0 (not tracked) on, with client_tracks; else None."""
    frame_index: int | None
    """Larger than that of the frame before, 0 to 2^62; None: one more than the frame before."""
    capture_time: int | None
    """Nanoseconds since any fixed point; None: index / nominal_fps."""
    picture: NDArray[np.uint8] | None
    """(height, width, 3) red, green, blue, or (height, width) grey: what the camera saw. Kept for a while, not copied and not sent, but for crops
    that a server asks for because people are to look at a track."""

    def __init__(
        self,
        boxes: ArrayLike,
        scores: ArrayLike | None = None,
        class_ids: ArrayLike | None = None,
        track_ids: ArrayLike | None = None,
        frame_index: SupportsIndex | None = None,
        capture_time: SupportsIndex | None = None,
        *,
        picture: ArrayLike | None = None,
    ) -> None:
        checked = _boxes(boxes)
        count = len(checked)
        keep = object.__setattr__
        keep(self, "boxes", checked)
        keep(self, "scores", None if scores is None else _scores(scores, count))
        keep(self, "class_ids", None if class_ids is None else _whole("class_ids", class_ids, count, _CLASS_ID))
        keep(self, "track_ids", None if track_ids is None else _whole("track_ids", track_ids, count, _TRACK_ID))
        keep(self, "frame_index", None if frame_index is None else _index(frame_index))
        keep(self, "capture_time", None if capture_time is None else _time(capture_time))
        keep(self, "picture", None if picture is None else check_image(picture))


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    """A frame as it goes over the wire: each array as the bytes of its packed field. Compared by identity."""

    index: int
    count: int
    time: int | None
    boxes: bytes
    scores: bytes | None
    class_ids: bytes | None
    track_ids: bytes | None

    @property
    def form(self) -> tuple[bool, bool, bool] | None:
        """Which arrays it has: frames share a message only where these agree. None: without detections, it fits any message."""
        return (self.scores is None, self.class_ids is None, self.track_ids is None) if self.count else None


class FrameEncoder:
    """Checks frames against the settings of their stream and encodes them."""

    def __init__(self, settings: StreamSettings) -> None:
        self._classes = settings.class_names
        self._client_tracks = settings.client_tracks
        self._fps = settings.nominal_fps
        self._known = np.zeros(max(settings.class_names) + 1, dtype=np.bool_)
        self._known[list(settings.class_names)] = True
        self._timed: bool | None = None

    def encode(self, frame: Frame, *, index: int, most_detections: int) -> EncodedFrame:
        """The bytes of a frame. The first frame decides whether this stream's frames carry capture times.

        Raises:
            InvalidFrameError: the frame does not fit the stream.
        """
        count = len(frame.boxes)
        if most_detections and count > most_detections:
            raise InvalidFrameError(
                "boxes",
                f"{count} detections: the server takes at most {most_detections} a frame; leave out the lowest scores",
            )
        self._check_time(frame)
        self._check_classes(frame, count)
        self._check_tracks(frame, count)
        self._timed = frame.capture_time is not None
        return EncodedFrame(
            index=index,
            count=count,
            time=frame.capture_time,
            boxes=frame.boxes.tobytes(),
            scores=None if frame.scores is None else frame.scores.tobytes(),
            class_ids=None if frame.class_ids is None else frame.class_ids.tobytes(),
            track_ids=None if frame.track_ids is None else frame.track_ids.tobytes(),
        )

    def _check_time(self, frame: Frame) -> None:
        timed = frame.capture_time is not None
        if not timed and not self._fps:
            raise InvalidFrameError(
                "capture_time", "missing: give nanoseconds with each frame, or open the stream with nominal_fps"
            )
        if self._timed is not None and timed != self._timed:
            had = "had one" if self._timed else "had none"
            raise InvalidFrameError(
                "capture_time", f"the frames before {had}: give one with all frames of a stream, or with none"
            )

    def _check_classes(self, frame: Frame, count: int) -> None:
        ids = frame.class_ids
        if ids is None:
            if count and len(self._classes) > 1:
                raise InvalidFrameError("class_ids", "missing: the stream names more than one class")
        elif count and (int(ids.max()) >= len(self._known) or not self._known[ids].all()):
            unknown = next(int(number) for number in ids if int(number) not in self._classes)
            raise InvalidFrameError(
                "class_ids",
                f"{unknown} is not named in the stream's class_names: name it there or leave such detections out",
            )

    def _check_tracks(self, frame: Frame, count: int) -> None:
        if self._client_tracks and frame.track_ids is None and count:
            raise InvalidFrameError(
                "track_ids",
                "missing: the stream was opened with client_tracks; 0 stands for a detection that is not tracked",
            )
        if not self._client_tracks and frame.track_ids is not None:
            raise InvalidFrameError("track_ids", "given, but the stream was opened without client_tracks=True")


def same_form(frames: Sequence[EncodedFrame]) -> bool:
    """These frames may share a message."""
    return len({frame.form for frame in frames} - {None}) <= 1


def frames_message(frames: Sequence[EncodedFrame]) -> bytes:
    """The bytes of a `Frames` message. The frames have the same form."""
    number = len(frames)
    parts = [delimited(_INDICES, struct.pack(f"<{number}Q", *[frame.index for frame in frames]))]
    times = [frame.time for frame in frames if frame.time is not None]
    if times:
        parts.append(delimited(_TIMES, struct.pack(f"<{number}q", *times)))
    parts.append(delimited(_COUNTS, struct.pack(f"<{number}I", *[frame.count for frame in frames])))
    for field, columns in (
        (_BOXES, [frame.boxes for frame in frames]),
        (_SCORES, [frame.scores for frame in frames if frame.scores]),
        (_CLASS_IDS, [frame.class_ids for frame in frames if frame.class_ids]),
        (_TRACK_IDS, [frame.track_ids for frame in frames if frame.track_ids]),
    ):
        if columns:
            parts.append(delimited(field, columns[0] if len(columns) == 1 else b"".join(columns)))
    return b"".join(parts)


def _boxes(values: ArrayLike) -> NDArray[np.float32]:
    boxes = _floats("boxes", values)
    if not boxes.size and boxes.ndim <= 2:  # noqa: PLR2004  # [] and [[]] are no detections
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:  # noqa: PLR2004  # (N, 4)
        raise InvalidFrameError("boxes", f"shape {boxes.shape} is not (N, 4): x1, y1, x2, y2 for each detection")
    _check_finite("boxes", boxes)
    return boxes


def _scores(values: ArrayLike, count: int) -> NDArray[np.float32]:
    scores = _floats("scores", values)
    _check_length("scores", scores, count)
    _check_finite("scores", scores)
    return scores


def _floats(field: str, values: ArrayLike) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused as that
            return np.array(values, dtype="<f4", order="C")
    except _NO_NUMBERS as error:
        raise InvalidFrameError(field, f"no array of numbers: {error}") from error


def _whole(field: str, values: ArrayLike, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except _NO_NUMBERS as error:
        raise InvalidFrameError(field, f"no array of numbers: {error}") from error
    _check_length(field, array, count)
    if not array.size:
        return np.zeros(0, dtype=kind)
    if array.dtype.kind not in "iu":
        raise InvalidFrameError(
            field, f"of type {array.dtype}, not whole numbers: convert them, as numpy.asarray(x).astype(int) does"
        )
    most = np.iinfo(kind).max
    if array.dtype != kind and (int(array.min()) < 0 or int(array.max()) > most):
        raise InvalidFrameError(field, f"values from {array.min()} to {array.max()} do not lie between 0 and {most}")
    if kind.kind == "i" and int(array.min()) < 0:
        raise InvalidFrameError(field, f"{array.min()} is negative: 0 stands for a detection that is not tracked")
    return np.array(array, dtype=kind, order="C")


def _index(value: SupportsIndex) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InvalidFrameError("frame_index", f"{value!r} is no whole number: count frames from 0 on") from error
    if not 0 <= number <= MOST_FRAME_INDEX:
        raise InvalidFrameError("frame_index", f"{number} does not lie between 0 and 2^62")
    return number


def _time(value: SupportsIndex) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InvalidFrameError(
            "capture_time", f"{value!r} is no whole number of nanoseconds: give round(seconds * 1e9)"
        ) from error
    if not -_MOST_TIME <= number <= _MOST_TIME:
        raise InvalidFrameError("capture_time", f"{number} ns does not fit into 64 bits")
    return number


def _check_length(field: str, array: NDArray[Any], count: int) -> None:
    if array.ndim != 1 or len(array) != count:
        # An empty list for no detections is (0,), whatever its type.
        raise InvalidFrameError(field, f"shape {array.shape} does not fit {count} boxes: it has to be ({count},)")


def _check_finite(field: str, array: NDArray[np.float32]) -> None:
    if not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InvalidFrameError(
            field, f"detection {first} has a value that is not finite (or too large for float32): leave it out"
        )
