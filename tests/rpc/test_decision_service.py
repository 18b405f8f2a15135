"""The service over real connections."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from tertium.v1 import decision_service_pb2, decisions_pb2, frames_pb2
from tertium_server.rpc.stream import Stream
from tests.rpc.builders import (
    Request,
    Response,
    batched,
    frames_of,
    make_stream,
    one_frame,
    open_message,
    opening,
    person,
    play,
    recording,
    request,
    solo,
    told,
)
from tests.rpc.live import Call, Live, ending_of, raw_decide, serving, until
from tests.scenes import scene

Notice = decisions_pb2.Notice
Batch = decision_service_pb2.DecideBatchRequest


@pytest.mark.parametrize("size", [1, 16])
async def test_a_stream_over_grpc_is_the_stream_in_process(tmp_path: Path, size: int) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        assert call.opened.opened.first_frame == 0
        assert not call.opened.checkpoint.HasField("last_frame")
        responses = await call.play(batched(recording(), size))
        assert told([*responses, await call.close()]) == solo(recording())


async def test_a_caller_may_send_ahead_of_the_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        for message in recording():
            await call.send(request(message))
        responses = [await call.receive() for _ in recording()]
        assert told([*responses, await call.close()]) == solo(recording())


FIRST_MESSAGES: list[tuple[str, bytes, list[str]]] = [
    ("empty open", Request(open={}).SerializeToString(), ["open.stream_id", "open.class_names"]),
    ("frames first", request(person(0)), ["open"]),
    ("evidence first", Request(evidence={}).SerializeToString(), ["open"]),
    ("nothing set", b"", ["message"]),
    ("no message", b"\xff\xff\xff", [""]),
    ("text that is no UTF-8", b"\x0a\x04\x0a\x02\xff\xfe", [""]),
    ("damaged checkpoint", opening(checkpoint=b"nonsense").SerializeToString(), ["open.checkpoint"]),
]


@pytest.mark.parametrize(
    ("first", "fields"), [case[1:] for case in FIRST_MESSAGES], ids=[case[0] for case in FIRST_MESSAGES]
)
async def test_a_call_that_begins_wrong_ends_with_the_fields_at_fault(
    tmp_path: Path, first: bytes, fields: list[str]
) -> None:
    async with serving(tmp_path) as live:
        call = Call(live.channel)
        await call.send(first)
        ending = await call.end()
        assert ending.code is grpc.StatusCode.INVALID_ARGUMENT
        assert ending.fields == fields


async def test_a_call_that_closes_before_its_open_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = live.stub.Decide()
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_call_that_says_nothing_is_ended(tmp_path: Path) -> None:
    async with serving(tmp_path, open_seconds=0.05) as live:
        ending = await Call(live.channel).end()
        assert ending.code is grpc.StatusCode.DEADLINE_EXCEEDED
        call = await open_in_time(live)
        await asyncio.sleep(0.2)  # the limit is for the Open alone
        assert (await call.ask(person(0))).decisions.verdicts


async def open_in_time(live: Live) -> Call:
    """An open stream on a server that does not wait for long: on a busy machine an Open may come too late, and is sent again."""
    while True:
        try:
            return await live.open()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise


@pytest.mark.parametrize(
    "data", [opening().SerializeToString(), b"\xff\xff", b""], ids=["second open", "no message", "nothing set"]
)
async def test_a_message_that_no_stream_can_go_on_after_ends_the_call(tmp_path: Path, data: bytes) -> None:
    async with serving(tmp_path) as live:
        call, other = await live.open(), await live.open(stream_id="other")
        await call.play(recording()[:5])
        await call.send(data)
        assert (await call.end()).code is grpc.StatusCode.INVALID_ARGUMENT
        assert told([*(await other.play(recording())), await other.close()]) == solo(recording(), stream_id="other")


async def test_a_message_over_the_limit_of_bytes_ends_the_call(tmp_path: Path) -> None:
    async with serving(tmp_path, max_message_bytes=10_000) as live:
        call = await live.open()
        await call.send(bytes(20_000))
        assert (await call.end()).code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_more_streams_than_there_may_be_are_told_when_to_try_again(tmp_path: Path) -> None:
    async with serving(tmp_path, max_streams=2) as live:
        first = await live.open(stream_id="1")
        await live.open(stream_id="2")
        ending = await Call(live.channel).end()
        assert ending.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ending.retry_seconds == 5
        await first.close()
        assert (await live.open(stream_id="3")).opened.HasField("opened")


async def test_a_newer_call_takes_the_stream_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        older = await live.open()
        await older.play(recording()[:10])
        newer = await live.open()
        ending = await older.end()
        assert ending.code is grpc.StatusCode.ABORTED
        assert ending.retry_seconds is None
        assert told([*(await newer.play(recording())), await newer.close()]) == solo(recording())


async def test_a_call_that_does_not_read_is_taken_over_all_the_same(tmp_path: Path) -> None:
    """Its server hangs in a write, for the windows are full."""
    async with serving(tmp_path) as live:
        deaf = raw_decide(live.channel)
        await deaf.write(opening().SerializeToString())
        sending = asyncio.create_task(flood(deaf))
        await until_stuck(live)
        newer = await live.open()
        assert (await newer.ask(person(0))).decisions.verdicts
        sending.cancel()
        deaf.cancel()


async def until_stuck(live: Live) -> None:
    """Waits until the server has taken frames and takes no more."""
    frames = 0.0
    while not frames or live.sample("tertium_frames_received_total", group="default") > frames:
        frames = live.sample("tertium_frames_received_total", group="default")
        await asyncio.sleep(0.5)


async def flood(call: Any) -> None:
    """Sends frames and reads nothing."""
    (many,) = batched([one_frame(index, [(1, 1, 5, 5, 0.9)] * 50) for index in range(100)], 100)
    data = request(many)
    while True:
        await call.write(data)


async def test_takeovers_in_a_row_leave_one_stream(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        calls = [Call(live.channel) for _ in range(10)]
        await asyncio.gather(*(call.send(opening().SerializeToString()) for call in calls))
        await until(lambda: live.sample("tertium_streams_active", group="default") == 1)
        await until(lambda: live.sample("grpc_server_handled_total", **DECIDE, grpc_code="Aborted") == 9)
        assert live.service.readiness().streams == 1


DECIDE = {"grpc_type": "bidi_stream", "grpc_service": "tertium.v1.DecisionService", "grpc_method": "Decide"}


async def test_a_broken_call_is_resumed_where_it_broke(tmp_path: Path) -> None:
    messages = recording()
    async with serving(tmp_path) as live:
        call = await live.open(checkpoint_interval=10)
        before = await call.play(messages[:36])
        call.cancel()
        again = await live.open(checkpoint=before[29].checkpoint.state, last_answered_frame=35)
        assert again.opened.opened.first_frame == 30
        after = await again.play(messages[30:])
        assert told([*before, *after, await again.close()]) == solo(messages)
        assert live.sample("tertium_frames_received_total", group="default") == 80


async def test_frames_whose_answers_were_lost_are_counted_once(tmp_path: Path) -> None:
    messages = recording()
    async with serving(tmp_path) as live:
        call = await live.open(checkpoint_interval=10)
        before = [await call.ask(message) for message in messages[:36]]
        for message in messages[36:45]:  # answered, but the caller never sees it
            await call.send(request(message))
        await until(lambda: live.sample("tertium_frames_received_total", group="default") == 45)
        call.cancel()
        again = await live.open(checkpoint=before[29].checkpoint.state, last_answered_frame=35)
        after = await again.play(messages[30:])
        assert told([*before, *after, await again.close()]) == solo(messages)
        assert live.sample("tertium_frames_received_total", group="default") == 80
        assert counted_decisions(live) == len(solo(messages).decisions.verdicts)


def counted_decisions(live: Live) -> float:
    return sum(
        live.sample("tertium_decisions_total", **{"class": "other", "verdict": verdict, "reason": "threshold"})
        for verdict in ("yes", "no", "maybe")
    )


async def test_a_caller_that_vanishes_ends_no_tracks(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        await call.play(recording()[:40])
        closed = sum(live.sample("tertium_tracks_closed_total", reason=reason) for reason in ("stream_ended", "reset"))
        call.cancel()
        await until(lambda: live.sample("tertium_streams_active", group="default") == 0)
        assert (
            sum(live.sample("tertium_tracks_closed_total", reason=reason) for reason in ("stream_ended", "reset"))
            == closed
            == 0
        )


async def test_heavy_messages_are_answered_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound so low that all large messages are heavy, and small ones between. A heavy one is noticed where the others are answered."""
    frames = frames_of(scene(1, 120, objects=20))
    messages = [*batched(frames[:40], 40), *batched(frames[40:60], 1), *batched(frames[60:], 60)]
    ran: list[str] = []
    _observe(monkeypatch, "answer", ran)
    heavy: list[str] = []
    _observe(monkeypatch, "answer_heavy", heavy)
    async with serving(tmp_path, heavy_detections=40, heavy_workers=2) as live:
        calls = [await live.open(stream_id=f"camera {number}", epoch=7) for number in range(4)]
        answers = await asyncio.gather(*(play_all(call, messages) for call in calls))
        for number, answer in enumerate(answers):
            assert answer == solo(messages, stream_id=f"camera {number}")
    assert ran == ["MainThread"] * (2 * 4 * len(messages))  # half of them by solo
    assert len(heavy) == 4 * 2
    assert all(name.startswith("tertium-heavy") for name in heavy)


