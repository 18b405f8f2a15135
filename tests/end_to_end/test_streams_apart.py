"""Streams share nothing: many at once are what each is alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from tests.rpc.builders import Frames, Response, batched, recording, solo, told
from tests.rpc.live import ServerProcess, open_call

STREAMS = 64


async def play(channel: grpc.aio.Channel, name: str, messages: list[Frames]) -> Response:
    call = await open_call(channel, stream_id=name)
    return told([*(await call.play(messages)), await call.close()])


async def test_64_streams_at_once_are_each_what_it_is_alone(tmp_path: Path) -> None:
    """Each has a recording of its own, batched in its own way; some messages are heavy and run beside the others."""
    names = [f"camera {number}" for number in range(STREAMS)]
    messages = [list(batched(recording(seed, 40), (1, 3, 8, 40)[seed % 4])) for seed in range(STREAMS)]
    with ServerProcess(tmp_path, TERTIUM_HEAVY_DETECTIONS="1", TERTIUM_HEAVY_WORKERS="2") as server:
        channels = [grpc.aio.insecure_channel(server.listen, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
        together = await asyncio.gather(
            *(play(channels[number % 4], names[number], messages[number]) for number in range(STREAMS))
        )
        for channel in channels:
            await channel.close()
        assert server.sample("tertium_frames_received_total", group="default") == STREAMS * 40
    ids: set[int] = set()
    for name, own, result in zip(names, messages, together, strict=True):
        assert result == solo(own, stream_id=name)
        tracks = set(result.decisions.track_ids)
        assert not tracks & ids
        ids |= tracks
