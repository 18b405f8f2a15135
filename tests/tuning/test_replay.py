import csv
import io
from dataclasses import replace as changed
from pathlib import Path

import numpy as np
import pytest

from tertium_server.engine import FrameColumns, StreamEngine, Workspace
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.tuning.decisions import Decisions, ReplayError
from tertium_server.tuning.readers import Sequence, read_detections
from tertium_server.tuning.replay import ReplayOptions, replay, stream_settings
from tertium_server.tuning.rows import write_header, write_rows
from tertium_server.tuning.summary import summarize, total
from tests.scenes import scene, write_kitti, write_mot

CLASSES = ("person", "car")


def kitti(tmp_path: Path, seed: int, *, ids: bool = False) -> Sequence:
    write_kitti(scene(seed, classes=CLASSES), tmp_path / "kitti", ids=ids)
    [sequence] = read_detections(tmp_path / "kitti", "kitti")
    return sequence


def mot(tmp_path: Path, seed: int, *, ids: bool = False) -> Sequence:
    [sequence] = read_detections(write_mot(scene(seed), tmp_path / "mot", ids=ids), "mot")
    return sequence


def text_of(decisions: Decisions) -> str:
    file = io.StringIO()
    write_header(file)
    write_rows(file, decisions)
    return file.getvalue()


def shuffled(sequence: Sequence, seed: int) -> Sequence:
    order = np.random.default_rng(seed).permutation(len(sequence))
    columns = ("frames", "boxes", "xywh", "scores", "class_ids", "track_ids", "rows")
    return changed(sequence, **{name: getattr(sequence, name)[order] for name in columns})


def frame_by_frame(
    sequence: Sequence, *, client_tracks: bool = False
) -> dict[tuple[int, int], tuple[int, float, float, int]]:
    """Decisions by frame and place in it, made the plain way: one frame a call, rows looked up one by one."""
    settings = stream_settings(sequence, client_tracks=client_tracks)
    engine = StreamEngine(compile_parameters(default_policy(), settings), settings)
    workspace = Workspace()
    found: dict[tuple[int, int], tuple[int, float, float, int]] = {}
    for offset in range(sequence.length):
        frame = sequence.first_frame + offset
        rows = [row for row in range(len(sequence)) if sequence.frames[row] == frame]
        columns = engine.advance(
            FrameColumns.of(
                [frame],
                [round(offset * 1e9 / sequence.fps)],
                [len(rows)],
                [sequence.boxes[row] for row in rows],
                [sequence.scores[row] for row in rows],
                [sequence.class_ids[row] for row in rows],
                [sequence.track_ids[row] + 1 - sequence.first_track for row in rows] if client_tracks else (),
            ),
            workspace,
        )
        assert not columns.status.any()
        for place in range(len(rows)):
            found[frame, place] = (
                int(columns.track_ids[place]),
                float(columns.probabilities[place]),
                float(columns.track_probabilities[place]),
                int(columns.verdicts[place]),
            )
    return found


@pytest.mark.parametrize("seed", range(3))
def test_decisions_are_those_of_one_frame_at_a_time_in_the_order_of_the_file(tmp_path: Path, seed: int) -> None:
    sequence = shuffled(kitti(tmp_path, seed), seed)
    expected = frame_by_frame(sequence)
    decisions = replay(sequence, default_policy())
    places: dict[int, int] = {}
    for row, frame in enumerate(sequence.frames.tolist()):
        place = places.get(frame, 0)
        places[frame] = place + 1
        assert expected[frame, place] == (
            decisions.track_ids[row],
            decisions.probabilities[row],
            decisions.track_probabilities[row],
            decisions.verdicts[row],
        )
    assert len(set(decisions.verdicts.tolist())) > 1


@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_the_size_of_the_batch_changes_nothing(tmp_path: Path, batch: int) -> None:
    sequence = mot(tmp_path, 5)
    assert text_of(replay(sequence, default_policy(), ReplayOptions(batch=batch))) == text_of(
        replay(sequence, default_policy())
    )


@pytest.mark.parametrize("form", ["mot", "kitti"])
def test_the_files_own_tracks_are_kept_and_printed(tmp_path: Path, form: str) -> None:
    sequence = (mot if form == "mot" else kitti)(tmp_path, 2, ids=True)
    decisions = replay(sequence, default_policy(), ReplayOptions(client_tracks=True))
    assert decisions.track_ids.tolist() == sequence.track_ids.tolist()
    assert sequence.first_track in decisions.track_ids
    assert (sequence.track_ids == -1).any()
    assert len(set(decisions.probabilities.tolist())) > 100