def _observe(monkeypatch: pytest.MonkeyPatch, name: str, threads: list[str]) -> None:
    """Notes the thread in which a method of streams runs."""
    method = getattr(Stream, name)

    def observed(self: Stream, data: Any, desk: Any) -> bytes:
        threads.append(threading.current_thread().name)
        result: bytes = method(self, data, desk)
        return result

    monkeypatch.setattr(Stream, name, observed)


async def play_all(call: Call, messages: list[frames_pb2.Frames]) -> Response:
    return told([*(await call.play(messages)), await call.close()])


async def test_a_bug_in_one_stream_ends_that_stream_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Stream.answer

    def buggy(self: Stream, data: bytes, desk: Any) -> bytes:
        if self.stream_id == "cursed":
            raise ZeroDivisionError("a secret of the house")
        return answer(self, data, desk)

    monkeypatch.setattr(Stream, "answer", buggy)
    async with serving(tmp_path) as live:
        cursed, blessed = await live.open(stream_id="cursed"), await live.open()
        await cursed.send(request(person(0)))
        ending = await cursed.end()
        assert ending.code is grpc.StatusCode.INTERNAL
        assert "secret" not in ending.message
        assert told([*(await blessed.play(recording())), await blessed.close()]) == solo(recording())
    assert "a secret of the house" in capsys.readouterr().out  # the log, with its traceback


