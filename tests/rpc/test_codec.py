"""The compiled codec against the public classes and the long way: it declines, or comes to the same."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from tertium.v1 import stream_pb2
from tertium_server.rpc import wire
from tertium_server.rpc.codec.answering import DECLINED
from tertium_server.rpc.codec.reading import find_arrays
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.stream import Stream
from tests.rpc.builders import (
    Frames,
    Request,
    Response,
    batched,
    make_stream,
    one_frame,
    open_message,
    person,
    random_frames,
    recording,
    request,
    terms,
)
from tests.rpc.test_wire import ARRAYS, FRAMES_FIELD, LENGTH, damage, encode, encode_body, packed, tag, varint

FRAMES = random_frames(np.random.default_rng(3), 4)
STYLES = ("unpacked", "split", "half packed", "long-winded")


def spans(data: bytes) -> dict[str, bytes] | None:
    """The bytes of each array as the kernel finds them; None: declined."""
    found = np.zeros((8, 2), np.int64)
    if not find_arrays(np.frombuffer(data, np.uint8), found):
        return None
    return {name: data[found[number, 0] :][: found[number, 1]] for name, (number, _) in ARRAYS.items()}


def elements(frames: Frames) -> dict[str, bytes]:
    """The bytes of each array by the public class."""
    return {
        name: struct.pack(f"<{len(getattr(frames, name))}{code}", *getattr(frames, name))
        for name, (_, code) in ARRAYS.items()
    }


def the_long_way(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk at which the codec declines everything."""
    desk = Desk()
    monkeypatch.setattr(Desk, "answer", lambda *_: DECLINED)
    return desk


def test_what_senders_normally_write_is_found() -> None:
    assert spans(request(FRAMES)) == elements(FRAMES)


def test_the_order_of_fields_makes_no_difference() -> None:
    assert spans(encode(FRAMES, order=tuple(reversed(ARRAYS)))) == elements(FRAMES)


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("style", STYLES)
def test_an_array_that_is_written_in_another_way_is_declined(array: str, style: str) -> None:
    assert spans(encode(FRAMES, {array: style})) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x12",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x12\x80\x80\x80\x80\x10",
        tag(FRAMES_FIELD, LENGTH) + varint(12) + tag(1, LENGTH) + b"\xff\xff\xff\xff\x0f" + b"1234567",
        request(FRAMES) + b"\x00",
        request(FRAMES)[:-1],
        request(FRAMES) + request(FRAMES),
        Request(open=open_message()).SerializeToString(),
        request(Frames()),
        request(Frames(detection_counts=[1])),
        request(Frames(frame_indices=[1])),
        tag(FRAMES_FIELD, LENGTH) + varint(10) + packed(1, "Q", [5]),
        encode(FRAMES) + tag(100, LENGTH) + b"\x01a",
    ],
)
def test_everything_else_is_declined(data: bytes) -> None:
    assert spans(data) is None


def test_whatever_is_not_declined_is_what_the_twin_reads() -> None:
    random = np.random.default_rng(17)
    taken = 0
    for _ in range(30_000):
        body = bytearray(encode_body(random_frames(random, int(random.integers(1, 4)), 4)))
        for _ in range(int(random.integers(0, 3))):
            damage(body, random)
        data = bytearray(tag(FRAMES_FIELD, LENGTH) + varint(len(body)) + bytes(body))
        if random.random() < 0.2:
            damage(data, random)
        found = spans(bytes(data))
        if found is not None:
            taken += 1
            columns = wire.read_frames(bytes(data))  # tested against the public classes, down to NaNs
            assert columns is not None
            assert list(found.values()) == [column.tobytes() for column in columns]
    assert taken > 5_000


