"""Resume parity: cut at any frame, restored in another process, the decisions are those of an undisturbed run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.rpc.builders import Frames, Response, batched, opening, recording, solo, told
from tests.rpc.live import Call, ServerProcess, open_call, serving


async def cut_and_resume(first: ServerProcess, second: ServerProcess, messages: list[Frames], cut: int) -> Response:
    """Frames up to the cut on one server, the rest on another, from the last checkpoint before the cut."""
    name = f"cut at {cut}"
    async with grpc.aio.insecure_channel(first.listen) as here, grpc.aio.insecure_channel(second.listen) as there:
        call = await open_call(here, stream_id=name, checkpoint_interval=7)
        before = await call.play(messages[:cut])
        call.cancel()
        checkpoint = [response for response in [call.opened, *before] if response.HasField("checkpoint")][-1].checkpoint
        resumed = await open_call(there, stream_id=name, checkpoint=checkpoint.state, last_answered_frame=cut - 1)
        wanted = resumed.opened.opened.first_frame
        assert wanted == (checkpoint.last_frame + 1 if checkpoint.HasField("last_frame") else 0)
        after = await resumed.play(batched(messages[wanted:], 3))
        return told([*before, *after, await resumed.close()])


async def test_cut_at_every_tenth_frame_and_resumed_in_another_process(tmp_path: Path) -> None:
    messages = recording(length=120)
    key = tmp_path / "key"
    key.write_text("a key that both replicas are given, say")
    with (
        ServerProcess(tmp_path / "a", TERTIUM_CHECKPOINT_KEY_FILE=str(key)) as first,
        ServerProcess(tmp_path / "b", TERTIUM_CHECKPOINT_KEY_FILE=str(key)) as second,
    ):
        cuts = range(10, 120, 10)
        results = await asyncio.gather(*(cut_and_resume(first, second, messages, cut) for cut in cuts))
        for cut, result in zip(cuts, results, strict=True):
            assert result == solo(messages, stream_id=f"cut at {cut}")
        counted = [server.sample("tertium_frames_received_total", group="default") for server in (first, second)]
        assert counted == [sum(cuts), sum(120 - cut for cut in cuts)]


async def test_a_server_that_is_killed_and_started_again_goes_on(tmp_path: Path) -> None:
    """It finds its key in the data folder; all else the caller holds."""
    messages = recording(length=100)
    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.listen) as channel:
            call = await open_call(channel, checkpoint_interval=9)
            before = await call.play(messages[:50])
            server.kill()
            with pytest.raises(grpc.aio.AioRpcError):
                await call.ask(messages[50])
            # Which of them depends on whether grpc notices in a read or in a write; clients try both again.
            assert (await call.end()).code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    checkpoint = [response for response in before if response.HasField("checkpoint")][-1].checkpoint
    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.listen) as channel:
            call = await open_call(channel, checkpoint=checkpoint.state, last_answered_frame=49)
            after = await call.play(messages[call.opened.opened.first_frame :])
            assert told([*before, *after, await call.close()]) == solo(messages)
        assert server.sample("tertium_frames_received_total", group="default") == 50


async def test_a_server_with_another_key_refuses_the_checkpoint(tmp_path: Path) -> None:
    async with serving(tmp_path / "a") as first, serving(tmp_path / "b") as second:
        call = await first.open()
        foreign = Call(second.channel)
        await foreign.send(opening(checkpoint=call.opened.checkpoint.state).SerializeToString())
        ending = await foreign.end()
        assert (ending.code, ending.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["open.checkpoint"])
        assert "another key" in ending.message
