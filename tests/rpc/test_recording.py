"""What a server records is what it was sent, and a replay of it says what the server said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tertium.recording import Limits, Recorder
from tertium.v1 import decision_service_pb2
from tertium_server.app import Service
from tertium_server.config import Settings
from tertium_server.errors import StartError
from tertium_server.policy import default_policy
from tertium_server.tuning.decisions import VERDICTS
from tertium_server.tuning.readers import read_detections
from tertium_server.tuning.replay import ReplayOptions, replay
from tests.rpc.builders import Frames, Response, batched, make_stream, one_frame, open_message, play, recording, terms
from tests.rpc.live import Call, serving, until

LOST = "tertium_recording_lost_frames_total"
PERSON = (100, 100, 140, 200, 0.9)


def said(responses: list[Response]) -> list[tuple[int, int, float, str]]:
    """Frame, track (its low 24 bits), probability and verdict of each detection that was decided."""
    found: list[tuple[int, int, float, str]] = []
    for response in responses:
        decisions = response.decisions
        frames = [
            index
            for index, count in zip(decisions.frame_indices, decisions.detection_counts, strict=True)
            for _ in range(count)
        ]
        columns = (decisions.track_ids, decisions.probabilities, decisions.verdicts)
        for frame, track, probability, verdict in zip(frames, *columns, strict=True):
            found.append((frame, track & 0xFFFFFF, probability, VERDICTS[verdict]))
    return found


def replayed(folder: Path, **options: Any) -> list[tuple[int, int, float, str]]:
    """The same of a replay of the one recording in a folder."""
    [sequence] = read_detections(folder, "tertium")
    decisions = replay(sequence, default_policy(), ReplayOptions(**options))
    frames = sequence.frame_indices()[sequence.frames].tolist()
    verdicts = [VERDICTS[verdict] for verdict in decisions.verdicts.tolist()]
    return list(zip(frames, decisions.track_ids.tolist(), decisions.probabilities.tolist(), verdicts, strict=True))


def parts_of(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tertium"))


def rough(messages: list[Frames]) -> list[Frames]:
    """The messages with some that are refused, late or sent twice between them."""
    bad = one_frame(1000, [(100, 100, 100, 200, 0.9)])
    return [*messages[:9], bad, messages[8], *messages[9:], messages[3], one_frame(5000, [PERSON])]


@pytest.mark.parametrize("size", [1, 7])
async def test_a_replay_of_what_was_recorded_says_what_the_server_said(tmp_path: Path, size: int) -> None:
    messages = rough(list(batched(recording(), size)))
    async with serving(tmp_path, record=tmp_path / "recordings") as live:
        call = await live.open()
        responses = await call.play(messages)
        await call.close()
        assert live.sample(LOST) == 0
    assert said(responses) == replayed(tmp_path / "recordings")
    assert len(said(responses)) > 100


async def test_a_stream_that_was_resumed_is_recorded_as_one(tmp_path: Path) -> None:
    messages = recording()
    folder = tmp_path / "recordings"
    responses: list[Response] = []
    async with serving(tmp_path, record=folder) as live:
        call = await live.open(checkpoint_interval=10)
        responses += await call.play(messages[:45])
        checkpoint = [response.checkpoint for response in responses if response.HasField("checkpoint")][-1]
        call.cancel()
        call = await live.open(checkpoint=checkpoint.state, last_answered_frame=44)
        responses += await call.play(messages[checkpoint.last_frame + 1 :])
        await call.close()
    assert said(responses) == replayed(folder)
    [sequence] = read_detections(folder, "tertium")
    assert sequence.frame_indices().tolist() == list(range(len(messages)))
    assert any("that were sent again or came late" in warning for warning in sequence.warnings)


async def test_streams_are_recorded_apart_and_pieces_of_streams_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with serving(tmp_path, record=folder, record_file_bytes=2**20, record_total_bytes=2**20) as live:
        calls: list[Call] = [await live.open(stream_id=f"camera {number}") for number in range(3)]
        for number, call in enumerate(calls):
            await call.play(recording(number, 20 + number))
        await live.stub.DecideBatch(piece_of_a_stream())
        for call in calls:
            await call.close()
    sequences = read_detections(folder, "tertium")
    assert [(sequence.name, sequence.length) for sequence in sequences] == [
        ("camera 0", 20),
        ("camera 1", 21),
        ("camera 2", 22),
    ]
    assert {sequence.frame_size for sequence in sequences} == {(640, 360)}


def piece_of_a_stream() -> decision_service_pb2.DecideBatchRequest:
    return decision_service_pb2.DecideBatchRequest(open=open_message(stream_id="piece"), frames=recording()[0])


async def test_what_is_sent_is_there_while_the_stream_is_open(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with serving(tmp_path, record=folder) as live:
        call = await live.open()
        await call.play(recording()[:9])
        await until(lambda: live.sample("tertium_recording_pending_bytes") == 0)
        [sequence] = read_detections(folder, "tertium")
        assert sequence.length == 9
        await call.close()


async def test_without_the_option_nothing_is_recorded(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        await call.play(recording()[:9])
        await call.close()
        assert live.service.registry.get_sample_value(LOST) is None
    assert not parts_of(tmp_path)


def test_decisions_do_not_wait_for_a_recorder_that_is_full(tmp_path: Path) -> None:
    messages = recording()
    with Recorder(tmp_path, Limits(pending=1)) as recorder:
        stream = make_stream(terms(recorder=recorder))
        assert said(play(stream, messages)) == said(play(make_stream(), messages))
        stream.leave()
    assert recorder.lost_frames == len(messages)


async def test_a_message_with_too_many_frames_is_not_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    messages = list(batched(recording(), 10))
    async with serving(tmp_path, record=folder, max_frames_per_message=10) as live:
        call = await live.open()
        responses = await call.play([messages[0], next(batched(recording()[10:], 11)), *messages[1:]])
        await call.close()
    assert said(responses) == replayed(folder)


def test_a_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"--record .*file: can't be written"):
        Service(Settings(listen="127.0.0.1:0", metrics_port=0, data_dir=tmp_path, record=tmp_path / "file"))


def test_sizes_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"record_file_bytes .* is more than record_total_bytes"):
        Settings(data_dir=tmp_path, record_file_bytes=2**22, record_total_bytes=2**21)
