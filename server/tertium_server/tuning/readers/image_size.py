"""Width and height of images, from the first bytes of their files: PNG, JPEG, BMP, GIF and WebP."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from .errors import Place, ReadError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_START = 32
"""Bytes that tell the size in all formats but JPEG."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of a frame header."""
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG's markers without a length."""


def image_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels, as stored (a turn told of in EXIF is not made).

    Raises:
        ReadError: it can't be read, or is no image of the formats.
    """
    try:
        with file.open("rb") as stream:
            size = _size(stream)
    except OSError as error:
        raise ReadError(Place(file), f"can't be read ({error.strerror or error})", "check its permissions") from error
    except struct.error as error:
        raise ReadError(Place(file), "is not whole", "give the whole image, or none") from error
    if size is None or 0 in size:
        raise ReadError(Place(file), "is no image of a known format", "give PNG, JPEG, BMP, GIF or WebP, or none")
    return size


def _size(stream: BinaryIO) -> tuple[int, int] | None:
    start = stream.read(_START)
    if start.startswith(b"\xff\xd8"):
        stream.seek(2)
        return _jpeg(stream)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", start, 16)
    elif start.startswith(b"GIF8"):
        width, height = struct.unpack_from("<HH", start, 6)
    elif start.startswith(b"BM"):
        width, height = map(abs, struct.unpack_from("<ii", start, 18))
    elif start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _webp(start)
    else:
        return None
    return width, height


def _jpeg(stream: BinaryIO) -> tuple[int, int] | None:
    """Walks from marker to marker up to the frame header (ITU-T T.81, annex B)."""
    while True:
        (byte,) = struct.unpack("B", stream.read(1))
        if byte != 0xFF:  # noqa: PLR2004  # every marker starts so
            return None
        while byte == 0xFF:  # noqa: PLR2004  # and may be padded so
            (byte,) = struct.unpack("B", stream.read(1))
        if byte in _BARE:
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if byte in _FRAMES:
            _, height, width = struct.unpack(">BHH", stream.read(5))
            return width, height
        stream.seek(length - 2, 1)


def _webp(start: bytes) -> tuple[int, int] | None:
    """The three kinds of WebP (RFC 9649, sections 2.4 to 2.7)."""
    kind = start[12:16]
    if kind == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
