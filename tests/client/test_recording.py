"""What clients record is what was sent, and what `--format tertium` reads."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium.recording import Limits, Recorder
from tertium_client import Client, InvalidSettingsError
from tertium_server.tuning.readers import Sequence, read_detections
from tests.client.builders import CLASSES, KINDS, Kind, frames
from tests.client.scripted_server import Cut, ScriptedServer, script

both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


async def send(kind: Kind, address: str, record: Any, **options: Any) -> None:
    async with (
        kind.client(address, record=record) as client,
        client.open("gate", class_names=CLASSES, **options) as stream,
    ):
        sent = frames(120)
        assert len([answer async for answer in stream.decide(sent, finish=True)]) == len(sent) + 1


def assert_recorded(sequence: Sequence) -> None:
    sent = frames(120)
    assert sequence.frame_indices().tolist() == [frame.frame_index for frame in sent]
    assert sequence.by_frame().counts.tolist() == [len(frame.boxes) for frame in sent]
    np.testing.assert_array_equal(sequence.boxes, np.concatenate([frame.boxes for frame in sent]))
    scores = [np.ones(len(frame.boxes)) if frame.scores is None else frame.scores for frame in sent]
    np.testing.assert_array_equal(sequence.scores, np.concatenate(scores))


@both
def test_a_folder_gets_what_was_sent_once_however_often_the_connection_broke(kind: Kind, tmp_path: Path) -> None:
    with ScriptedServer(script([Cut(7), Cut(12)])) as server:
        asyncio.run(send(kind, server.address, tmp_path, batch=4))
        assert len(server.script.opens) == 3
    [sequence] = read_detections(tmp_path, "tertium")
    assert sequence.name == "gate"
    assert set(sequence.class_names.values()) == set(CLASSES.values())
    assert not sequence.warnings
    assert_recorded(sequence)


@both
def test_a_recorder_of_the_callers_own_stays_open(kind: Kind, tmp_path: Path) -> None:
    with Recorder(tmp_path, Limits(part=2000)) as recorder:
        for epoch in (1, 2):
            with ScriptedServer(script()) as server:
                asyncio.run(send(kind, server.address, recorder, epoch=epoch))
    sequences = read_detections(tmp_path, "tertium")
    assert [sequence.name for sequence in sequences] == ["gate@1", "gate@2"]
    for sequence in sequences:
        assert_recorded(sequence)


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSettingsError, match=r"record.*can't be written to"):
        Client("127.0.0.1:1", record=tmp_path / "file")
