"""The bytes of a recording: a mark, then records one after another. All numbers are little-endian.

A file starts with the eight bytes of MAGIC. A record is a header of nine bytes, `length (uint32), checksum (uint32), kind (uint8)`, and
`length` bytes of content; the checksum is CRC-32 of kind and content. The first record of each file is an OPENING, so that each can be
read by itself. Records are only ever appended: what is cut off in the middle of one is the end of the file.

OPENING   JSON in UTF-8: the fields of `Opening` by name.
FRAMES    `frames (uint32), detections (uint32), present (uint8)`, then the arrays of one message as they are on the wire: indices (int64 each),
          times (int64), counts (uint32), boxes (4 float32 for each detection), scores (float32), class ids (uint32), track ids (int64).
          Times, scores, class ids and track ids are there where the bits 1, 2, 4 and 8 of `present` are set.
LOST      `frames (uint32)`: so many frames were sent between the records before and after, and could not be written.

Readers pass over kinds they do not know.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum
from typing import Any, NamedTuple

MAGIC = b"TERTREC\x01"
"""What every file starts with; its last byte is the version of the layout."""

MOST_CONTENT = 1 << 28
"""Bytes of a record's content, at most: no message is so long."""

_HEADER = struct.Struct("<IIB")
_FRAMES = struct.Struct("<IIB")
_LOST = struct.Struct("<I")
_INT64, _INT32, _BOX = 8, 4, 16

Bytes = bytes | bytearray | memoryview
"""What bytes come as. An array of numpy is taken, too: it is a buffer, though type checkers do not know."""


class DamagedError(ValueError):
    """A file is no recording, or not what was written. Carries the number of the record, from 1; 0: the start of the file."""

    def __init__(self, record: int, problem: str) -> None:
        super().__init__(f"record {record}: {problem}" if record else problem)
        self.record = record
        self.problem = problem


class MismatchError(ValueError):
    """The arrays of a message do not fit together, so that nobody can tell which detection belongs to which frame."""


class Kind(IntEnum):
    """What a record holds."""

    OPENING = 1
    FRAMES = 2
    LOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a stream was opened with: the fields of the Open message that its decisions depend on."""

    stream_id: str
    epoch: int
    class_names: Mapping[int, str]
    group: str = "default"
    frame_width: int = 0
    frame_height: int = 0
    nominal_fps: float = 0.0
    client_tracks: bool = False
    logits: bool = False

    max_detections: int = 0
    """The most detections of a frame that the server took; 0: not known."""

    recorded_by: str = ""
    """Who wrote it: "server" or "client"."""

    recorded_at: float = field(default=0.0, compare=False)
    """When the file was begun, in seconds since 1970; 0: not known."""


class FrameArrays(NamedTuple):
    """The arrays of F frames with N detections, as the Frames message has them; an empty one of the last four, or of times, is absent."""

    indices: Any
    times: Any
    counts: Any
    boxes: Any
    scores: Any
    class_ids: Any
    track_ids: Any


class RecordedFrames(NamedTuple):
    """The same, read again: each as bytes."""

    frames: int
    detections: int
    indices: memoryview
    times: memoryview
    counts: memoryview
    boxes: memoryview
    scores: memoryview
    class_ids: memoryview
    track_ids: memoryview


class Record(NamedTuple):
    """One record of a file."""

    kind: int
    content: memoryview
    number: int
    """Its place in the file, from 1."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a recording."""

    records: tuple[Record, ...] = field(repr=False)
    """All that are whole, of known kinds or not."""

    torn: int = 0
    """Bytes at the end that are no whole record: the writer was cut off. 0: it ends as it should."""


def encode_record(kind: int, content: Iterable[Any]) -> bytes:
    """A record with the given buffers one after another."""
    body = bytes([kind]) + b"".join(content)
    return _HEADER.pack(len(body) - 1, zlib.crc32(body), kind) + body[1:]


def encode_opening(opening: Opening) -> bytes:
    """The record of an Opening."""
    content = asdict(opening)
    content["class_names"] = {str(number): name for number, name in sorted(opening.class_names.items())}
    return encode_record(Kind.OPENING, [json.dumps(content, ensure_ascii=False).encode()])


