"""A thousand malformed messages: the server goes on serving, its memory stays flat, and a stream beside them notices nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2

from tests.rpc.builders import (
    Frames,
    Request,
    batched,
    one_frame,
    open_message,
    opening,
    random_frames,
    recording,
    request,
    solo,
    told,
)
from tests.rpc.live import Call, ServerProcess, health_stub, open_call, until

CALLS = 200
ROUNDS = 5
MEBIBYTE = 1024 * 1024
NAN, INFINITY = float("nan"), float("inf")
BOX = [10.0, 10.0, 20.0, 30.0]
# 100,000 boxes, and a message of nothing but frames.
MANY = Frames(frame_indices=[1], capture_times=[1], detection_counts=[100_000], boxes=BOX * 100_000)
LONG = Frames(frame_indices=list(range(50_000)), capture_times=list(range(50_000)), detection_counts=[0] * 50_000)


def refused_frames() -> list[Frames]:
    """Messages of frames that a stream survives."""
    boxes = [
        [NAN, *BOX[1:]],
        [*BOX[:3], INFINITY],
        [-INFINITY, *BOX[1:]],
        [20.0, 10.0, 10.0, 30.0],
        [10.0, 10.0, 10.0, 10.0],
        [10.0, 10.0, 3e38, 30.0],
        [*BOX, 1.0],
    ]
    wrong = [
        Frames(frame_indices=[1], capture_times=[1], detection_counts=[1], boxes=box, scores=[0.5], class_ids=[1])
        for box in boxes
    ]
    wrong += [one_frame(1, [(*BOX, score)]) for score in (NAN, INFINITY, -0.5, 1.5)]
    wrong += [one_frame(1, [(*BOX, 0.5)], class_id=class_id) for class_id in (0, 2, 2**32 - 1)]
    wrong += [
        one_frame(2**62, [(*BOX, 0.5)], time=1),
        one_frame(2**64 - 1, [(*BOX, 0.5)], time=1),
        one_frame(1, [(*BOX, 0.5)], time=2**63 - 1),
        one_frame(1, [(*BOX, 0.5)], time=-(2**63)),
        Frames(frame_indices=[1, 2, 3]),
        Frames(detection_counts=[1], boxes=BOX),
        Frames(frame_indices=[1], capture_times=[1], detection_counts=[2**32 - 1], boxes=BOX),
        Frames(frame_indices=[1] * 5, capture_times=[1] * 5, detection_counts=[2**32 - 1] * 5),
        Frames(frame_indices=[1], capture_times=[1], detection_counts=[1], boxes=BOX, scores=[0.5] * 1000),
        Frames(frame_indices=[1], capture_times=[1], detection_counts=[1], boxes=BOX, track_ids=[1, 2]),
        MANY,
        LONG,
    ]
    return wrong


def fatal_messages(random: np.random.Generator) -> Iterator[bytes]:
    """Messages that end their call."""
    yield b""
    yield opening().SerializeToString()
    yield Request(open={}).SerializeToString()
    while True:
        damaged = bytearray(request(random_frames(random, 3)))
        damaged[: int(random.integers(1, 9))] = random.bytes(8)
        yield bytes(damaged)
        yield random.bytes(int(random.integers(1, 300)))


def first_messages(random: np.random.Generator) -> Iterator[bytes]:
    """Messages that begin no stream."""
    while True:
        yield Request(open={}).SerializeToString()
        yield random.bytes(50)
        yield request(recording()[0])
        yield opening(stream_id="x" * 5000).SerializeToString()
        yield opening(stream_id="attacker", checkpoint=random.bytes(500)).SerializeToString()
        yield opening(stream_id="attacker", nominal_fps=NAN, class_names={70_000: "", 1: "\x00"}).SerializeToString()


async def attack(channel: grpc.aio.Channel, seed: int) -> int:
    """Sends malformed messages of all kinds; returns how many."""
    random = np.random.default_rng(seed)
    fatal, first, sent = fatal_messages(random), first_messages(random), 0
    wrong = refused_frames()
    for number in range(CALLS // ROUNDS):
        begun_wrong = Call(channel)
        await begun_wrong.send(next(first))
        assert (await begun_wrong.end()).code is grpc.StatusCode.INVALID_ARGUMENT
        call = await open_call(channel, stream_id=f"attacker {seed} {number}")
        for place in range(5):
            response = await call.ask(wrong[(5 * number + place) % len(wrong)])
            assert response.notices
            assert not response.HasField("decisions")
        await end_badly(call, next(fatal))
        sent += 7
    return sent


async def end_badly(call: Call, data: bytes) -> None:
    """A message that ends the call; damage that happens to be a message of frames may leave it open."""
    await call.send(data)
    try:
        await call.receive()
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017 - not raising is right, too
    else:
        call.cancel()


async def keep_streaming(channel: grpc.aio.Channel, until: asyncio.Event) -> int:
    """Plays a recording again and again, one frame a message and several; each time it must be what it is alone."""
    rounds, expected = 0, {name: solo(recording(), stream_id=name) for name in ("good 1", "good 2")}
    while not until.is_set() or rounds < 2:
        for name, size in (("good 1", 1), ("good 2", 7)):
            call = await open_call(channel, stream_id=name)
            responses = await call.play(batched(recording(), size))
            assert told([*responses, await call.close()]) == expected[name]
        rounds += 1
    return rounds


async def is_serving(channel: grpc.aio.Channel) -> bool:
    response = await health_stub(channel).Check(health_pb2.HealthCheckRequest())
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture(name="server", scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


async def test_a_thousand_malformed_messages_change_nothing(server: ServerProcess) -> None:
    process = psutil.Process(server.process.pid)
    async with grpc.aio.insecure_channel(server.listen) as good, grpc.aio.insecure_channel(server.listen) as bad:
        done = asyncio.Event()
        streaming = asyncio.create_task(keep_streaming(good, done))
        await attack(bad, 0)
        before = process.memory_info().rss
        sent = sum([await attack(bad, seed) for seed in range(1, ROUNDS)])
        done.set()
        assert await streaming >= 2
        assert sent >= 1000
        assert await is_serving(good)
        # What one more round costs is noise of the allocator; a leak of 100,000 boxes a message would be ten times as much.
        assert process.memory_info().rss - before < 32 * MEBIBYTE
    assert server.process.poll() is None
    # Calls that were broken off end when the server sees it.
    await until(lambda: server.sample("tertium_streams_active", group="default") == 0)
    assert "internal error" not in server.log


async def test_refusals_do_not_fill_the_log(server: ServerProcess) -> None:
    def refused() -> float:
        return server.sample("grpc_server_handled_total", **DECIDE, grpc_code="InvalidArgument")

    before, lines_before = refused(), len(server.log.splitlines())
    async with grpc.aio.insecure_channel(server.listen) as channel:
        for _ in range(200):
            call = Call(channel)
            await call.send(Request(open=open_message(stream_id="")).SerializeToString())
            await call.end()
    # A call that is refused is counted when its status is on its way: its caller may know of it first.
    await until(lambda: refused() == before + 200)
    # One line in ten seconds, which says how many were held back.
    lines = server.log.splitlines()[lines_before:]
    assert sum("call refused" in line for line in lines) < 20
    held_back = [json.loads(line)["held_back"] for line in server.log.splitlines() if "call refused" in line]
    assert sum(held_back) + len(held_back) <= refused()


DECIDE = {"grpc_type": "bidi_stream", "grpc_service": "tertium.v1.DecisionService", "grpc_method": "Decide"}
