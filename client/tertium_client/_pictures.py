"""Pictures for people who review tracks: frames kept for a short while, and the crops of them that a server asks for.

A frame is given with its detections (``stream.send(…, frame=image)``) and kept by reference in a ring of bounded memory. When the ring is full, every
second of the older frames goes: so it reaches further back than the newest frames alone would, and lacks details only long ago. What a server asks
for is cut from the frame wanted, or from the nearest one kept, with a margin; crops leave the machine only when a server asks for them.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium.v1 import evidence_pb2
from tertium_client.errors import InvalidFrameError

Image = NDArray[np.uint8]
"""(height, width, 3) red, green, blue, or (height, width) grey."""
Encoder = Callable[[Image], bytes]
"""Makes JPEG or PNG bytes of a crop."""
Drawing = Callable[[], "evidence_pb2.Evidence | None"]
"""Draws one picture; gives all pictures of a request when it was the last one, else None, and None where there is nothing to show. It takes its
time (a whole frame as PNG about a second), so it is called without locks and outside of event loops, and frames go before each picture."""

_log = logging.getLogger("tertium_client")
_MARGIN = 0.25
"""Of the box's larger side, shown around it."""
_NEAREST_FRAMES = 30
"""A frame further away than this shows something else."""
_MOST_REQUESTS = 64
_MOST_PICTURES = 16
_CORNERS = 4
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def check_image(image: object) -> Image:
    """The image, if it is one.

    Raises:
        InvalidFrameError: it is no array of pixels.
    """
    array: NDArray[Any] = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or not array.size:  # noqa: PLR2004
        raise InvalidFrameError(
            "frame",
            f"shape {array.shape} of {array.dtype} is no image: give (height, width, 3) or (height, width) of uint8",
        )
    return array


def encode_png(image: Image) -> bytes:
    """A PNG of an image, with nothing but the standard library."""
    grey = image.ndim == 2  # noqa: PLR2004  # (height, width)
    height, width = image.shape[:2]
    rows: Image = np.zeros((height, 1 + image[0].size), np.uint8)  # each row begins with the number of its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    pieces = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in pieces
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    index: int
    image: Image


class Pictures:
    """The frames of one stream that are kept, and what a server wants of them."""

    def __init__(self, memory: int, encoder: Encoder | None) -> None:
        self._memory = memory
        self._encode = encoder or encode_png
        self._kept: list[_Kept] = []
        self._bytes = 0
        self._requests: deque[evidence_pb2.EvidenceRequest] = deque(maxlen=_MOST_REQUESTS)
        self._sheet: _Sheet | None = None

    @property
    def frames(self) -> list[int]:
        """Indices of the frames that are kept."""
        return [kept.index for kept in self._kept]

    @property
    def wanted(self) -> bool:
        """A server waits for pictures."""
        return bool(self._requests) or (self._sheet is not None and not self._sheet.done)

    def keep(self, index: int, image: Image | None) -> None:
        """Keeps a frame's image. It is not copied: the caller must not draw on it afterwards."""
        if image is None or image.nbytes > self._memory:
            return
        self._kept.append(_Kept(index, image))
        self._bytes += image.nbytes
        while self._bytes > self._memory:
            self._thin()

    def ask(self, request: evidence_pb2.EvidenceRequest) -> None:
        """A server wants pictures."""
        if self._kept and len(request.boxes) == _CORNERS * len(request.frame_indices):
            self._requests.append(request)

    def forget_requests(self) -> None:
        """The connection they came by is over."""
        self._requests.clear()
        self._sheet = None

    def next_drawing(self) -> Drawing | None:
        """What draws the next picture of the oldest request, of the frames that were kept when its turn came; None: nobody asks."""
        if self._sheet is None or self._sheet.done:
            self._sheet = _Sheet(self._requests.popleft(), self._kept, self._encode) if self._requests else None
        return None if self._sheet is None else self._sheet.draw

    def _thin(self) -> None:
        """Lets every second of the older half go, or, of very few, the oldest."""
        half = len(self._kept) // 2
        older = self._kept[:half]
        self._kept = (older[1::2] if half > 1 else older[1:] if half else []) + self._kept[half:]
        if not half:
            del self._kept[0]
        self._bytes = sum(kept.image.nbytes for kept in self._kept)


class _Sheet:
    """The pictures of one request, drawn one by one: one crop for each frame wanted, none of a frame twice."""

    def __init__(self, request: evidence_pb2.EvidenceRequest, kept: Sequence[_Kept], encode: Encoder) -> None:
        self.done = False
        """All are drawn."""
        self._request_id = request.request_id
        self._most_bytes = request.max_picture_bytes
        self._encode = encode
        self._pictures: dict[int, evidence_pb2.Picture] = {}
        self._wanted: deque[tuple[_Kept, list[float]]] = deque()
        for place, index in enumerate(request.frame_indices[:_MOST_PICTURES]):
            nearest = min(kept, key=lambda each: abs(each.index - index))
            if abs(nearest.index - index) <= _NEAREST_FRAMES:
                box = request.boxes[_CORNERS * place : _CORNERS * (place + 1)]
                self._wanted.append((nearest, [float(corner) for corner in box]))

    def draw(self) -> evidence_pb2.Evidence | None:
        """Draws one more. See Drawing."""
        if self._wanted:
            kept, box = self._wanted.popleft()
            picture = None if kept.index in self._pictures else self._picture(kept, box, self._most_bytes)
            if picture is not None:
                self._pictures[kept.index] = picture
        if self._wanted:
            return None
        self.done = True
        pictures = self._pictures.values()
        return evidence_pb2.Evidence(request_id=self._request_id, pictures=pictures) if pictures else None

    def _picture(self, kept: _Kept, box: list[float], most_bytes: int) -> evidence_pb2.Picture | None:
        area = _around(box, kept.image.shape[1], kept.image.shape[0])
        if area is None:
            return None
        left, top, right, bottom = area
        crop: Image = kept.image[top:bottom, left:right]
        while min(crop.shape[:2]) >= 1:
            try:
                data = self._encode(np.ascontiguousarray(crop))
            except Exception:  # noqa: BLE001  # the caller's own encoder; a stream does not break for want of a picture
                _log.exception("no picture of frame %d: the encoder failed", kept.index)
                return None
            form = _format(data)
            if form is None:
                _log.error("no picture of frame %d: the encoder gave no bytes of a JPEG or PNG", kept.index)
                return None
            if len(data) <= most_bytes:
                return evidence_pb2.Picture(frame_index=kept.index, format=form, data=data, crop=area)
            if min(crop.shape[:2]) == 1:
                return None
            crop = crop[::2, ::2]
        return None


def _around(box: list[float], width: int, height: int) -> tuple[int, int, int, int] | None:
    """A box with its margin, within the picture; None: it lies outside."""
    x1, y1, x2, y2 = box
    if not all(np.isfinite(box)):
        return None
    margin = _MARGIN * max(x2 - x1, y2 - y1)
    left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
    right, bottom = min(width, int(x2 + margin) + 1), min(height, int(y2 + margin) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _format(data: object) -> evidence_pb2.Picture.Format | None:
    """What an encoder gave; None: no bytes, or those of something else."""
    if not isinstance(data, bytes):
        return None
    if data.startswith(_PNG):
        return evidence_pb2.Picture.FORMAT_PNG
    return evidence_pb2.Picture.FORMAT_JPEG if data.startswith(_JPEG) else None
