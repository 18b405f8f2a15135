import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium.recording import FrameArrays, Limits, Recorder, stream_folder
from tertium_server.engine import FrameColumns, StreamEngine, StreamSettings, Workspace
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.tuning.readers import (
    Kind,
    NothingFoundError,
    Options,
    ReadError,
    Sequence,
    UnreadableError,
    read_detections,
    read_labelled,
)
from tertium_server.tuning.replay import ReplayOptions, replay
from tests.recording.builders import message, opening
from tests.scenes import HEIGHT, WIDTH, scene

LARGEST = 1 << 62


def record(folder: Path, *messages: FrameArrays, limits: Limits = Limits(), **changes: Any) -> Path:  # noqa: B008  # frozen
    with Recorder(folder, limits) as recorder:
        stream = recorder.open(opening(**changes))
        for one in messages:
            assert stream.write(one)
    return folder


def read_one(path: Path, options: Options | None = None) -> Sequence:
    [sequence] = read_detections(path, "tertium", options)
    return sequence


def part_of(folder: Path) -> Path:
    [file] = stream_folder(folder, "gate").glob("*.tertium")
    return file


def test_what_was_recorded_comes_back(tmp_path: Path) -> None:
    first, second = message(1, 5, 4), message(2, 20, 3)
    sequence = read_one(record(tmp_path, first, second, frame_width=64, frame_height=48, nominal_fps=25.0))
    counts = np.concatenate([first.counts, second.counts])
    assert (sequence.name, sequence.fps, sequence.nominal_fps, sequence.frame_size) == ("gate", 25, 25, (64, 48))
    assert (sequence.first_frame, sequence.length, sequence.class_names) == (0, 7, {0: "car", 1: "person"})
    assert sequence.frame_indices().tolist() == [5, 6, 7, 8, 20, 21, 22]
    assert sequence.capture_times().tolist() == [step * 40_000_000 for step in (0, 1, 2, 3, 15, 16, 17)]
    assert sequence.by_frame().counts.tolist() == counts.tolist()
    np.testing.assert_array_equal(sequence.boxes, np.concatenate([first.boxes, second.boxes]))
    np.testing.assert_array_equal(sequence.scores, np.concatenate([first.scores, second.scores]))
    names = [sequence.class_names[number] for number in sequence.class_ids.tolist()]
    assert names == [{0: "person", 3: "car"}[number] for one in (first, second) for number in one.class_ids.tolist()]
    assert set(sequence.track_ids.tolist()) == {-1}
    assert sequence.rows.tolist() == [2] * len(first.boxes) + [3] * len(second.boxes)
    assert not sequence.warnings


def test_absent_arrays_are_filled_in_as_a_server_does(tmp_path: Path) -> None:
    empty = np.empty(0, np.int64)
    bare = message(1, 7)._replace(times=empty, scores=empty, class_ids=empty)
    sequence = read_one(record(tmp_path, bare, class_names={4: "person"}, nominal_fps=29.97))
    assert set(sequence.scores.tolist()) == {1.0}
    assert sequence.class_names == {0: "person"}
    whole = [int(np.floor(index * (1 / 29.97) * 1e9 + 0.5)) for index in (7, 8, 9)]
    assert sequence.capture_times().tolist() == [time - whole[0] for time in whole]


def test_without_a_rate_it_is_estimated_and_said_to_be(tmp_path: Path) -> None:
    sequence = read_one(record(tmp_path, message(1, 0, 9)))
    assert (sequence.fps, sequence.nominal_fps) == (25, 0)
    assert read_one(tmp_path, Options(fps=10)).nominal_fps == 10


def test_parts_are_put_together_and_runs_are_kept_apart(tmp_path: Path) -> None:
    for epoch in (3, 20):
        record(tmp_path, *(message(0, 3 * number) for number in range(9)), limits=Limits(part=700), epoch=epoch)
    record(tmp_path, message(0), stream_id="a/b")
    assert len(list(tmp_path.glob("gate/*"))) > 4
    sequences = read_detections(tmp_path, "tertium")
    assert [(one.name, one.length) for one in sequences] == [("a/b", 3), ("gate@3", 27), ("gate@20", 27)]
    assert [one.name for one in read_detections(tmp_path / "gate", "tertium", pattern="*20")] == ["gate@20"]
    first = min((tmp_path / "gate").iterdir())
    assert read_one(first).length == 3
    (first.parent / f"{first.name}.gz").write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    assert read_detections(tmp_path, "tertium")[1].length == 27


def test_runs_of_a_stream_that_were_moved_to_other_folders_are_told_apart(tmp_path: Path) -> None:
    for epoch, folder in ((3, "monday"), (20, "tuesday")):
        record(tmp_path, message(0), epoch=epoch)
        stream_folder(tmp_path, "gate").rename(tmp_path / folder)
    assert [one.name for one in read_detections(tmp_path, "tertium")] == ["gate@3", "gate@20"]
    shutil.copytree(tmp_path / "monday", tmp_path / "wednesday")
    with pytest.raises(
        ReadError, match=r"wednesday: is the run of gate that .*monday holds, too; take one of them away"
    ):
        read_detections(tmp_path, "tertium")


