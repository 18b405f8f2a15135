"""The fast codec against the public classes, for every way in which proto3 lets a message be written."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tertium.v1 import decision_service_pb2
from tertium_server.engine import FrameColumns
from tertium_server.errors import InvalidRequestError
from tertium_server.rpc import wire
from tests.rpc.builders import Frames, Request, open_message, random_frames, request

# Number and struct code of each array of Frames.
ARRAYS = {
    "frame_indices": (1, "Q"),
    "capture_times": (2, "q"),
    "detection_counts": (3, "I"),
    "boxes": (4, "f"),
    "scores": (5, "f"),
    "class_ids": (6, "I"),
    "track_ids": (7, "Q"),
}
FRAMES_FIELD = 2
LENGTH, FIXED64, FIXED32, VARINT = 2, 1, 5, 0


def varint(number: int, longer: int = 0) -> bytes:
    """A varint; ``longer`` adds bytes that say nothing."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        if not number and not longer:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)
        if not number:
            out += b"\x80" * (longer - 1) + b"\x00"
            return bytes(out)


def tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def packed(number: int, code: str, values: Sequence[Any], longer: int = 0) -> bytes:
    payload = struct.pack(f"<{len(values)}{code}", *values)
    return tag(number, LENGTH) + varint(len(payload), longer) + payload


def unpacked(number: int, code: str, values: Sequence[Any]) -> bytes:
    kind = FIXED64 if struct.calcsize(code) == 8 else FIXED32
    return b"".join(tag(number, kind) + struct.pack(f"<{code}", value) for value in values)


def split(number: int, code: str, values: Sequence[Any]) -> bytes:
    half = len(values) // 2
    return packed(number, code, values[:half]) + packed(number, code, values[half:])


def half_packed(number: int, code: str, values: Sequence[Any]) -> bytes:
    half = len(values) // 2
    return packed(number, code, values[:half]) + unpacked(number, code, values[half:])


def long_winded(number: int, code: str, values: Sequence[Any]) -> bytes:
    return packed(number, code, values, longer=2)


STYLES = {
    "packed": packed,
    "unpacked": unpacked,
    "split": split,
    "half packed": half_packed,
    "long-winded": long_winded,
}


def encode(frames: Frames, styles: dict[str, str] | None = None, order: Sequence[str] = tuple(ARRAYS)) -> bytes:
    """A DecideRequest of frames, each array in a style of its own; an array without elements is left out."""
    body = encode_body(frames, styles, order)
    return tag(FRAMES_FIELD, LENGTH) + varint(len(body)) + body


def encode_body(frames: Frames, styles: dict[str, str] | None = None, order: Sequence[str] = tuple(ARRAYS)) -> bytes:
    body = b""
    for name in order:
        number, code = ARRAYS[name]
        values = list(getattr(frames, name))
        if values:
            body += STYLES[(styles or {}).get(name, "packed")](number, code, values)
    return body


def read(data: bytes) -> FrameColumns:
    """Columns as the server gets them: fast, or else slowly."""
    columns = wire.read_frames(data)
    return wire.frame_columns(wire.read_request(data).frames) if columns is None else columns


def assert_same(columns: FrameColumns, expected: FrameColumns) -> None:
    for name in FrameColumns._fields:
        column, other = getattr(columns, name), getattr(expected, name)
        assert (name, column.dtype, column.shape) == (name, other.dtype, other.shape)
        assert column.tobytes() == other.tobytes(), name  # bytes: NaN is no other number than itself


def public(data: bytes) -> FrameColumns:
    return wire.frame_columns(Request.FromString(data).frames)


FRAMES = random_frames(np.random.default_rng(3), 4)


def test_what_senders_normally_write_is_read_the_fast_way() -> None:
    data = request(FRAMES)
    columns = wire.read_frames(data)
    assert columns is not None
    assert_same(columns, public(data))


@pytest.mark.parametrize("absent", ["capture_times", "scores", "class_ids", "track_ids"])
def test_optional_arrays_that_are_absent_are_empty_columns(absent: str) -> None:
    frames = Frames()
    frames.CopyFrom(FRAMES)
    frames.ClearField(absent)
    columns = wire.read_frames(request(frames))
    assert columns is not None
    assert_same(columns, public(request(frames)))


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("style", ["unpacked", "split", "half packed", "long-winded"])
def test_an_array_that_is_written_in_another_way_is_read_the_slow_way(array: str, style: str) -> None:
    data = encode(FRAMES, {array: style})
    assert wire.read_frames(data) is None
    assert_same(read(data), public(request(FRAMES)))


def test_all_arrays_unpacked() -> None:
    data = encode(FRAMES, dict.fromkeys(ARRAYS, "unpacked"))
    assert wire.read_frames(data) is None
    assert_same(read(data), public(request(FRAMES)))