def messages_of_every_kind() -> list[bytes]:
    """A recording with refused frames, resets, lost order and odd encodings in it."""
    random = np.random.default_rng(5)
    plain = recording(3, 60)
    data: list[bytes] = []
    for place, message in enumerate(batched(plain, 3)):
        data.append(request(message))
        match place % 8:
            case 1:
                data.append(data[-1])  # duplicates
            case 2:
                data.append(request(person(2, score=2.0)))
            case 3:
                data.append(encode(message, {"scores": "unpacked"}))
            case 4:
                data.append(request(Frames(frame_indices=[900 + place], detection_counts=[3], boxes=[0, 0, 1, 1])))
            case 5:
                data.append(request(random_frames(random)))
            case _:
                pass
    data.append(request(one_frame(10_000, [(1, 1, 50, 90, 0.9)] * 7, time=10**15)))  # a reset, and a heap
    data.append(request(person(10_001)))  # time runs backwards
    data += [request(one_frame(10_002 + index)) for index in range(40)]
    return data


WANTED: list[dict[str, Any]] = [
    {},
    {"include_boxes": False, "include_tracks": False, "include_coasted": False},
    {"client_tracks": True},
    {"class_names": {1: "person", 2: "car"}, "include_tracks": False},
    {"checkpoint_interval": 1},
    {"score_scale": stream_pb2.SCORE_SCALE_LOGIT, "nominal_fps": 25.0},
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_stream_answers_the_same_the_long_way(wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = messages_of_every_kind()
    if wanted.get("client_tracks"):
        data = [request(Frames(frame_indices=[k], capture_times=[k * 10**7], detection_counts=[2], boxes=[0, 0, 9, 9, 20, 0, 29, 9],
                               scores=[0.9, 0.8], class_ids=[1, 1], track_ids=[k // 5 + 1, 0])) for k in range(80)]  # fmt: skip
    stream, desk = make_stream(None, **wanted), Desk()
    at_once = [stream.answer(message, desk) for message in data]
    other = make_stream(None, **wanted)
    desk = the_long_way(monkeypatch)
    assert at_once == [other.answer(message, desk) for message in data]
    assert stream.counts() == other.counts()
    assert stream.engine.snapshot() == other.engine.snapshot()


def test_no_plain_message_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "_answer_the_long_way", None)
    stream, desk = make_stream(), Desk()
    for message in batched(recording(), 4):
        assert Response.FromString(stream.answer(request(message), desk)).decisions.frame_indices


def test_a_message_with_more_frames_than_allowed_is_declined() -> None:
    stream, desk = make_stream(terms()), Desk()
    (message,) = batched([person(index) for index in range(257)], 257)
    response = Response.FromString(stream.answer(request(message), desk))
    assert not response.decisions.frame_indices
    assert [notice.refused_frames for notice in response.notices] == [257]


def test_a_small_desk_grows_into_the_same_answers() -> None:
    """Messages that need a larger inbox, more tracks, a larger outbox, and room for more pairs, one after the other."""
    random = np.random.default_rng(9)
    stream, apart = make_stream(), make_stream()
    grown = Desk()
    sizes = [1, 300, 5, 900, 1000, 0, 700]
    frames = []
    for index, size in enumerate(sizes):
        corners = random.uniform(0, 200, (size, 2))
        frames.append(one_frame(index, [(x, y, x + 60, y + 60, 0.9) for x, y in corners]))
    make_stream(stream_id="other").answer(request(next(batched(frames, len(frames)))), grown)
    one_by_one = [stream.answer(request(message), Desk()) for message in frames]
    assert one_by_one == [apart.answer(request(message), grown) for message in frames]


def test_ids_beyond_the_first_page_are_those_of_the_long_way() -> None:
    stream, desk = make_stream(), Desk()
    plain = Response.FromString(stream.answer(request(person(0)), desk)).decisions.track_ids[0]
    stream.answerer.letterhead.detections = (1 << 24) - 2
    last = Response.FromString(stream.answer(request(person(1)), desk)).decisions.track_ids[0]
    paged = Response.FromString(stream.answer(request(person(2)), desk)).decisions.track_ids[0]
    assert plain == last == paged  # the track's ordinal is still that of the first page
    assert stream.answerer.letterhead.detections == 1 << 24