async def batch(live: Live, **fields: Any) -> decision_service_pb2.DecideBatchResponse:
    return await live.stub.DecideBatch(Batch(**fields))


async def test_a_stream_in_pieces_is_the_stream(tmp_path: Path) -> None:
    """DecideBatch, each time with the checkpoint of the response before."""
    messages = list(batched(recording(), 9))
    async with serving(tmp_path) as live:
        state, parts = b"", []
        for number, message in enumerate(messages):
            last = number == len(messages) - 1
            response = await batch(live, open=open_message(checkpoint=state), frames=message, end_of_stream=last)
            assert response.opened.first_frame == 9 * number
            assert response.HasField("checkpoint") is not last
            state = response.checkpoint.state
            parts.append(Response.FromString(response.SerializeToString()))  # the fields have the same numbers
        assert told(parts) == solo(recording())
        assert live.sample("tertium_frames_received_total", group="default") == 80
        assert live.sample("tertium_streams_active", group="default") == 0


async def test_a_batch_that_is_sent_again_is_answered_alike_and_counted_once(tmp_path: Path) -> None:
    (frames,) = batched(recording(), 80)
    async with serving(tmp_path) as live:
        first = await batch(live, open=open_message(), frames=frames)
        assert await batch(live, open=open_message(), frames=frames) == first
        assert live.sample("tertium_frames_received_total", group="default") == 80


