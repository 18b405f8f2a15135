"""Answers are, byte for byte, what protobuf itself would write."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tertium_server.rpc.desk import Desk
from tests.rpc.builders import Frames, Response, batched, make_stream, one_frame, person, recording, request

WANTED = [
    dict(zip(("include_boxes", "include_tracks", "include_coasted"), wanted, strict=True))
    for wanted in product((False, True), repeat=3)
]


def assert_canonical(data: bytes) -> Response:
    """The message of some bytes, which are those that protobuf writes for it."""
    response = Response.FromString(data)
    assert response.SerializeToString() == data
    return response


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: "".join("nj"[value] for value in wanted.values()))
@pytest.mark.parametrize("size", [1, 16])
def test_every_answer_of_a_stream_is_canonical(wanted: dict[str, bool], size: int) -> None:
    stream, desk = make_stream(None, checkpoint_interval=10, **wanted), Desk()
    assert_canonical(stream.greet())
    for message in batched(recording(), size):
        assert_canonical(stream.answer(request(message), desk))
    assert_canonical(stream.say_goodbye(desk))
    assert_canonical(stream.send_away())


def crowd(index: int, count: int) -> Frames:
    """So many people in rows, none near another."""
    return one_frame(
        index, [(50 * (k % 30), 60 * (k // 30), 50 * (k % 30) + 20, 60 * (k // 30) + 40, 0.9) for k in range(count)]
    )


@pytest.mark.parametrize("count", [0, 1, 15, 16, 31, 32, 127, 128, 256, 257, 511, 512, 1000])
def test_any_number_of_detections_is_written_with_the_right_lengths(count: int) -> None:
    """Around every place where a length takes a byte more, and where the buffers have to grow."""
    stream, desk = make_stream(), Desk()
    response = assert_canonical(stream.answer(request(crowd(0, count)), desk))
    assert list(response.decisions.detection_counts) == [count]
    for name, width in (
        ("track_ids", 1),
        ("probabilities", 1),
        ("verdicts", 1),
        ("boxes", 4),
        ("track_lower", 1),
        ("track_verdicts", 1),
    ):
        assert len(getattr(response.decisions, name)) == width * count
    response = assert_canonical(stream.answer(request(one_frame(1)), desk))
    assert len(response.decisions.coasted_track_ids) == count
    assert len(response.decisions.coasted_boxes) == 4 * count


def test_streams_take_turns_at_a_desk_that_grows() -> None:
    """Frames of all sizes, from several streams: each reads what was written for it."""
    random, desk = np.random.default_rng(2), Desk()
    shared, apart = ([make_stream(stream_id=name) for name in "abc"] for _ in range(2))
    for index in range(40):
        for together, alone in zip(shared, apart, strict=True):
            data = request(crowd(index, int(random.integers(0, 400))))
            assert together.answer(data, desk) == alone.answer(data, Desk())


@pytest.mark.parametrize("frames", [1, 2, 31, 33, 100])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_reset_is_seen_wherever_it_is_in_a_message(frames: int, place: int) -> None:
    if place >= frames:
        place = 0
    stream, desk = make_stream(), Desk()
    stream.answer(request(person(0)), desk)
    messages = [person(index) for index in range(1, frames + 1)]
    far = messages[place]
    for message in messages[messages.index(far) :]:
        message.capture_times[0] += 10**15
    (batch,) = batched(messages, frames)
    response = assert_canonical(stream.answer(request(batch), desk))
    assert [notice.frame_index for notice in response.notices] == [far.frame_indices[0]]
    assert list(response.decisions.frame_indices) == list(range(1, frames + 1))


def test_a_reset_of_one_stream_is_not_told_to_the_next() -> None:
    desk = Desk()
    stream = make_stream()
    stream.answer(request(person(5)), desk)
    assert Response.FromString(stream.answer(request(one_frame(6, time=0)), desk)).notices
    assert not Response.FromString(make_stream(stream_id="other").answer(request(person(0)), desk)).notices
