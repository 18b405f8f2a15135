"""Both clients against a real gRPC server that breaks where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import numpy as np
import pytest

from tertium_client import (
    Answer,
    BatchState,
    DeniedError,
    DisconnectedError,
    Frame,
    InvalidFrameError,
    InvalidSettingsError,
    NobodyReadsError,
    NoticeCode,
    OverloadedError,
    ProtocolError,
    Reconnect,
    RefusedError,
    ServerError,
    StreamClosedError,
    SupersededError,
    TertiumError,
    UsageError,
)
from tests.client.builders import CLASSES, KINDS, Kind, Told, expected, frames, told
from tests.client.scripted_server import Cut, Script, ScriptedServer, room_in, script
from tests.servers import PATIENCE, wait_until

Code = grpc.StatusCode
OPTIONS = {"class_names": CLASSES}

both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


async def decided(
    kind: Kind, address: str, sent: list[Frame], look_ahead: int | None = None, **options: Any
) -> list[Answer]:
    async with kind.client(address) as client, client.open("gate", **(OPTIONS | options)) as stream:
        return [answer async for answer in stream.decide(sent, finish=True, look_ahead=look_ahead)]


def all_told(answers: list[Answer]) -> list[Told]:
    return [told(answer) for answer in answers]


def without_draining(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if not any(notice.code is NoticeCode.DRAINING for notice in answer.notices)]


@both
def test_undisturbed_each_frame_is_answered_in_order_and_the_end_comes_last(kind: Kind) -> None:
    sent = frames(300, refused=0.1)
    with ScriptedServer(script()) as server:
        answers = asyncio.run(decided(kind, server.address, sent))
    assert all_told(answers) == expected(sent)
    assert [answer.frame_index for answer in answers] == [*(frame.frame_index for frame in sent), None]
    assert any(answer.refusal for answer in answers)


@both
@pytest.mark.parametrize("seed", range(6))
def test_random_breaks_change_nothing_of_what_the_caller_gets(kind: Kind, seed: int) -> None:
    draw = np.random.default_rng(seed)
    codes = [Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL]
    ways: list[dict[str, Any]] = [{}, {"draining": True}, {"loses_one": True}]
    cuts = [Cut(int(draw.integers(0, 20)), codes[draw.integers(3)], **ways[draw.integers(3)]) for _ in range(25)]
    sent = frames(600, seed=seed, refused=0.05)
    with ScriptedServer(script(cuts)) as server:
        options = {"batch": int(draw.integers(1, 9)), "checkpoint_interval": int(draw.integers(1, 40))}
        answers = asyncio.run(decided(kind, server.address, sent, **options))
        assert len(server.script.opens) > 4
    assert all_told(without_draining(answers)) == expected(sent)


@both
def test_the_server_is_gone_for_a_while_and_comes_back_without_memory(kind: Kind) -> None:
    sent = frames(200)

    async def scenario() -> list[Answer]:
        with contextlib.ExitStack() as servers:
            server = servers.enter_context(ScriptedServer(script(checkpoint_interval=7)))
            async with kind.client(server.address) as client, client.open("gate", **OPTIONS) as stream:
                answers = [answer async for answer in stream.decide(sent[:111])]
                servers.close()
                for frame in sent[111:150]:
                    await stream.send(frame)
                servers.enter_context(ScriptedServer(script(), port=server.port))
                answers += [answer async for answer in stream.drain()]
                return answers + [answer async for answer in stream.decide(sent[150:], finish=True)]

    assert all_told(asyncio.run(scenario())) == expected(sent)


@both
def test_the_end_is_asked_for_again_where_it_broke_and_not_where_it_had_come(kind: Kind) -> None:
    sent = frames(10)
    for cut in (Cut(11, loses_one=False), Cut(1000)):  # after the last decisions; after the events of the end
        with ScriptedServer(script([cut])) as server:
            assert all_told(asyncio.run(decided(kind, server.address, sent))) == expected(sent)


@both
@pytest.mark.parametrize("batch", [2, 16, 200])
def test_batches_change_nothing_but_the_number_of_messages(kind: Kind, batch: int) -> None:
    sent = frames(320, refused=0.1)
    with ScriptedServer(script(most_frames=50)) as server:
        answers = asyncio.run(decided(kind, server.address, sent, batch=batch, batch_delay=10.0))
        assert max(server.script.messages) == min(batch, 50)
    assert all_told(answers) == expected(sent)


@both
def test_a_reopened_stream_asks_to_go_on_where_it_was(kind: Kind) -> None:
    sent = frames(100)
    with ScriptedServer(script([Cut(31)])) as server:
        asyncio.run(decided(kind, server.address, sent, checkpoint_interval=10, epoch=5, include_boxes=False))
        first, second = server.script.opens
    assert not first.checkpoint
    assert not first.HasField("last_answered_frame")
    assert second.checkpoint
    assert second.last_answered_frame == sent[29].frame_index
    assert (first.epoch, second.epoch) == (5, 5)
    assert dict(second.class_names) == CLASSES


@both
def test_an_epoch_that_the_server_chose_is_kept(kind: Kind) -> None:
    with ScriptedServer(script([Cut(5)])) as server:
        asyncio.run(decided(kind, server.address, frames(10)))
        assert [opening.epoch for opening in server.script.opens] == [0, 77]


@both
def test_each_call_carries_the_key_that_proxies_hash(kind: Kind) -> None:
    async def scenario() -> None:
        async with (
            kind.client(server.address, metadata=[("authorization", "Bearer abc")]) as client,
            client.open("Tor 3 – Süd", **OPTIONS),
        ):
            pass

    with ScriptedServer(script([Cut(1)])) as server:
        asyncio.run(scenario())
        assert [call["x-stream-key"] for call in server.script.metadata] == ["Tor%203%20%E2%80%93%20S%C3%BCd"] * 2
        assert server.script.metadata[1]["authorization"] == "Bearer abc"


RETRIED = [Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL]
RAISED = [
    (Code.INVALID_ARGUMENT, RefusedError),
    (Code.FAILED_PRECONDITION, RefusedError),
    (Code.OUT_OF_RANGE, RefusedError),
    (Code.NOT_FOUND, RefusedError),
    (Code.UNIMPLEMENTED, RefusedError),
    (Code.UNAUTHENTICATED, DeniedError),
    (Code.PERMISSION_DENIED, DeniedError),
    (Code.RESOURCE_EXHAUSTED, OverloadedError),
    (Code.ABORTED, SupersededError),
    (Code.UNKNOWN, ServerError),
    (Code.DEADLINE_EXCEEDED, ServerError),
    (Code.ALREADY_EXISTS, ServerError),
    (Code.DATA_LOSS, ServerError),
]


def test_the_table_of_codes_is_complete() -> None:
    assert {*RETRIED, *(code for code, _ in RAISED), Code.OK} == set(Code)


@both
@pytest.mark.parametrize("code", RETRIED, ids=lambda code: code.name)
def test_these_codes_are_tried_again(kind: Kind, code: grpc.StatusCode) -> None:
    sent = frames(20)
    with ScriptedServer(script([Cut(0, code), Cut(7, code)])) as server:
        assert all_told(asyncio.run(decided(kind, server.address, sent))) == expected(sent)
        assert len(server.script.opens) == 3


@both
@pytest.mark.parametrize(("code", "error"), RAISED, ids=lambda value: getattr(value, "name", ""))
def test_these_codes_are_raised_where_the_stream_is_opened(
    kind: Kind, code: grpc.StatusCode, error: type[TertiumError]
) -> None:
    with ScriptedServer(script([Cut(0, code)])) as server:
        with pytest.raises(error) as raised:
            asyncio.run(decided(kind, server.address, frames(3)))
        assert len(server.script.opens) == 1
    assert type(raised.value) is error
    assert code.name in str(raised.value)
    assert "cut after 0" in str(raised.value)


@both
@pytest.mark.parametrize(("code", "error"), RAISED, ids=lambda value: getattr(value, "name", ""))
def test_these_codes_are_raised_in_mid_stream_after_the_answers_that_came(
    kind: Kind, code: grpc.StatusCode, error: type[TertiumError]
) -> None:
    sent, answers = frames(100), list[Answer]()

    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("gate", **OPTIONS) as stream:
            with contextlib.suppress(error):  # which ends the sending, too, where it comes soon enough
                for frame in sent:
                    await stream.send(frame)
            async for answer in stream:
                answers.append(answer)

    with ScriptedServer(script([Cut(10, code)])) as server:
        with pytest.raises(error):
            asyncio.run(scenario())
        assert len(server.script.opens) == 1
    assert all_told(answers) == expected(sent)[:9]


@both
def test_being_superseded_is_never_taken_for_a_break_though_frames_are_being_written(kind: Kind) -> None:
    """grpc.aio puts INTERNAL over the server's status where a write fails at the same moment (grpc/grpc#36066)."""
    sent = frames(400)
    with ScriptedServer(script([Cut(5 + 2 * k, Code.ABORTED) for k in range(25)])) as server:
        for calls in range(1, 26):
            with pytest.raises(SupersededError):
                asyncio.run(decided(kind, server.address, sent))
            assert len(server.script.opens) == calls