async def test_a_batch_without_frames_hands_out_a_checkpoint(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        response = await batch(live, open=open_message())
        assert response.checkpoint.state
        assert not response.HasField("decisions")


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({}, ["open"]),
        ({"open": {}}, ["open.stream_id", "open.class_names"]),
        ({"open": open_message(checkpoint=b"x")}, ["open.checkpoint"]),
    ],
    ids=["nothing", "empty open", "damaged checkpoint"],
)
async def test_a_batch_that_is_wrong_is_refused_with_the_fields_at_fault(
    tmp_path: Path, fields: Any, at_fault: list[str]
) -> None:
    async with serving(tmp_path) as live:
        ending = await ending_of(live.stub.DecideBatch(Batch(**fields)))
        assert (ending.code, ending.fields) == (grpc.StatusCode.INVALID_ARGUMENT, at_fault)


async def test_a_heavy_batch_is_decided_beside_the_streams(tmp_path: Path) -> None:
    (frames,) = batched(recording(), 80)
    async with serving(tmp_path) as live:
        response = await batch(live, open=open_message(), frames=frames)
        assert response.decisions == told(play(make_stream(), [frames])).decisions


async def test_refused_frames_of_a_batch_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        frames = one_frame(3, [(5, 5, 1, 1, 0.5)])
        response = await batch(live, open=open_message(), frames=frames)
        assert [(notice.code, notice.frame_index) for notice in response.notices] == [(Notice.CODE_INVALID, 3)]


async def test_draining_sends_every_stream_away_with_its_checkpoint(tmp_path: Path) -> None:
    messages = recording()
    async with serving(tmp_path / "first") as live:
        call = await live.open()
        before = await call.play(messages[:33])
        await live.open(stream_id="fresh")
        waiting = Call(live.channel)  # has not sent its Open
        await until(lambda: live.service.readiness().streams == 3)
        stopping = asyncio.create_task(live.service.stop())
        last = await call.receive()
        assert [notice.code for notice in last.notices] == [Notice.CODE_DRAINING]
        assert last.checkpoint.last_frame == 32
        ending = await call.end()
        assert ending.code is grpc.StatusCode.UNAVAILABLE
        assert ending.retry_seconds == 1
        assert (await waiting.end()).code is grpc.StatusCode.UNAVAILABLE
        await stopping
    key = tmp_path / "first" / "checkpoint.key"
    async with serving(tmp_path / "second", checkpoint_key_file=key) as live:
        again = await live.open(checkpoint=last.checkpoint.state, last_answered_frame=32)
        assert told([*before, *(await again.play(messages[33:])), await again.close()]) == solo(messages)


async def test_while_it_drains_nothing_new_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        live.service.stop_taking_calls()
        assert (await Call(live.channel).end()).code is grpc.StatusCode.UNAVAILABLE
        ending = await ending_of(live.stub.DecideBatch(Batch(open=open_message())))
        assert (ending.code, ending.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 1)


async def test_a_caller_that_does_not_read_holds_up_the_end_no_longer_than_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_seconds=0.5) as live:
        deaf = raw_decide(live.channel)
        await deaf.write(opening().SerializeToString())
        sending = asyncio.create_task(flood(deaf))
        await until_stuck(live)
        await asyncio.wait_for(live.service.stop(), 30)
        sending.cancel()


async def test_a_frame_under_way_is_answered_before_the_stream_is_sent_away(tmp_path: Path) -> None:
    """Every frame sent has its answer, or is not in the checkpoint: nothing is lost between."""
    messages = recording()
    async with serving(tmp_path) as live:
        call = await live.open()
        for message in messages[:40]:
            await call.send(request(message))
        stopping = asyncio.create_task(live.service.stop())
        responses = []
        while True:
            response = await call.receive()
            responses.append(response)
            if response.notices:
                break
        answered = [index for response in responses for index in response.decisions.frame_indices]
        assert answered == list(range(len(answered)))
        last = responses[-1].checkpoint
        assert (last.last_frame if last.HasField("last_frame") else -1) == len(answered) - 1
        await stopping
