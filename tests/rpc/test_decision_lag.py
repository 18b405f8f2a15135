"""A policy's decision lag on the wire: answers come with later responses, and nothing else changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium.v1 import decision_service_pb2
from tertium_client import Client, Frame
from tertium_client.values import Answer
from tertium_server.engine import StreamEngine, Workspace
from tertium_server.policy import Policy, compile_parameters, default_policy, dump_policy
from tertium_server.policy.keeper import InForce
from tertium_server.rpc import wire
from tertium_server.rpc.answers import Answer as Writing
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.film import frames_of as frames_in
from tertium_server.rpc.film import track_in
from tertium_server.rpc.opening import FrameLimits, check_open
from tertium_server.rpc.terms import StreamTerms
from tests.policies import policy_with
from tests.rpc.builders import (
    FRAME_NANOSECONDS,
    Frames,
    Held,
    Response,
    batched,
    close,
    make_stream,
    one_frame,
    open_message,
    play,
    recording,
    solo,
    terms,
    told,
)
from tests.rpc.live import serving

LAG = 4


def late(lag: int = LAG) -> Policy:
    return policy_with({"tracker.decision_lag": lag}, default_policy())


def late_terms(lag: int = LAG) -> StreamTerms:
    return terms(policies=Held(InForce(late(lag))))


def whole(messages: list[Frames]) -> Response:
    """What a stream says from its start to its end."""
    stream = make_stream(late_terms())
    return without_counts([*play(stream, messages), close(stream)])


def without_counts(responses: list[Response]) -> Response:
    """All that is said of frames; how many wait with each message apart."""
    total = told(responses)
    total.ClearField("frames_waiting")
    return total


def test_decisions_are_those_of_the_engine_and_each_response_says_how_many_frames_wait() -> None:
    messages = recording()
    stream = make_stream(late_terms())
    responses = play(stream, messages)
    assert [len(each.decisions.frame_indices) for each in responses] == [0] * LAG + [1] * (80 - LAG)
    assert [each.frames_waiting for each in responses] == [*range(1, LAG), *[LAG] * (80 - LAG + 1)]
    last = close(stream)
    assert list(last.decisions.frame_indices) == list(range(80 - LAG, 80))
    assert last.frames_waiting == 0
    settings = check_open(open_message(), FrameLimits(1000, 2000, 256)).settings
    engine, workspace = StreamEngine(compile_parameters(late(), settings), settings), Workspace()
    columns = [wire.frame_columns(message) for message in messages]
    parts = [np.array(engine.advance(each, workspace).track_probabilities) for each in columns]
    expected = np.concatenate([*parts, engine.finish(workspace).track_probabilities])
    total = told([*responses, last])
    assert list(total.decisions.track_probabilities) == expected.tolist()
    at_once = solo(messages)
    assert list(total.decisions.track_ids) == list(at_once.decisions.track_ids)
    assert list(total.decisions.boxes) == list(at_once.decisions.boxes)
    assert list(total.decisions.track_probabilities) != list(at_once.decisions.track_probabilities)


@pytest.mark.parametrize("size", [3, 16, 80])
def test_frames_of_a_message_or_each_by_itself_make_no_difference(size: int) -> None:
    messages = recording()
    assert whole(list(batched(messages, size))) == whole(messages)


@pytest.mark.parametrize("answered", [29, 31, 45])
@pytest.mark.parametrize("size", [1, 7])
def test_a_resumed_stream_repeats_nothing_and_leaves_nothing_out(answered: int, size: int) -> None:
    messages = recording()
    first = make_stream(late_terms(), checkpoint_interval=34)
    responses = play(first, messages)
    checkpoint = responses[33].checkpoint
    assert checkpoint.last_frame == 33 - LAG, "it holds no frame whose answer was not sent"
    resumed = make_stream(late_terms(), checkpoint=checkpoint.state, last_answered_frame=answered)
    assert resumed.opened().first_frame == 30
    again = play(resumed, batched(messages[30:], size))
    before = [
        each for each in responses if not each.decisions.frame_indices or each.decisions.frame_indices[0] <= answered
    ]
    assert without_counts([*before, *again, close(resumed)]) == whole(messages)


def test_what_was_counted_is_counted_once_when_the_stream_comes_back_to_the_server() -> None:
    messages = recording()
    alone = make_stream(late_terms())
    play(alone, messages)
    close(alone)
    broken = make_stream(late_terms(), checkpoint_interval=34)
    responses = play(broken, messages[:50])
    resumed = make_stream(late_terms(), checkpoint=responses[33].checkpoint.state, last_answered_frame=40)
    resumed.skip_counting(broken.counted, broken.judged)
    play(resumed, messages[30:])
    close(resumed)
    counts = [each.counts() for each in (broken, resumed)]
    assert sum(each.frames for each in counts) == alone.counts().frames == 80
    decided = np.sum([each.decided["person"] for each in counts], axis=0).tolist()
    assert decided == list(alone.counts().decided["person"])
    assert np.sum([each.closed for each in counts], axis=0).tolist() == list(alone.counts().closed)


def test_refused_frames_and_resets_are_told_at_once() -> None:
    stream = make_stream(late_terms())
    wrong = one_frame(1, [(5, 5, 1, 1, 0.5)])
    later = one_frame(2, [(5, 5, 9, 9, 0.5)], time=3600 * 10**9)
    first, refused, reset = play(stream, [one_frame(0, [(5, 5, 9, 9, 0.5)]), wrong, later])
    assert first.frames_waiting == refused.frames_waiting == 1
    assert [notice.frame_index for notice in refused.notices] == [1]
    assert [notice.frame_index for notice in reset.notices] == [2]
    assert not reset.decisions.frame_indices
    assert list(close(stream).decisions.frame_indices) == [0, 2]


def test_a_policy_with_another_lag_takes_over_between_two_messages() -> None:
    held = Held(InForce(late(6)))
    stream = make_stream(terms(policies=held))
    messages = recording()
    responses = play(stream, messages[:20])
    for lag, count in ((0, 20), (2, 20), (0, 20)):
        held.in_force = InForce(late(lag))
        responses += play(stream, messages[len(responses) : len(responses) + count])
        assert responses[-1].frames_waiting == lag
    total = told([*responses, close(stream)])
    assert list(total.decisions.frame_indices) == list(range(80))


def test_a_batch_is_answered_whole() -> None:
    desk, messages, state = Desk(), recording(), b""
    indices: list[int] = []
    for first in range(0, 80, 20):
        (message,) = batched(messages[first : first + 20], 20)
        stream = make_stream(late_terms(), checkpoint=state)
        answer = Writing(batch=True)
        stream.run(wire.frame_columns(message), answer, desk)
        stream.flush(answer, desk)
        stream.add_checkpoint(answer)
        response = decision_service_pb2.DecideBatchResponse.FromString(answer.to_bytes())
        indices += response.decisions.frame_indices
        seen = Counter(response.decisions.track_ids)
        assert len(seen) > 1
        for track, count in seen.items():  # by review, too
            assert len(track_in([(wire.frame_columns(message), answer.to_bytes())], track, 0.0)[0]) == count
        assert response.checkpoint.last_frame == first + 19
        state = response.checkpoint.state
    assert indices == list(range(80))


class _Review:
    """Takes what a stream hands to review."""

    def __init__(self) -> None:
        self.entries: list[tuple[object, bytes]] = []
        self.letters: list[object] = []
        self.told: list[object] = []
        self.times: list[int] = []

    def after(self, entry: tuple[object, bytes], _size: int, told: list[object], time: int) -> None:
        self.told += told
        self.times.append(time)
        self.entries.append(entry)


def test_review_sees_every_answer_with_the_frames_that_it_answers() -> None:
    stream, review = make_stream(late_terms()), _Review()
    messages = recording()
    stream.review = review  # type: ignore[assignment]
    desk = Desk()
    for message in messages:
        data = decision_service_pb2.DecideRequest(frames=message).SerializeToString()
        stream.reviewed(data, stream.answer(data, desk))
    total = told([Response.FromString(response) for _, response in review.entries])
    seen = [frames_in(entry) for entry in review.entries]  # type: ignore[arg-type]
    indices = [index for frames in seen if frames is not None for index in frames.indices.tolist()]
    assert indices == list(total.decisions.frame_indices) == list(range(80 - LAG))
    assert review.times[LAG:] == [frame * FRAME_NANOSECONDS for frame in indices], "time is that of the frames judged"
    track = total.decisions.track_ids[0]
    rows, _ = track_in(review.entries, track, 0.0)  # type: ignore[arg-type]
    boxes = {round(corner, 3) for message in messages for corner in message.boxes}
    assert len(rows) > 5
    assert {round(row.x1, 3) for row in rows} <= boxes


def decided(answers: list[Answer]) -> dict[int, list[float]]:
    return {
        each.frame_index: each.decisions.probabilities.tolist()
        for each in answers
        if each.frame_index is not None and each.decisions is not None
    }


async def test_a_client_gets_each_answer_once_and_in_order(tmp_path: Path) -> None:
    """The real server, on a policy file with a lag."""
    file = tmp_path / "late.yaml"
    file.write_text(dump_policy(late(), ""))
    messages = recording()
    frames = [
        Frame(
            np.array(message.boxes).reshape(-1, 4),
            list(message.scores),
            [0] * len(message.scores),
            frame_index=message.frame_indices[0],
            capture_time=message.capture_times[0],
        )
        for message in messages
    ]

    def use(address: str) -> list[Answer]:
        options: dict[str, Any] = {"class_names": {0: "person"}, "frame_size": (640, 360), "epoch": 7}
        with Client(address) as client, client.open("camera", max_in_flight=2, **options) as stream:
            answers: list[Answer] = []
            for frame in frames[:40]:
                stream.send(frame)
                answers += stream.ready()
            answers += stream.drain()  # all that can be answered is: it does not wait for frames that nobody sends
            assert len(answers) == 40 - LAG
            for frame in frames[40:]:
                stream.send(frame)
                answers += stream.ready()
            stream.finish()
            return [*answers, *stream]

    async with serving(tmp_path / "data", policy=file) as live:
        answers = await asyncio.to_thread(use, live.service.listen)
    assert [each.frame_index for each in answers if each.frame_index is not None] == list(range(80))
    total = whole(messages)
    ends = np.cumsum(total.decisions.detection_counts)
    expected = np.split(np.array(total.decisions.probabilities, np.float32), ends[:-1])
    for index, probabilities in decided(answers).items():
        assert probabilities == expected[index].tolist()