def test_messages_behind_one_another_are_merged() -> None:
    """Proto3: the concatenation of two messages is the message of both."""
    other = random_frames(np.random.default_rng(4), 2)
    data = request(FRAMES) + request(other)
    assert wire.read_frames(data) is None
    assert_same(read(data), public(data))
    assert len(read(data).indices) == 6


def test_the_order_of_fields_makes_no_difference() -> None:
    data = encode(FRAMES, order=tuple(reversed(ARRAYS)))
    columns = wire.read_frames(data)
    assert columns is not None
    assert_same(columns, public(request(FRAMES)))


@pytest.mark.parametrize("unknown", [tag(100, VARINT) + b"\x05", tag(8, LENGTH) + b"\x03abc", tag(4, VARINT) + b"\x05"])
def test_fields_from_the_future_are_passed_over(unknown: bytes) -> None:
    body = encode(FRAMES)[len(tag(FRAMES_FIELD, LENGTH)) + 2 :] + unknown
    data = tag(FRAMES_FIELD, LENGTH) + varint(len(body)) + body
    assert wire.read_frames(data) is None
    assert_same(read(data), public(request(FRAMES)))


def test_an_array_that_is_there_but_empty() -> None:
    body = packed(1, "Q", [5]) + packed(3, "I", [0]) + tag(4, LENGTH) + b"\x00"
    data = tag(FRAMES_FIELD, LENGTH) + varint(len(body)) + body
    assert_same(read(data), public(data))


def test_frames_after_an_open_win_as_the_last_of_a_oneof() -> None:
    data = Request(open=open_message()).SerializeToString() + request(FRAMES)
    assert wire.read_frames(data) is None
    assert wire.read_request(data).WhichOneof("message") == "frames"
    assert_same(read(data), public(request(FRAMES)))


def test_a_torn_box_can_not_fit_the_counts() -> None:
    for extra in (1, 2, 3):
        frames = Frames(frame_indices=[1], detection_counts=[2], boxes=[1.0] * (8 + extra))
        columns = wire.read_frames(request(frames)) or wire.frame_columns(frames)
        assert columns.boxes.shape[0] != 2


def test_a_torn_box_under_counts_that_would_fit_if_it_were_whole() -> None:
    frames = Frames(frame_indices=[1], detection_counts=[3], boxes=[1.0] * 10)
    assert wire.frame_columns(frames).boxes.shape[0] == 2


def test_counts_in_the_billions_cost_no_memory() -> None:
    frames = Frames(frame_indices=[1], detection_counts=[2**32 - 1], boxes=[1.0, 2.0, 3.0])
    assert wire.frame_columns(frames).boxes.shape[0] == 0


def test_a_torn_element_is_no_message() -> None:
    body = packed(1, "Q", [5]) + tag(4, LENGTH) + b"\x07" + b"1234567"
    data = tag(FRAMES_FIELD, LENGTH) + varint(len(body)) + body
    assert wire.read_frames(data) is None
    with pytest.raises(InvalidRequestError):
        wire.read_request(data)


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x12\x7f", b"\x0a\x03\x0a\x01\xff", b"\x12"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    assert wire.read_frames(data) is None
    with pytest.raises(InvalidRequestError, match=r"no tertium\.v1\.DecideRequest"):
        wire.read_request(data)


def test_a_request_without_a_kind_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="one of open, frames or evidence"):
        wire.read_request(b"")


def test_columns_are_what_kernels_are_compiled_for() -> None:
    for columns in (wire.read_frames(request(FRAMES)), wire.frame_columns(FRAMES)):
        assert columns is not None
        for column in columns:
            assert not column.flags.writeable
            assert column.flags.c_contiguous
            assert column.flags.aligned


def test_unsigned_numbers_over_2_to_the_63_turn_negative() -> None:
    frames = Frames(frame_indices=[2**63 + 1], detection_counts=[0])
    assert read(request(frames)).indices.tolist() == [-(2**63) + 1]
    assert wire.frame_columns(frames).indices.tolist() == [-(2**63) + 1]


floats = st.floats(width=32)
contents = st.fixed_dictionaries(
    {
        "frame_indices": st.lists(st.integers(0, 2**64 - 1), max_size=4),
        "capture_times": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
        "detection_counts": st.lists(st.integers(0, 2**32 - 1), max_size=4),
        "boxes": st.lists(floats, max_size=17),
        "scores": st.lists(floats, max_size=5),
        "class_ids": st.lists(st.integers(0, 2**32 - 1), max_size=5),
        "track_ids": st.lists(st.integers(0, 2**64 - 1), max_size=5),
    }
)


