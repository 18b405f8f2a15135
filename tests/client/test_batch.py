"""decide_batch: frames in, decisions and the next state out."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tertium_client import (
    Answer,
    BatchState,
    DisconnectedError,
    Frame,
    InvalidFrameError,
    InvalidSettingsError,
    OverloadedError,
    Reconnect,
    StreamClosedError,
)
from tests.client.builders import CLASSES, KINDS, Kind, expected, frames, told
from tests.client.scripted_server import Cut, ScriptedServer, script

both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@both
@pytest.mark.parametrize("size", [1, 7, 100])
def test_pieces_of_any_size_with_the_state_stored_in_between_give_the_answers_of_a_stream(
    kind: Kind, size: int
) -> None:
    sent = frames(60, refused=0.1)

    async def scenario() -> list[Answer]:
        answers: list[Answer] = []
        async with kind.client(server.address) as client:
            stored = BatchState.start("gate", class_names=CLASSES).to_bytes()
            for start in range(0, len(sent), size):
                result = await client.decide_batch(BatchState.from_bytes(stored), sent[start : start + size])
                answers += result.answers
                assert result.state is not None
                stored = result.state.to_bytes()
            last = await client.decide_batch(BatchState.from_bytes(stored), [], end_of_stream=True)
            assert last.state is None
            return answers + list(last.answers)

    with ScriptedServer(script()) as server:
        assert [told(answer) for answer in asyncio.run(scenario())] == expected(sent)


@both
def test_a_call_that_broke_is_repeated_and_gives_the_same(kind: Kind) -> None:
    sent = frames(10)

    async def scenario() -> list[Answer]:
        async with kind.client(server.address) as client:
            result = await client.decide_batch(BatchState.start("gate", class_names=CLASSES), sent, end_of_stream=True)
            return list(result.answers)

    cuts = [Cut(0, grpc.StatusCode.UNAVAILABLE), Cut(0, grpc.StatusCode.CANCELLED), Cut(0, grpc.StatusCode.INTERNAL)]
    with ScriptedServer(script(cuts)) as server:
        assert [told(answer) for answer in asyncio.run(scenario())] == expected(sent)
        assert server.script.batches == 4


@both
def test_a_call_that_is_refused_is_not_repeated(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            with pytest.raises(OverloadedError):
                await client.decide_batch(BatchState.start("gate"), [])

    with ScriptedServer(script([Cut(0, grpc.StatusCode.RESOURCE_EXHAUSTED)])) as server:
        asyncio.run(scenario())
        assert server.script.batches == 1


@both
def test_a_call_under_way_is_told_that_the_client_was_closed(kind: Kind) -> None:
    async def scenario() -> None:
        client = kind.client(server.address)

        async def call() -> None:
            with pytest.raises(StreamClosedError, match="the client was closed"):
                await client.decide_batch(BatchState.start("gate"), [])

        async def close() -> None:
            while not server.script.batches:
                await asyncio.sleep(0.001)
            await client.close()

        await kind.together(call, close)

    with ScriptedServer(script([Cut(0, hangs=True)])) as server:
        asyncio.run(scenario())


@both
def test_a_server_that_stays_away_is_an_error(kind: Kind) -> None:
    async def scenario() -> None:
        patience = Reconnect(first_delay=0.001, longest_delay=0.01, connect_within=0.2)
        async with kind.client(server.address, reconnect=patience) as client:
            with pytest.raises(DisconnectedError, match="gave up at attempt"):
                await client.decide_batch(BatchState.start("gate"), [])

    with ScriptedServer(script([Cut(0)] * 10_000)) as server:
        asyncio.run(scenario())


@both
def test_a_time_out_is_that_of_one_attempt(kind: Kind) -> None:
    async def scenario() -> None:
        patience = Reconnect(first_delay=0.001, longest_delay=0.01)
        async with kind.client(server.address, reconnect=patience) as client:
            result = await client.decide_batch(BatchState.start("gate", nominal_fps=30), [Frame([])])
            assert [answer.frame_index for answer in result.answers] == [0]

    with ScriptedServer(script([Cut(0, grpc.StatusCode.DEADLINE_EXCEEDED)])) as server:
        asyncio.run(scenario())
        assert server.script.batches == 2


@both
def test_frames_that_do_not_fit_are_refused_before_anything_is_sent(kind: Kind) -> None:
    state = BatchState.start("gate", nominal_fps=30)
    box = [[0, 0, 1, 1]]

    async def scenario() -> None:
        async with kind.client("127.0.0.1:1") as client:
            with pytest.raises(InvalidFrameError, match="does not come after 5"):
                await client.decide_batch(state, [Frame([], frame_index=5), Frame([], frame_index=5)])
            with pytest.raises(InvalidFrameError, match="all frames of a batch or none"):
                await client.decide_batch(state, [Frame(box), Frame(box, scores=[0.5])])

    asyncio.run(scenario())


@both
def test_indices_go_on_from_call_to_call(kind: Kind) -> None:
    async def scenario() -> list[int | None]:
        async with kind.client(server.address) as client:
            first = await client.decide_batch(BatchState.start("gate", nominal_fps=30), [Frame([]), Frame([])])
            second = await client.decide_batch(first.state, [Frame([])])
            return [answer.frame_index for answer in first.answers + second.answers]

    with ScriptedServer(script()) as server:
        assert asyncio.run(scenario()) == [0, 1, 2]


@pytest.mark.parametrize("data", [b"\xff\xff", b""])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidSettingsError):
        BatchState.from_bytes(data)
