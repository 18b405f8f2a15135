import struct
from pathlib import Path

import pytest

from tertium_server.tuning.readers import ReadError
from tertium_server.tuning.readers.image_size import image_size

# Written by the formats' own documents, not by a library: only the headers are there.
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x02\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(22)
BMP = b"BM" + struct.pack("<IIIIii", 0, 0, 54, 40, 640, -480) + bytes(10)
WEBP = b"RIFF" + bytes(4) + b"WEBP"
LOSSY = WEBP + b"VP8 " + bytes(4) + b"\x50\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480)
LOSSLESS = WEBP + b"VP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14) + bytes(9)
EXTENDED = WEBP + b"VP8X" + bytes(8) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little") + bytes(8)
TABLES = b"\xff\xe1\x00\x06Exif\xff\xff\xdb\x00\x04\xff\xc0\xff\xc4\x00\x03\xc0"
JPEG = b"\xff\xd8" + TABLES + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", 480, 640) + bytes(20)


@pytest.mark.parametrize("content", [PNG, GIF, BMP, LOSSY, LOSSLESS, EXTENDED, JPEG])
def test_the_size_stands_in_the_header(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    assert image_size(file) == (640, 480)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no image of a known format"),
        (b"text", "is no image of a known format"),
        (PNG[:20], "is not whole"),
        (JPEG[:20], "is not whole"),
        (JPEG[:2] + b"zzz", "is no image of a known format"),
        (PNG.replace(struct.pack(">I", 480), bytes(4)), "is no image of a known format"),
        (WEBP + b"????" + bytes(20), "is no image of a known format"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    with pytest.raises(ReadError, match=problem):
        image_size(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="can't be read"):
        image_size(tmp_path / "gone.png")