@both
def test_a_stream_that_finds_no_room_where_it_comes_back_tries_again_when_the_server_says_so(kind: Kind) -> None:
    full = Cut(0, Code.RESOURCE_EXHAUSTED, room_in(0.01))
    sent = frames(40)
    with ScriptedServer(script([Cut(9), full, full, Cut(2, Code.RESOURCE_EXHAUSTED, room_in(0.0))])) as server:
        assert all_told(asyncio.run(decided(kind, server.address, sent))) == expected(sent)
        assert len(server.script.opens) == 5


@both
def test_a_server_without_room_for_a_new_stream_says_when_to_come_back(kind: Kind) -> None:
    with ScriptedServer(script([Cut(0, Code.RESOURCE_EXHAUSTED, room_in(3600.0))])) as server:
        with pytest.raises(OverloadedError) as raised:
            asyncio.run(decided(kind, server.address, frames(3)))
        assert len(server.script.opens) == 1
    assert raised.value.retry_after == 3600.0


@both
def test_without_patience_a_stream_that_does_not_break_is_left_alone(kind: Kind) -> None:
    sent = frames(300)

    async def scenario() -> list[Answer]:
        async with (
            kind.client(server.address, reconnect=Reconnect(give_up_after=0.0)) as client,
            client.open("gate", **OPTIONS) as stream,
        ):
            return [answer async for answer in stream.decide(sent, look_ahead=1, finish=True)]

    with ScriptedServer(script()) as server:
        assert all_told(asyncio.run(scenario())) == expected(sent)