def test_a_torn_last_record_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    file = part_of(record(tmp_path, message(1), message(2, 3)))
    file.write_bytes(file.read_bytes()[:-5])
    sequence = read_one(tmp_path)
    assert sequence.length == 3
    [warning] = sequence.warnings
    assert warning.startswith(f"{file}: ends in the middle of record 3; its last ")
    file.write_bytes(file.read_bytes()[:4])
    with pytest.raises(UnreadableError, match=r"sequence gate: .*holds no whole record"):
        read_one(tmp_path)
    record(tmp_path, message(2, 3))
    sequence = read_one(tmp_path)
    assert (sequence.length, len(sequence.warnings)) == (3, 1)


def test_damage_is_an_error_that_names_the_record_and_spares_other_streams(tmp_path: Path) -> None:
    file = part_of(record(tmp_path, message(1), message(2, 3)))
    record(tmp_path, message(1), stream_id="yard")
    content = bytearray(file.read_bytes())
    content[-len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(UnreadableError) as raised:
        read_detections(tmp_path, "tertium")
    [(name, error)] = raised.value.failures
    assert (name, error.place.file, error.place.row, error.place.unit) == ("gate", file, 2, "record")
    assert error.problem == "does not have its checksum"


def test_other_settings_within_a_run_are_refused(tmp_path: Path) -> None:
    record(tmp_path, message(1))
    record(tmp_path, message(1, 3), frame_width=9)
    with pytest.raises(UnreadableError, match="was opened with other settings than the parts before it"):
        read_one(tmp_path)


def test_lost_frames_are_named(tmp_path: Path) -> None:
    with Recorder(tmp_path, Limits(pending=1000)) as recorder:
        stream = recorder.open(opening())
        stream.write(message(0))
        assert not stream.write(message(0, 3, 200))
        stream.close()
    assert any("the recorder lost 200 frames" in warning for warning in read_one(tmp_path).warnings)


def rough_stream(client_tracks: bool) -> list[FrameArrays]:  # noqa: FBT001  # a parameter of tests
    """What a camera may send at its worst: frames that are refused, repeated, late, far apart in index and in time."""
    messages: list[FrameArrays] = []
    recorded = scene(4, length=200, objects=4)
    by_frame: dict[int, list[Any]] = {}
    for row in recorded.rows:
        by_frame.setdefault(row[0], []).append(row)
    for start in range(0, 200, 10):
        rows = [row for frame in range(start, start + 10) for row in by_frame.get(frame, [])]
        boxes = np.array([(x, y, x + w, y + h) for _, x, y, w, h, *_ in rows], np.float32).reshape(-1, 4)
        frames = np.arange(start, start + 10, dtype=np.int64)
        messages.append(
            FrameArrays(
                indices=frames + 5 * (frames > 90),
                times=frames * 83_333_333 + 10**18 + 30 * 10**9 * (frames > 150),
                counts=np.array([len(by_frame.get(frame, [])) for frame in frames.tolist()], np.uint32),
                boxes=boxes,
                scores=np.array([row[5] for row in rows], np.float32),
                class_ids=np.zeros(len(rows), np.uint32),
                track_ids=np.array([row[7] + 1 for row in rows], np.int64) if client_tracks else np.empty(0, np.int64),
            )
        )
    messages.insert(6, messages[5])
    messages.insert(9, messages[2])
    for place, (name, value) in enumerate(
        [("boxes", np.nan), ("scores", 1.5), ("class_ids", 9), ("counts", 0), ("indices", LARGEST), ("times", -LARGEST)]
    ):
        arrays = messages[10 + place]
        if name == "counts":  # one frame with all the message's detections, others with none
            counts = np.zeros_like(arrays.counts)
            counts[-1] = len(arrays.boxes)
            messages[10 + place] = arrays._replace(counts=counts)
            continue
        column = getattr(arrays, name).copy()
        column.reshape(-1)[0] = value
        messages[10 + place] = arrays._replace(**{name: column})
    return messages


@pytest.mark.parametrize("client_tracks", [False, True])
def test_a_replay_gives_what_the_engine_said_when_it_was_recorded(tmp_path: Path, client_tracks: bool) -> None:  # noqa: FBT001  # a parameter
    messages = rough_stream(client_tracks)
    opened: dict[str, Any] = {
        "class_names": {0: "person"},
        "frame_width": WIDTH,
        "frame_height": HEIGHT,
        "client_tracks": client_tracks,
    }
    record(tmp_path, *messages, **opened)
    settings = StreamSettings(**opened)
    engine, workspace = StreamEngine(compile_parameters(default_policy(), settings), settings), Workspace()
    probabilities: list[float] = []
    taken: list[int] = []
    refused = 0
    for arrays in messages:
        decisions = engine.advance(FrameColumns.of(*arrays), workspace)
        assert not decisions.error
        refused += int(np.count_nonzero(decisions.status))
        probabilities += decisions.probabilities.tolist()
        taken += decisions.frame_indices.tolist()
    sequence = read_one(tmp_path)
    assert refused > 20
    assert sequence.frame_indices().tolist() == taken
    replayed = replay(sequence, default_policy(), ReplayOptions(client_tracks=client_tracks, batch=7))
    assert replayed.probabilities.tolist() == probabilities
    reasons = ["that no server takes", "that were sent again or came late"]
    assert [reason in warning for reason, warning in zip(reasons, sequence.warnings, strict=True)] == [True, True]


def test_truth_lies_beside_the_recording_in_the_cameras_numbers(tmp_path: Path) -> None:
    record(tmp_path, message(1, 5, 4), message(2, 20, 3))
    (tmp_path / "gate/gt").mkdir()
    (tmp_path / "gate/gt/gt.txt").write_text("21,1,10,20,30,40,1,3\n5,2,0,0,5,5,0,0\n9,1,0,0,5,5,1,0\n")
    [labelled] = read_labelled(tmp_path, tmp_path, "tertium")
    truth = labelled.truth
    assert truth.frames.tolist() == [5, 0]
    assert truth.kinds.tolist() == [Kind.EVALUATE, Kind.IGNORE]
    assert [truth.class_names[number] for number in truth.class_ids.tolist()] == ["car", "person"]
    assert truth.class_names == labelled.sequence.class_names
    assert truth.rows.tolist() == [1, 2]
    [warning] = truth.warnings
    assert "gt.txt, row 3, column 1 (frame): the first of 1 rows of frames that are not in the recording" in warning


@pytest.mark.parametrize(
    ("rows", "message_"),
    [
        ("5,1,0,0,5,5,1,7\n", r"row 1, column 8 \(class\): is 7, which the recording does not name"),
        ("5,1,0,0,5,5,1\n", r"column 8 \(class\): is missing, and there are several classes; write 0 person, 3 car"),
        ("5,1,0,0,5,nan,1,0\n", r"row 1, column 6 \(height\): is nan"),
        ("-5,1,0,0,5,5,1,0\n", r"row 1, column 1 \(frame\): is -5"),
    ],
)
def test_an_error_in_truth_names_row_and_column(tmp_path: Path, rows: str, message_: str) -> None:
    record(tmp_path, message(1, 5, 4))
    file = tmp_path / "truth.txt"
    file.write_text(rows)
    with pytest.raises(UnreadableError, match=message_):
        read_labelled(tmp_path, file, "tertium")


def test_a_recording_of_one_class_needs_none_in_truth(tmp_path: Path) -> None:
    empty = np.empty(0, np.int64)
    record(tmp_path, message(1, 5, 4)._replace(class_ids=empty), class_names={2: "person"})
    file = tmp_path / "truth.txt"
    file.write_text("5,1,0,0,5,5\n")
    [labelled] = read_labelled(tmp_path, file, "tertium")
    assert labelled.truth.class_ids.tolist() == [0]
    assert labelled.truth.class_names == {0: "person"}
    file.write_text("5,1,0,0,5,5,1,2\n5,2,9,0,5,5,1,7\n6,1,0,0,5,5,1,1\n")
    [labelled] = read_labelled(tmp_path, file, "tertium")
    assert labelled.truth.class_ids.tolist() == [0, 0, 0]
    assert labelled.truth.warnings == (f"{file}: rows of column 8 (class) 7 count as person, the one class there is",)


def test_a_recording_without_detections_is_a_sequence(tmp_path: Path) -> None:
    nothing = message(1, 0, 4)._replace(
        counts=np.zeros(4, np.uint32), boxes=b"", scores=b"", class_ids=b"", track_ids=b""
    )
    sequence = read_one(record(tmp_path, nothing))
    assert (sequence.length, len(sequence)) == (4, 0)
    assert "holds no detections of gate" in sequence.warnings[0]


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match="holds no recording; give the folder that --record wrote to"):
        read_detections(tmp_path, "tertium")
    with pytest.raises(NothingFoundError, match="does not exist"):
        read_detections(tmp_path / "gone", "tertium")
    record(tmp_path, message(1))
    with pytest.raises(NothingFoundError, match=r"holds no gt/gt\.txt in its folders"):
        read_labelled(tmp_path, tmp_path, "tertium")
    (tmp_path / "no.tertium").write_bytes(b"1,2,3,4,5,6,7,8")
    with pytest.raises(ReadError, match="is no recording of this version"):
        read_detections(tmp_path / "no.tertium", "tertium")
