"""Pictures that callers send, made harmless: decoded within bounds, and encoded anew. Nothing of what was sent is stored but its pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from tertium_server.errors import TertiumError

MOST_PICTURES = 16
"""Pictures of one case."""
MOST_BYTES = 1 << 20
"""Bytes of one picture as it is sent."""
_MOST_PIXELS = 8_000_000
_MOST_SIDE = 8192
_STORED_SIDE = 1280
_QUALITY = 85
_FORMATS = ("JPEG", "PNG")


class PictureRefusedError(TertiumError):
    """A picture can't be taken. The message says why."""


@dataclass(frozen=True, slots=True)
class SafePicture:
    """A picture as it is stored."""

    data: bytes
    """JPEG."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    media_type: str = "image/jpeg"


def make_safe(data: bytes) -> SafePicture:
    """The picture, encoded anew, no side longer than 1280 pixels.

    Raises:
        PictureRefusedError: It is too large, or no JPEG or PNG, or damaged.
    """
    if len(data) > MOST_BYTES:
        raise PictureRefusedError(f"it has {len(data)} bytes; {MOST_BYTES} are the most")
    try:
        # Pillow's warnings are left alone: filters are the whole process's, and other threads would meet them, or be left with them.
        return _encoded(data)
    except PictureRefusedError:
        raise
    except Exception as error:
        # Decoders raise whatever comes to them: OSError, SyntaxError, ValueError, struct.error, DecompressionBombError …
        raise PictureRefusedError(f"it is no JPEG or PNG that can be read ({type(error).__name__})") from error


def _encoded(data: bytes) -> SafePicture:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        width, height = opened.size  # of the header; no pixel is decoded yet
        if width * height > _MOST_PIXELS or max(width, height) > _MOST_SIDE:
            raise PictureRefusedError(f"it has {width} x {height} pixels; {_MOST_PIXELS} in all are the most")
        picture = opened.convert("RGB")
    picture.thumbnail((_STORED_SIDE, _STORED_SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return SafePicture(out.getvalue(), *picture.size)
