"""Both clients against the real server: every way of sending, and every kind of break, gives the same answers."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tertium_client import (
    Answer,
    BatchState,
    Client,
    EventReason,
    EventType,
    Frame,
    InvalidFrameError,
    NoticeCode,
    Reconnect,
    RefusedError,
    SupersededError,
    Verdict,
)
from tests.client.builders import KINDS, Kind, Told, told
from tests.scenes import HEIGHT, WIDTH, scene
from tests.servers import PATIENCE, ServerProcess

both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

CLASSES = {0: "person", 4: "car"}
# With an epoch of the caller's, track ids are the same each time.
OPTIONS: dict[str, Any] = {"class_names": CLASSES, "frame_size": (WIDTH, HEIGHT), "epoch": 11}
# Servers that start take processor time of those who knock.
PATIENT = Reconnect(first_delay=0.01, longest_delay=0.2, give_up_after=PATIENCE, connect_within=PATIENCE)
LENGTH = 250
GAP_AT, REFUSED_AT = 120, 77


@pytest.fixture(name="server", scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


def recording(seed: int) -> list[Frame]:
    """Frames of a scene, with a frame that is refused and a gap that resets the stream."""
    rows = itertools.groupby(scene(seed, LENGTH, objects=8, classes=("person", "car")).rows, key=lambda row: row[0])
    by_frame = {frame: list(group) for frame, group in rows}
    frames: list[Frame] = []
    for index in range(LENGTH):
        here = by_frame.get(index, [])
        boxes = np.array([[left, top, left + width, top + height] for _, left, top, width, height, *_ in here])
        if index == REFUSED_AT:
            boxes[0] = boxes[0, [2, 1, 0, 3]]
        time = index * 33_333_333 + (3600 * 10**9 if index >= GAP_AT else 0)
        class_ids = [4 if row[6] == "car" else 0 for row in here]
        frames.append(Frame(boxes, [row[5] for row in here], class_ids, frame_index=index, capture_time=time))
    return frames


def all_told(answers: list[Answer]) -> list[Told]:
    """All but word of draining."""
    return [
        told(answer) for answer in answers if not any(notice.code is NoticeCode.DRAINING for notice in answer.notices)
    ]


@pytest.fixture(name="frames", scope="module")
def record() -> list[Frame]:
    return recording(3)


@pytest.fixture(name="undisturbed", scope="module")
def decide_undisturbed(server: ServerProcess, frames: list[Frame]) -> list[Told]:
    with Client(server.address) as client, client.open("gate", **OPTIONS) as stream:
        return all_told(list(stream.decide(frames, finish=True)))


def test_the_answers_tell_what_happened(server: ServerProcess, frames: list[Frame], undisturbed: list[Told]) -> None:
    with (
        Client(server.address) as client,
        client.open("other", include_tracks=True, include_boxes=True, include_coasted=True, **OPTIONS) as stream,
    ):
        answers = list(stream.decide(frames, finish=True))
    assert [answer.frame_index for answer in answers] == [*range(LENGTH), None] == [told[0] for told in undisturbed]
    refused, gap, end = answers[REFUSED_AT], answers[GAP_AT], answers[-1]
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.refusal.field) == (NoticeCode.INVALID, "boxes[0, 2]")
    assert [notice.code for notice in gap.notices] == [NoticeCode.RESET_GAP]
    assert {event.reason for event in gap.events if event.type is EventType.ENDED} == {EventReason.RESET}
    assert end.events
    assert {event.reason for event in end.events} == {EventReason.STREAM_ENDED}
    verdicts = set[int]()
    for answer, frame in zip(answers, frames, strict=False):
        decisions = answer.decisions
        if decisions is None:
            continue
        assert len(decisions) == len(frame.boxes)
        assert decisions.boxes is not None
        assert decisions.boxes.shape == frame.boxes.shape
        assert decisions.track_probabilities is not None
        assert ((decisions.track_probabilities >= 0) & (decisions.track_probabilities <= 1)).all()
        assert decisions.coasted is not None
        verdicts |= set(decisions.verdicts.tolist())
    assert verdicts == {Verdict.NO, Verdict.MAYBE, Verdict.YES}
    assert any(
        answer.decisions.coasted.track_ids.size for answer in answers if answer.decisions and answer.decisions.coasted
    )
    assert any(event.retroactive_from is not None for answer in answers for event in answer.events)


@both
@pytest.mark.parametrize("batch", [1, 3, 64, 250])
def test_any_client_and_any_batch_gives_the_same(
    kind: Kind, batch: int, server: ServerProcess, frames: list[Frame], undisturbed: list[Told]
) -> None:
    async def scenario() -> list[Answer]:
        async with kind.client(server.address) as client, client.open("gate", batch=batch, **OPTIONS) as stream:
            return [answer async for answer in stream.decide(frames, finish=True)]

    assert all_told(asyncio.run(scenario())) == undisturbed


@both
def test_a_server_that_goes_and_comes_back_changes_nothing(
    kind: Kind, server: ServerProcess, frames: list[Frame], undisturbed: list[Told]
) -> None:
    """Killed, then told to drain; then killed once more, while frames are sent that have to wait for it."""

    async def scenario() -> list[Answer]:
        answers: list[Answer] = []
        start = 0
        async with (
            kind.client(server.address, reconnect=PATIENT) as client,
            client.open("gate", checkpoint_interval=30, **OPTIONS) as stream,
        ):
            for stop, number in ((47, signal.SIGKILL), (130, signal.SIGTERM)):
                answers += [answer async for answer in stream.decide(frames[start:stop])]
                start = stop + 5
                for frame in frames[stop:start]:  # on their way when the server goes
                    await stream.send(frame)
                server.end(number)
                server.start()
                answers += [answer async for answer in stream.drain()]
            answers += [answer async for answer in stream.decide(frames[start:199])]
            server.end(signal.SIGKILL)
            for frame in frames[199:]:
                await stream.send(frame)
            stream.finish()
            server.start()
            return answers + [answer async for answer in stream]

    assert all_told(asyncio.run(scenario())) == undisturbed


@both
@pytest.mark.parametrize("size", [1, 40])
def test_pieces_without_a_stream_give_the_same(
    kind: Kind, size: int, server: ServerProcess, frames: list[Frame], undisturbed: list[Told]
) -> None:
    async def scenario() -> list[Answer]:
        answers: list[Answer] = []
        state: BatchState | None = BatchState.start("gate", **OPTIONS)
        async with kind.client(server.address) as client:
            for start in range(0, LENGTH, size):
                assert state is not None
                state = BatchState.from_bytes(state.to_bytes())
                piece = frames[start : start + size]
                result = await client.decide_batch(state, piece, end_of_stream=start + size >= LENGTH)
                answers += result.answers
                state = result.state
        assert state is None
        return answers

    assert all_told(asyncio.run(scenario())) == undisturbed


@both
def test_the_newer_of_two_streams_of_one_name_goes_on(kind: Kind, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            older = await client.open("twice", nominal_fps=30)
            async with client.open("twice", nominal_fps=30) as newer:
                with pytest.raises(SupersededError):
                    await older.receive()
                await newer.send(boxes=[])
                assert (await newer.receive()).frame_index == 0

    asyncio.run(scenario())


@both
def test_a_checkpoint_that_is_none_is_refused_by_its_field(
    kind: Kind, server: ServerProcess, frames: list[Frame]
) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            result = await client.decide_batch(BatchState.start("gate", **OPTIONS), frames[:3])
            forged = replace(result.state, checkpoint=result.state.checkpoint[:-1] + b"?")
            with pytest.raises(RefusedError) as raised:
                await client.decide_batch(forged, frames[3:5])
            assert [violation.field for violation in raised.value.violations] == ["open.checkpoint"]

    asyncio.run(scenario())


@both
def test_more_detections_than_the_server_takes_are_refused_before_they_are_sent(
    kind: Kind, server: ServerProcess
) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("crowd", nominal_fps=30) as stream:
            with pytest.raises(InvalidFrameError, match="at most 1000 a frame"):
                await stream.send(boxes=[[0, 0, 9, 9]] * 100_000)
            await stream.send(boxes=[[0, 0, 9, 9]] * 1000)
            answer = await stream.receive()
            assert len(answer.decisions) == 1000

    asyncio.run(scenario())
