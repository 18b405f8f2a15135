import json
import struct
from typing import Any

import numpy as np
import pytest

from tertium.recording import (
    DamagedError,
    FrameArrays,
    Kind,
    MismatchError,
    decode_frames,
    decode_lost,
    decode_opening,
    encode_frames,
    encode_lost,
    encode_opening,
    parse_part,
)
from tertium.recording.layout import MAGIC, encode_record
from tests.recording.builders import message, opening

RECORDS = [encode_opening(opening()), encode_frames(message(0)), encode_lost(5), encode_frames(message(1, 3))]
PART = MAGIC + b"".join(RECORDS)


def same(arrays: FrameArrays, data: bytes) -> bool:
    decoded = decode_frames(parse_part(MAGIC + data).records[0])
    return all(bytes(getattr(decoded, name)) == np.asarray(array).tobytes() for name, array in arrays._asdict().items())


def test_what_is_written_comes_back() -> None:
    part = parse_part(PART)
    assert part.torn == 0
    assert [Kind(record.kind) for record in part.records] == [Kind.OPENING, Kind.FRAMES, Kind.LOST, Kind.FRAMES]
    assert [record.number for record in part.records] == [1, 2, 3, 4]
    assert decode_opening(part.records[0]) == opening()
    assert decode_lost(part.records[2]) == 5
    frames = decode_frames(part.records[3])
    assert (frames.frames, frames.detections) == (3, len(message(1).boxes))


@pytest.mark.parametrize("absent", [(), ("times",), ("scores", "class_ids"), ("times", "scores", "class_ids")])
@pytest.mark.parametrize("frames", [0, 1, 9])
def test_arrays_may_be_absent(absent: tuple[str, ...], frames: int) -> None:
    arrays = message(2, frames=frames)._replace(**{name: np.empty(0, np.int64) for name in absent})
    assert same(arrays, encode_frames(arrays))


def test_track_ids_and_plain_bytes_are_taken() -> None:
    arrays = message(3)
    arrays = arrays._replace(track_ids=np.arange(len(arrays.boxes), dtype=np.int64))
    assert same(arrays, encode_frames(arrays))
    assert encode_frames(FrameArrays(*(array.tobytes() for array in arrays))) == encode_frames(arrays)


@pytest.mark.parametrize("name", ["indices", "times", "counts", "boxes", "scores", "class_ids"])
def test_arrays_that_do_not_fit_together_are_refused(name: str) -> None:
    arrays = message(0)
    with pytest.raises(MismatchError):
        encode_frames(arrays._replace(**{name: getattr(arrays, name)[:-1]}))
    with pytest.raises(MismatchError):
        encode_frames(arrays._replace(**{name: getattr(arrays, name).tobytes()[:-1]}))


def test_wherever_the_file_is_cut_the_whole_records_are_read_and_the_rest_is_named() -> None:
    ends = np.cumsum([len(MAGIC), *map(len, RECORDS)]).tolist()
    for length in range(len(PART)):
        part = parse_part(PART[:length])
        whole = sum(end <= length for end in ends[1:])
        assert len(part.records) == whole
        assert part.torn == length - (ends[whole] if length >= len(MAGIC) else 0)


def test_a_last_record_of_zeros_is_torn() -> None:
    # What a file system may leave of a record after a power cut: its length, and nothing in it.
    part = parse_part(PART[: -len(RECORDS[-1])] + RECORDS[-1][:9] + bytes(len(RECORDS[-1]) - 9))
    assert (len(part.records), part.torn) == (3, len(RECORDS[-1]))


@pytest.mark.parametrize("record", range(3))
def test_a_changed_byte_before_the_end_is_damage(record: int) -> None:
    at = len(MAGIC) + sum(map(len, RECORDS[:record])) + 12
    damaged = bytearray(PART)
    damaged[at] ^= 1
    with pytest.raises(DamagedError, match=f"record {record + 1}: does not have its checksum"):
        parse_part(damaged)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(DamagedError, match="no recording of this version"):
        parse_part(b"TERTREC\x02" + PART[8:])
    with pytest.raises(DamagedError, match="no recording"):
        parse_part(b"1,-1")
    with pytest.raises(DamagedError, match="record 1: says that it is 4,294,967,295 bytes long"):
        parse_part(MAGIC + struct.pack("<IIB", 2**32 - 1, 0, 1))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"stream_id": "a", "class_names": {}}', b'{"class_names": {"x": "y"}, "epoch": 1}'],
)
def test_an_opening_that_is_none_is_damage(content: bytes) -> None:
    [record] = parse_part(MAGIC + encode_record(Kind.OPENING, [content])).records
    with pytest.raises(DamagedError, match="record 1: is no opening"):
        decode_opening(record)


def test_fields_and_kinds_of_later_versions_are_passed_over() -> None:
    content: dict[str, Any] = {"stream_id": "gate", "epoch": 7, "class_names": {"0": "person", "3": "car"}, "lens": 5}
    part = parse_part(MAGIC + encode_record(Kind.OPENING, [json.dumps(content).encode()]) + encode_record(99, [b"?"]))
    assert decode_opening(part.records[0]) == opening()
    assert (part.records[1].kind, bytes(part.records[1].content), part.torn) == (99, b"?", 0)


@pytest.mark.parametrize("content", [b"", b"\x01\0\0\0\0\0\0\0\0"])
def test_frames_that_are_too_short_are_damage(content: bytes) -> None:
    [record] = parse_part(MAGIC + encode_record(Kind.FRAMES, [content])).records
    with pytest.raises(DamagedError, match="record 1: is"):
        decode_frames(record)
    [record] = parse_part(MAGIC + encode_record(Kind.LOST, [content])).records
    with pytest.raises(DamagedError, match="no number of lost frames"):
        decode_lost(record)
