"""What people answered, over the frames of a life: as the server's stream has it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium_server.cli.application import run
from tertium_server.engine import FrameColumns, StreamEngine, Verdict, Workspace
from tertium_server.engine.ruling import FAR
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.rpc.rulings import Rulings
from tertium_server.tuning.frames import frames_of
from tertium_server.tuning.life import LifeFrame, watch_lives
from tertium_server.tuning.life_people import PeoplesAnswer, Stand
from tertium_server.tuning.readers import Sequence, read_detections
from tertium_server.tuning.replay import replay, stream_settings
from tests.scenes import scene, write_mot

MICROSECONDS = 1e6


@pytest.fixture(scope="module", name="folder")
def write_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mot(scene(4, objects=6), tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module", name="sequence")
def read_sequence(folder: Path) -> Sequence:
    return read_detections(folder, "mot")[0]


@pytest.fixture(scope="module", name="track")
def longest(sequence: Sequence) -> int:
    return max(watch_lives(sequence, default_policy()).summaries, key=lambda one: one.hits).track


def test_an_answer_holds_from_when_it_was_settled_until_the_slow_level_is_too_far_against_it() -> None:
    stand = Stand(PeoplesAnswer(case_id="c", verdict=Verdict.NO, closed_at=2))
    levels = [-1.0, 0.0, 1.0, 0.5, 4.0, 4.1, -9.0]
    parts = [stand.over(time, level) for time, level in zip(range(0, 7000, 1000), levels, strict=True)]
    assert [part is not None for part in parts] == [False, False, True, True, True, True, False]
    assert [part.moved for part in parts if part] == [1.0, 0.5, 4.0, 4.1], (
        "against the level of the frame before it came"
    )
    assert [part.left for part in parts if part] == pytest.approx([FAR - moved for moved in (1.0, 0.5, 4.0, 4.1)])


def told_by_the_server(sequence: Sequence, track: int, verdict: Verdict, since: int) -> dict[int, int]:
    """What a stream tells of a track by frame, when people's answer comes before the frame ``since``."""
    settings = stream_settings(sequence, client_tracks=False)
    engine, workspace, rulings = (
        StreamEngine(compile_parameters(default_policy(), settings), settings),
        Workspace(),
        Rulings(),
    )
    order, told = sequence.by_frame(), dict[int, int]()
    for piece in frames_of(sequence, order.order, order.counts, client_tracks=False).split(1):
        if piece.indices[0] == since:
            rulings.rule(engine, track, verdict)
        columns = engine.advance(
            FrameColumns(
                piece.indices, piece.times, piece.counts, piece.boxes, piece.scores, piece.class_ids, piece.track_ids
            ),
            workspace,
        )
        rulings.apply(columns)
        for ids, verdicts in (
            (columns.track_ids, columns.track_verdicts),
            (columns.coasted_track_ids, columns.coasted_verdicts),
        ):
            told |= {int(piece.indices[0]): int(one) for one in verdicts[ids == track]}
        rulings.review(engine)
    return told


@pytest.mark.parametrize("verdict", [Verdict.NO, Verdict.YES])
@pytest.mark.parametrize("after", [1, 4, 12])
def test_in_every_frame_the_verdict_is_the_one_that_the_server_tells(
    sequence: Sequence, track: int, verdict: Verdict, after: int
) -> None:
    machine = watch_lives(sequence, default_policy(), [track]).frames[track]
    came = machine[after]
    answer = PeoplesAnswer(case_id="c", verdict=verdict, closed_at=round(came.seconds * MICROSECONDS) - 1)
    life = watch_lives(sequence, default_policy(), [track], answers={track: answer}).frames[track]
    told = told_by_the_server(sequence, track, verdict, came.frame)
    shown = {one.frame: int(one.told) for one in life if one.frame in told}
    assert shown == told
    assert [one.verdict for one in life] == [one.verdict for one in machine], (
        "the machine's own verdict stays to be seen"
    )


def exported(sequence: Sequence, track: int, **fields: Any) -> dict[str, Any]:
    """A line of `tertium review export` on a track."""
    mine = np.flatnonzero(replay(sequence, default_policy()).track_ids == track)
    indices = sequence.frame_indices()[sequence.frames[mine] - sequence.first_frame]
    boxes = sequence.boxes[mine].tolist()
    line = {
        "case_id": "case-7", "stream_id": "gate", "epoch": 1, "class_name": "object", "stratum": "maybe",
        "policy_version": "0-x", "probability": 0.5, "weight": 1.0, "answer": "no",
        "frames": [{"index": int(index), "box": box} for index, box in zip(indices, boxes, strict=True)],
    }  # fmt: skip
    return line | fields


def explained(folder: Path, *options: str) -> int:
    return run(["explain", str(folder), "--format", "mot", *options])


def life_of(sequence: Sequence, track: int) -> tuple[LifeFrame, ...]:
    return watch_lives(sequence, default_policy(), [track]).frames[track]


def test_the_command_shows_the_answer_in_text_data_and_picture(
    folder: Path, sequence: Sequence, track: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life = life_of(sequence, track)
    came = life[len(life) // 2]
    file, plot = tmp_path / "answers.jsonl", tmp_path / "life.svg"
    lines = [
        exported(sequence, track, answer="yes", closed_at=1),
        exported(sequence, track, closed_at=int(came.seconds * MICROSECONDS)),
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = ("--track", str(track), "--reviews", str(file))
    assert explained(folder, *asked, "--plot", str(plot)) == 0
    out = capsys.readouterr().out
    assert "people: NO (case case-7) stands over the machine" in out
    assert "NO (people)" in out
    assert "people: NO" in plot.read_text()
    assert explained(folder, *asked, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["people"] == {"case_id": "case-7", "verdict": "NO", "closed_at": lines[1]["closed_at"]}
    ruled = [one["frame"] for one in content["frames"] if one["human"]]
    assert ruled[0] == came.frame
    assert explained(folder, *asked, "--frame", str(came.frame)) == 0
    assert "has moved" in capsys.readouterr().out
    assert explained(folder, "--reviews", str(file)) == 0
    assert "people" in capsys.readouterr().out


def test_an_answer_that_came_after_the_track_was_over_is_said_so(
    folder: Path, sequence: Sequence, track: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps(exported(sequence, track, closed_at=1_800_000_000_000_000)) + "\n")
    assert explained(folder, "--track", str(track), "--reviews", str(file)) == 0
    out = capsys.readouterr().out
    assert "people: NO (case case-7), settled after the track was over" in out
    assert "(people)" not in out


def test_answers_on_other_tracks_are_not_shown(
    folder: Path, sequence: Sequence, track: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, line = tmp_path / "answers.jsonl", exported(sequence, track, closed_at=1)
    moved = [{**frame, "box": [edge + 1 for edge in frame["box"]]} for frame in line["frames"]]
    file.write_text(json.dumps({**line, "frames": moved}) + "\n")
    assert explained(folder, "--track", str(track), "--reviews", str(file)) == 0
    assert "people" not in capsys.readouterr().out