def test_a_track_twice_in_a_frame_is_refused_by_file_and_row(tmp_path: Path) -> None:
    folder = tmp_path / "mot"
    path = write_mot(scene(1), folder, ids=True)
    rows = (path / "det/det.txt").read_text().splitlines()
    twice = next(row for row in rows if row.split(",")[1] != "-1")
    (path / "det/det.txt").write_text("\n".join([*rows, twice]))
    [sequence] = read_detections(path, "mot")
    with pytest.raises(
        ReplayError, match=rf"sequence scene-1: .*det\.txt, row {len(rows) + 1}, frame .*occurs twice"
    ) as raised:
        replay(sequence, default_policy(), ReplayOptions(client_tracks=True))
    assert raised.value.sequence == "scene-1"


def test_a_crowd_beyond_the_limit_is_refused_by_frame(tmp_path: Path) -> None:
    sequence = mot(tmp_path, 1)
    many = np.resize(np.arange(len(sequence)), 1001)
    columns = ("boxes", "xywh", "scores", "class_ids", "track_ids", "rows")
    crowded = changed(sequence, frames=np.full(1001, 3), **{name: getattr(sequence, name)[many] for name in columns})
    with pytest.raises(ReplayError, match="frame 3: the frame has more detections than the engine takes"):
        replay(crowded, default_policy())


def test_empty_sequences_are_replayed(tmp_path: Path) -> None:
    (tmp_path / "0000.txt").write_text("")
    [sequence] = read_detections(tmp_path, "kitti")
    decisions = replay(sequence, default_policy())
    assert text_of(decisions).count("\n") == 1
    assert summarize(decisions, 0.0).frames_per_second == 0


def test_progress_is_told_every_frame(tmp_path: Path) -> None:
    steps: list[int] = []
    sequence = mot(tmp_path, 1)
    replay(sequence, default_policy(), ReplayOptions(batch=32), progress=steps.append)
    assert steps == [32, 32, 16]


def test_rows_say_what_the_file_says_and_what_the_engine_says(tmp_path: Path) -> None:
    sequence = kitti(tmp_path, 4)
    decisions = replay(sequence, default_policy())
    rows = list(csv.DictReader(io.StringIO(text_of(decisions))))
    assert list(rows[0]) == (
        [
            "sequence",
            "frame",
            "detection",
            "class",
            "x",
            "y",
            "w",
            "h",
            "score",
            "track",
            "probability",
            "track_probability",
            "verdict",
        ]
    )
    source = [line.split() for line in sequence.source.read_text().splitlines()]
    assert len(rows) == len(source)
    for number, (row, cells) in enumerate(zip(rows, source, strict=True)):
        assert (row["sequence"], row["frame"], row["class"]) == ("scene-4", cells[0], cells[2])
        assert (float(row["x"]), float(row["y"])) == (float(cells[6]), float(cells[7]))
        assert float(row["w"]) == pytest.approx(float(cells[8]) - float(cells[6]), abs=1e-6)
        assert float(row["score"]) == float(cells[17])
        # Nine digits tell any two float32 apart: reading them gives the very number back.
        assert np.float32(row["probability"]) == decisions.probabilities[number]
        assert np.float32(row["track_probability"]) == decisions.track_probabilities[number]
        assert row["verdict"] == {1: "NO", 2: "MAYBE", 3: "YES"}[int(decisions.verdicts[number])]
    by_frame: dict[str, int] = {}
    for row in rows:
        assert int(row["detection"]) == by_frame.get(row["frame"], 0)
        by_frame[row["frame"]] = int(row["detection"]) + 1


def test_the_summary_counts_what_the_decisions_say(tmp_path: Path) -> None:
    decisions = [replay(mot(tmp_path / str(seed), seed), default_policy()) for seed in (1, 2)]
    summaries = [summarize(one, 0.5) for one in decisions]
    for one, summary in zip(decisions, summaries, strict=True):
        last = {}
        for row in np.argsort(one.sequence.frames, kind="stable").tolist():
            last[int(one.track_ids[row])] = int(one.track_verdicts[row])
        assert summary.tracks == len(last)
        assert summary.track_verdicts == {
            name: list(last.values()).count(number) for name, number in (("NO", 1), ("MAYBE", 2), ("YES", 3))
        }
        assert sum(summary.verdicts.values()) == summary.detections == len(one.sequence)
        assert summary.frames_per_second == 160
    everything = total(summaries)
    assert everything.detections == sum(summary.detections for summary in summaries)
    assert everything.seconds == 1.0