def encode_frames(arrays: FrameArrays) -> bytes:
    """The record of a message of frames.

    Raises:
        MismatchError: the lengths of the arrays do not fit together.
    """
    sizes = FrameArrays(*(memoryview(array).nbytes for array in arrays))
    frames, detections = sizes.indices // _INT64, sizes.boxes // _BOX
    fits = (
        sizes.indices == frames * _INT64
        and sizes.boxes == detections * _BOX
        and sizes.counts == frames * _INT32
        and sizes.times in {0, frames * _INT64}
        and sizes.scores in {0, detections * _INT32}
        and sizes.class_ids in {0, detections * _INT32}
        and sizes.track_ids in {0, detections * _INT64}
        and sum(memoryview(arrays.counts).cast("B").cast("I")) == detections
    )
    if not fits:
        raise MismatchError("the arrays of the message do not fit together")
    present = sum(
        1 << bit for bit, size in enumerate((sizes.times, sizes.scores, sizes.class_ids, sizes.track_ids)) if size
    )
    return encode_record(Kind.FRAMES, [_FRAMES.pack(frames, detections, present), *arrays])


def encode_lost(frames: int) -> bytes:
    """The record that says so many frames are missing."""
    return encode_record(Kind.LOST, [_LOST.pack(frames)])


def parse_part(data: Bytes) -> Part:
    """The records of a file.

    Raises:
        DamagedError: it is no recording, or a record before the last is not what was written.
    """
    view = memoryview(data)
    if bytes(view[: len(MAGIC)]) != MAGIC[: len(view)]:
        raise DamagedError(0, "is no recording of this version")
    if len(view) < len(MAGIC):
        return Part((), len(view))
    records: list[Record] = []
    at = len(MAGIC)
    while at < len(view):
        number = len(records) + 1
        if len(view) - at < _HEADER.size:
            return Part(tuple(records), len(view) - at)
        length, checksum, kind = _HEADER.unpack_from(view, at)
        if length > MOST_CONTENT:
            raise DamagedError(number, f"says that it is {length:,} bytes long")
        end = at + _HEADER.size + length
        content = view[at + _HEADER.size : end]
        whole = end <= len(view) and zlib.crc32(content, zlib.crc32(bytes([kind]))) == checksum
        if not whole and end < len(view):
            raise DamagedError(number, "does not have its checksum")
        if not whole:
            return Part(tuple(records), len(view) - at)
        records.append(Record(kind, content, number))
        at = end
    return Part(tuple(records))


def decode_opening(record: Record) -> Opening:
    """The Opening of a record; fields of later versions are passed over.

    Raises:
        DamagedError: it is none.
    """
    known = {one.name for one in fields(Opening)}
    try:
        content = json.loads(bytes(record.content))
        content["class_names"] = {int(number): name for number, name in content["class_names"].items()}
        return Opening(**{name: value for name, value in content.items() if name in known})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(record.number, f"is no opening ({error})") from error


def decode_frames(record: Record) -> RecordedFrames:
    """The arrays of a record of frames.

    Raises:
        DamagedError: they are not as long as the record says.
    """
    content = record.content
    if len(content) < _FRAMES.size:
        raise DamagedError(record.number, "is too short for frames")
    frames, detections, present = _FRAMES.unpack_from(content)
    lengths = (
        frames * _INT64,
        frames * _INT64 * (present & 1),
        frames * _INT32,
        detections * _BOX,
        detections * _INT32 * (present >> 1 & 1),
        detections * _INT32 * (present >> 2 & 1),
        detections * _INT64 * (present >> 3 & 1),
    )
    if len(content) != _FRAMES.size + sum(lengths):
        raise DamagedError(record.number, "is not as long as its frames")
    at = _FRAMES.size
    arrays: list[memoryview] = []
    for length in lengths:
        arrays.append(content[at : at + length])
        at += length
    return RecordedFrames(frames, detections, *arrays)


def decode_lost(record: Record) -> int:
    """How many frames are missing.

    Raises:
        DamagedError: it does not say.
    """
    if len(record.content) != _LOST.size:
        raise DamagedError(record.number, "is no number of lost frames")
    return int(_LOST.unpack(record.content)[0])