@given(
    contents,
    st.fixed_dictionaries({name: st.sampled_from(sorted(STYLES)) for name in ARRAYS}),
    st.permutations(list(ARRAYS)),
)
def test_any_content_in_any_style_and_order_is_what_the_public_class_reads(
    content: dict[str, Any], styles: dict[str, str], order: list[str]
) -> None:
    data = encode(Frames(**content), styles, order)
    assert_same(read(data), public(data))


def test_whatever_a_damaged_message_turns_into_is_what_the_public_class_reads() -> None:
    random = np.random.default_rng(11)
    outcomes = {"fast": 0, "slow": 0, "refused": 0}
    for _ in range(20_000):
        styles = dict.fromkeys(ARRAYS, str(random.choice(sorted(STYLES))))
        data = bytearray(encode_body(random_frames(random, int(random.integers(1, 4)), 4), styles))
        damage(data, random)
        outcomes[compare(tag(FRAMES_FIELD, LENGTH) + varint(len(data)) + bytes(data))] += 1
    assert min(outcomes.values()) > 500, outcomes


def damage(data: bytearray, random: np.random.Generator) -> None:
    """Changes, inserts or removes a byte, or repeats a part."""
    place = int(random.integers(0, max(1, len(data))))
    match int(random.integers(0, 4)):
        case 0 if data:
            data[min(place, len(data) - 1)] = int(random.integers(0, 256))
        case 1:
            data.insert(place, int(random.integers(0, 256)))
        case 2 if data:
            del data[min(place, len(data) - 1)]
        case _:
            data += data[place : place + int(random.integers(0, 40))]


def compare(data: bytes) -> str:
    """Reads a message both ways; which way was taken."""
    fast = wire.read_frames(data)
    try:
        slow = wire.read_request(data)
    except InvalidRequestError:
        assert fast is None
        return "refused"
    if fast is None:
        return "slow"
    assert slow.WhichOneof("message") == "frames"
    assert_same(fast, wire.frame_columns(slow.frames))
    return "fast"


def test_a_batch_is_read_with_its_frames_apart() -> None:
    message = decision_service_pb2.DecideBatchRequest(open=open_message(), frames=FRAMES, end_of_stream=True)
    data = message.SerializeToString()
    rest, columns = wire.read_batch(data)
    assert rest.open == message.open
    assert rest.end_of_stream
    assert not rest.HasField("frames")
    assert_same(columns, public(request(FRAMES)))


def test_a_batch_whose_frames_are_packed_in_another_way() -> None:
    for style in STYLES:
        body = encode(FRAMES, dict.fromkeys(ARRAYS, style))  # field 2, as in a DecideRequest
        _, columns = wire.read_batch(
            decision_service_pb2.DecideBatchRequest(open=open_message()).SerializeToString() + body
        )
        assert_same(columns, public(request(FRAMES)))


def test_whatever_a_damaged_batch_turns_into_is_what_the_public_class_reads() -> None:
    random = np.random.default_rng(13)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(10_000):
        frames = random_frames(random, int(random.integers(1, 4)), 4)
        message = decision_service_pb2.DecideBatchRequest(
            open=open_message(), frames=frames, end_of_stream=bool(random.integers(2))
        )
        data = bytearray(message.SerializeToString())
        damage(data, random)
        outcomes[compare_batch(bytes(data))] += 1
    assert min(outcomes.values()) > 1000, outcomes


def compare_batch(data: bytes) -> str:
    """Reads a batch both ways; whether it could be read."""
    try:
        whole = decision_service_pb2.DecideBatchRequest.FromString(data)
    except DecodeError:
        with pytest.raises(InvalidRequestError):
            wire.read_batch(data)
        return "refused"
    request_read, columns = wire.read_batch(data)
    assert_same(columns, wire.frame_columns(whole.frames))
    whole.ClearField("frames")
    whole.DiscardUnknownFields()
    request_read.DiscardUnknownFields()
    assert request_read == whole
    return "read"


def test_a_batch_in_two_pieces_is_merged() -> None:
    first = decision_service_pb2.DecideBatchRequest(open=open_message(), frames=FRAMES).SerializeToString()
    second = decision_service_pb2.DecideBatchRequest(frames=FRAMES, end_of_stream=True).SerializeToString()
    rest, columns = wire.read_batch(first + second)
    assert rest.end_of_stream
    assert len(columns.indices) == 8


def test_a_batch_without_frames_has_empty_columns() -> None:
    data = decision_service_pb2.DecideBatchRequest(open=open_message()).SerializeToString()
    _, columns = wire.read_batch(data)
    assert [len(column) for column in columns] == [0] * 7


def test_bytes_that_are_no_batch_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="DecideBatchRequest"):
        wire.read_batch(b"\xff\xff\xff")