@both
def test_waiting_may_last_for_ever_and_nearly_so_but_not_for_a_time_that_is_none(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            stream = await client.open("gate", nominal_fps=30)
            for index, timeout in enumerate((float("inf"), 1e300, None)):
                await stream.send(boxes=[])
                answer = await stream.receive(timeout=timeout)
                assert answer is not None
                assert answer.frame_index == index
            with pytest.raises(InvalidSettingsError, match="timeout"):
                await stream.receive(timeout=float("nan"))
            await stream.close(timeout=float("inf"))

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_one_who_sends_is_told_that_the_one_who_read_has_ended(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertium_client._session._READER_RETURNS_WITHIN", 0.2)

    async def scenario() -> None:
        client = kind.client(server.address)
        stream = await client.open("gate", max_in_flight=5, nominal_fps=30)

        async def send() -> None:
            with pytest.raises(NobodyReadsError):
                while True:
                    await stream.send(boxes=[])

        async def read() -> None:
            with contextlib.suppress(ZeroDivisionError):  # a consumer that fails
                async for _ in stream:
                    raise ZeroDivisionError

        await kind.together(send, read)
        await stream.abort()
        await client.close()

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_a_defect_in_sending_is_raised_as_what_it_is(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_session: object, _now: float) -> None:
        raise ZeroDivisionError("a defect")

    async def scenario() -> None:
        async with kind.client(server.address) as client:
            stream = await client.open("gate", **OPTIONS)
            monkeypatch.setattr("tertium_client._session.Session.next_request", fails)
            with pytest.raises(ZeroDivisionError, match="a defect"):
                await stream.send(Frame([], capture_time=0))
                await stream.receive()

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


def test_a_stream_whose_task_is_cancelled_by_others_tells_those_who_wait() -> None:
    async def scenario() -> None:
        async with KINDS[1].client(server.address) as client:
            stream = await client.open("gate", nominal_fps=30)
            await stream.send(Frame([]))
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(StreamClosedError, match="was cancelled"):
                await stream.receive()
            await stream.close()

    with ScriptedServer(script(silent=True)) as server:
        asyncio.run(scenario())


def test_closing_that_is_cancelled_leaves_no_stream_open() -> None:
    async def scenario() -> None:
        async with KINDS[1].client(server.address) as client:
            stream = await client.open("gate", nominal_fps=30)
            await stream.send(Frame([]))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await stream.close(timeout=PATIENCE)
            with pytest.raises(StreamClosedError):
                await stream.send(Frame([]))
            assert await stream.receive() is None

    with ScriptedServer(script(silent=True)) as server:
        asyncio.run(scenario())


def test_a_client_of_another_event_loop_says_so() -> None:
    async def scenario() -> None:
        async with client.open("gate", nominal_fps=30):
            pass

    with ScriptedServer(script()) as server:
        client = KINDS[1].client(server.address)
        asyncio.run(scenario())
        with pytest.raises(UsageError, match="event loop"):
            asyncio.run(scenario())


_FORKING = """
import os, sys
from tertium_client import Client, UsageError

with Client(sys.argv[1]) as client:
    with client.open("gate", nominal_fps=30) as stream:
        stream.send(boxes=[])
        assert stream.receive().frame_index == 0
        child = os.fork()
        if not child:
            told = 0
            for attempt in (lambda: stream.send(boxes=[]), stream.receive, stream.close, lambda: client.open("yard")):
                try:
                    attempt()
                except UsageError as error:
                    told += "in each process" in str(error)
            stream.abort()
            client.close()
            os._exit(told)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
        stream.send(boxes=[])
        assert stream.receive().frame_index == 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such processes here")
def test_a_forked_process_is_told_that_the_connection_stayed_behind_and_breaks_nothing() -> None:
    with ScriptedServer(script()) as server:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORKING, server.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


@both
def test_an_error_that_nobody_met_is_raised_by_closing(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            stream = await client.open("gate", **OPTIONS)
            await stream.send(Frame([], capture_time=0))
            with pytest.raises(ServerError):
                await stream.close()
            assert await stream.receive() is not None
            with pytest.raises(ServerError):
                await stream.receive()
            await stream.close()  # told once is enough

    with ScriptedServer(script([Cut(2, Code.DATA_LOSS)])) as server:
        asyncio.run(scenario())


@both
def test_a_server_that_is_not_there_is_an_error_after_the_time_for_connecting(kind: Kind) -> None:
    async def scenario() -> None:
        patience = Reconnect(first_delay=0.01, longest_delay=0.05, connect_within=0.3)
        async with kind.client("127.0.0.1:1", reconnect=patience) as client:
            with pytest.raises(DisconnectedError, match="gave up at attempt"):
                await client.open("gate", **OPTIONS)

    asyncio.run(scenario())


@both
def test_a_stream_that_gets_no_further_gives_up(kind: Kind) -> None:
    """Each connection opens, and breaks before a frame is answered: a frame that kills its server must not be sent for ever."""

    async def scenario() -> None:
        patience = Reconnect(first_delay=0.001, longest_delay=0.02, give_up_after=1.0)
        async with kind.client(server.address, reconnect=patience) as client:
            stream = await client.open("gate", **OPTIONS)
            await stream.send(Frame([], capture_time=0))
            with pytest.raises(DisconnectedError):
                await stream.receive()

    with ScriptedServer(script([Cut(1)] * 10_000)) as server:
        asyncio.run(scenario())
        assert len(server.script.opens) > 1


@both
def test_a_server_that_answers_no_more_is_given_up(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address, reconnect=Reconnect(give_up_after=0.3)) as client:
            stream = await client.open("gate", **OPTIONS)
            await stream.send(Frame([], capture_time=0))
            with pytest.raises(DisconnectedError):
                await stream.receive()

    with ScriptedServer(script(silent=True)) as server:
        asyncio.run(scenario())


@both
def test_a_server_that_does_not_open_is_left_for_another_attempt(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertium_client._session._OPENED_WITHIN", 0.2)
    sent = frames(5)
    with ScriptedServer(script([Cut(0, hangs=True), Cut(0, hangs=True)])) as server:
        assert all_told(asyncio.run(decided(kind, server.address, sent))) == expected(sent)
        assert len(server.script.opens) >= 3  # more where the machine is so busy that the server is late


@both
def test_word_of_draining_reaches_the_caller_once_and_the_stream_goes_on(kind: Kind) -> None:
    sent = frames(60)
    with ScriptedServer(script([Cut(21, draining=True)])) as server:
        answers = asyncio.run(decided(kind, server.address, sent, look_ahead=1))
        assert server.script.opens[1].last_answered_frame == sent[19].frame_index
    assert all_told(without_draining(answers)) == expected(sent)
    assert [answer.frame_index for answer in answers if answer not in without_draining(answers)] == [None]


@both
def test_what_no_server_would_take_is_refused_before_it_is_sent_and_the_stream_goes_on(kind: Kind) -> None:
    sent = frames(5)
    box = [[0, 0, 1, 1]]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"boxes": None, "capture_time": 0}, "boxes"),
        ({"boxes": [[0, 0, 1]], "capture_time": 0}, "boxes"),
        ({"boxes": [[0, 0, float("nan"), 1]], "capture_time": 0}, "boxes"),
        ({"boxes": box, "scores": [0.5, 0.5], "class_ids": [0], "capture_time": 0}, "scores"),
        ({"boxes": box, "class_ids": [1], "capture_time": 0}, "class_ids"),
        ({"boxes": box, "class_ids": [4], "capture_time": 0}, "class_ids"),
        ({"boxes": box, "capture_time": 0}, "class_ids"),
        ({"boxes": box, "class_ids": [0]}, "capture_time"),
        ({"boxes": box, "class_ids": [0], "track_ids": [7], "capture_time": 0}, "track_ids"),
        ({"boxes": [], "frame_index": 0, "capture_time": 0}, "frame_index"),
        ({"boxes": box * 101, "class_ids": [0] * 101, "capture_time": 0}, "boxes"),
    ]

    async def scenario() -> list[Answer]:
        async with kind.client(server.address) as client, client.open("gate", **OPTIONS) as stream:
            answers = [answer async for answer in stream.decide(sent)]
            for parts, field in wrong:
                with pytest.raises(InvalidFrameError) as raised:
                    await stream.send(**parts)
                assert raised.value.field == field
            return answers + [answer async for answer in stream.decide([], finish=True)]

    with ScriptedServer(script()) as server:
        assert all_told(asyncio.run(scenario())) == expected(sent)


@both
def test_indices_are_counted_where_the_caller_gives_none(kind: Kind) -> None:
    async def scenario() -> list[int | None]:
        async with kind.client(server.address) as client, client.open("gate", nominal_fps=30) as stream:
            sent = [
                await stream.send(boxes=[]),
                await stream.send(boxes=[], frame_index=10),
                await stream.send(boxes=[]),
            ]
            assert sent == [0, 10, 11]
            return [answer.frame_index async for answer in stream.drain()]

    with ScriptedServer(script()) as server:
        assert asyncio.run(scenario()) == [0, 10, 11]


@both
def test_sending_waits_while_the_window_is_full(kind: Kind) -> None:
    sent: list[int] = []

    async def scenario() -> None:
        client = kind.client(server.address)
        stream = await client.open("gate", max_in_flight=10, nominal_fps=30)

        async def send() -> None:
            with contextlib.suppress(StreamClosedError):
                while True:
                    sent.append(await stream.send(boxes=[]))

        async def watch() -> None:
            while len(sent) < 10:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            await stream.abort()

        await kind.together(send, watch)
        await client.close()

    with ScriptedServer(script(silent=True)) as server:
        asyncio.run(scenario())
    assert sent == list(range(10))


@both
def test_one_who_sends_and_reads_in_turn_never_waits_for_itself(kind: Kind) -> None:
    sent = frames(500)

    async def scenario() -> list[Answer]:
        answers: list[Answer] = []
        async with kind.client(server.address) as client, client.open("gate", max_in_flight=4, **OPTIONS) as stream:
            for frame in sent:
                await stream.send(frame)
                answers += stream.ready()
            answers += [answer async for answer in stream.drain()]
            stream.finish()
            return answers + [answer async for answer in stream]

    with ScriptedServer(script()) as server:
        assert all_told(asyncio.run(scenario())) == expected(sent)


@both
def test_one_who_sends_and_once_read_but_reads_no_more_is_told_so(kind: Kind) -> None:
    async def scenario() -> None:
        async with (
            kind.client(server.address) as client,
            client.open("gate", max_in_flight=5, nominal_fps=30) as stream,
        ):
            await stream.send(boxes=[])
            await stream.receive()
            with pytest.raises(NobodyReadsError, match=r"answers to 10 frames .* stream\.decide"):
                for _ in range(11):
                    await stream.send(boxes=[])
            assert len([answer async for answer in stream.drain()]) == 10
            await stream.send(boxes=[])

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_one_who_never_reads_is_told_so_after_a_while(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertium_client._session._READER_APPEARS_WITHIN", 0.2)

    async def scenario() -> None:
        async with (
            kind.client(server.address) as client,
            client.open("gate", max_in_flight=5, nominal_fps=30) as stream,
        ):
            with pytest.raises(NobodyReadsError):
                for _ in range(11):
                    await stream.send(boxes=[])

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_a_sender_that_waits_for_answers_to_nothing_is_told_so(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("gate", nominal_fps=30) as stream:
            await stream.send(boxes=[])
            with pytest.raises(UsageError, match=r"stream\.finish\(\)"):
                async for answer in stream:
                    assert answer.frame_index == 0
            with pytest.raises(TimeoutError):
                await stream.receive(timeout=0.01)

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_one_sends_while_another_reads(kind: Kind) -> None:
    sent, answers = frames(2000), list[Answer]()

    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("gate", max_in_flight=16, **OPTIONS) as stream:

            async def send() -> None:
                for frame in sent:
                    await stream.send(frame)
                stream.finish()

            async def read() -> None:
                answers.extend([answer async for answer in stream])

            await kind.together(read, send)

    with ScriptedServer(script([Cut(500), Cut(300)])) as server:
        asyncio.run(scenario())
    assert all_told(answers) == expected(sent)


@both
def test_many_who_read_share_the_answers(kind: Kind) -> None:
    sent, answers = frames(300), list[Answer]()

    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("gate", **OPTIONS) as stream:

            async def send() -> None:
                for frame in sent:
                    await stream.send(frame)
                stream.finish()

            async def read() -> None:
                async for answer in stream:
                    answers.append(answer)

            await kind.together(read, read, send)

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())
    assert sorted(map(str, all_told(answers))) == sorted(map(str, expected(sent)))


@both
def test_with_a_look_ahead_of_one_each_frame_is_answered_before_the_next_is_taken(kind: Kind) -> None:
    taken: list[int | None] = []

    async def scenario() -> None:
        async with (
            kind.client(server.address) as client,
            client.open("gate", batch=8, batch_delay=60.0, **OPTIONS) as stream,
        ):

            def live() -> Any:
                for frame in frames(20):
                    taken.append(frame.frame_index)
                    yield frame

            answered = [answer.frame_index async for answer in stream.decide(live(), look_ahead=1)]
            assert answered == taken

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())
        assert set(server.script.messages) == {1}


@both
def test_answers_can_be_read_after_closing_but_frames_not_sent(kind: Kind) -> None:
    sent = frames(20)

    async def scenario() -> list[Answer]:
        async with kind.client(server.address) as client:
            async with client.open("gate", **OPTIONS) as stream:
                for frame in sent:
                    await stream.send(frame)
            with pytest.raises(StreamClosedError):
                await stream.send(sent[0])
            return [answer async for answer in stream]

    with ScriptedServer(script()) as server:
        assert all_told(asyncio.run(scenario())) == expected(sent)


@both
def test_an_exception_of_the_caller_breaks_the_stream_off_at_once(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client, client.open("gate", **OPTIONS) as stream:
            await stream.send(Frame([], capture_time=0))
            raise ZeroDivisionError

    with ScriptedServer(script(silent=True)) as server, pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())


@both
def test_a_server_that_does_not_end_the_stream_is_told_of_at_closing(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.client(server.address) as client:
            stream = await client.open("gate", **OPTIONS)
            await stream.send(Frame([], capture_time=0))
            with pytest.raises(DisconnectedError, match="its last events are lost"):
                await stream.close(timeout=0.1)

    with ScriptedServer(script(silent=True)) as server:
        asyncio.run(scenario())


@both
def test_closing_the_client_tells_those_who_still_read(kind: Kind) -> None:
    async def scenario() -> None:
        client = kind.client(server.address)
        stream = await client.open("gate", **OPTIONS)
        await client.close()
        with pytest.raises(StreamClosedError, match="the client was closed"):
            await stream.receive()

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_a_client_that_was_closed_says_so(kind: Kind) -> None:
    async def scenario() -> None:
        client = kind.client(server.address)
        async with client.open("gate", **OPTIONS):
            pass
        await client.close()
        with pytest.raises(StreamClosedError, match="the client was closed"):
            async with client.open("gate", **OPTIONS):
                pass
        with pytest.raises(StreamClosedError, match="the client was closed"):
            await client.decide_batch(BatchState.start("gate", nominal_fps=30), [])

    with ScriptedServer(script()) as server:
        asyncio.run(scenario())


@both
def test_closing_the_client_tells_those_who_still_open(kind: Kind) -> None:
    async def scenario() -> None:
        client = kind.client(f"127.0.0.1:{silent.getsockname()[1]}")

        async def open_one() -> None:
            with pytest.raises(StreamClosedError, match="the client was closed"):
                async with client.open("gate", **OPTIONS):
                    pass

        async def close() -> None:
            connection, _ = await asyncio.to_thread(silent.accept)
            await client.close()
            connection.close()

        await kind.together(open_one, close)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(scenario())


@both
def test_a_server_that_breaks_the_contract_is_an_error_and_not_a_duplicate(kind: Kind) -> None:
    with (
        ScriptedServer(script([Cut(20)], repeat_answers=True)) as server,
        pytest.raises(ProtocolError, match="await none"),
    ):
        asyncio.run(decided(kind, server.address, frames(50)))


@both
def test_streams_of_one_client_share_nothing(kind: Kind) -> None:
    many = [frames(150, seed=seed) for seed in range(8)]
    results: dict[int, list[Answer]] = {}

    async def scenario() -> None:
        async with kind.client(server.address) as client:

            def one(number: int) -> Callable[[], Coroutine[Any, Any, None]]:
                async def run() -> None:
                    async with client.open(f"camera {number}", **OPTIONS) as stream:
                        results[number] = [answer async for answer in stream.decide(many[number], finish=True)]

                return run

            await kind.together(*(one(number) for number in range(8)))

    with ScriptedServer(script([Cut(k * 13) for k in range(20)])) as server:
        asyncio.run(scenario())
    assert [all_told(results[number]) for number in range(8)] == [expected(sent) for sent in many]


def test_no_thread_is_left_after_streams_were_closed() -> None:
    with ScriptedServer(script([Cut(3)])) as server:
        asyncio.run(decided(KINDS[0], server.address, frames(20)))
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if "gate" in thread.name], "the streams' threads to end"
    )


def test_no_task_is_left_after_streams_were_closed() -> None:
    async def scenario() -> None:
        await decided(KINDS[1], server.address, frames(20))
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0.01)
                gc.collect()

    with ScriptedServer(script([Cut(3)])) as server:
        asyncio.run(scenario())


def test_the_script_is_told_how_many_messages_came() -> None:
    """The tests above lean on it."""
    with ScriptedServer(Script()) as server:
        asyncio.run(decided(KINDS[1], server.address, frames(7)))
        assert server.script.messages == [1] * 7
