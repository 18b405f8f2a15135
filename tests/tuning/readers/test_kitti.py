from pathlib import Path

import numpy as np
import pytest

from tertium_server.tuning.readers import NothingFoundError, Options, ReadError, UnreadableError, read_detections
from tests.scenes import scene, write_kitti

TAIL = "-1000 -1000 -1000 -1000 -1000 -1000 -10"


def row(
    frame: str = "0", track: str = "-1", name: str = "Car", box: str = "10.5 20 40.25 60", score: str = "0.5"
) -> str:
    return f"{frame} {track} {name} -1 -1 -10 {box} {TAIL} {score}".strip()


def error_of(file: Path) -> ReadError:
    with pytest.raises(UnreadableError) as raised:
        read_detections(file, "kitti")
    [(name, error)] = raised.value.failures
    assert name == file.stem
    return error


def test_values_are_those_of_the_file_in_its_order(tmp_path: Path) -> None:
    file = write_kitti(scene(1, classes=("van", "bus")), tmp_path, ids=True)
    [sequence] = read_detections(file, "kitti")
    rows = [line.split() for line in file.read_text().splitlines()]
    corners = np.array([[float(cell) for cell in cells[6:10]] for cells in rows])
    assert len(sequence) == len(rows) > 50
    assert sequence.frames.tolist() == [int(cells[0]) for cells in rows]
    assert sequence.track_ids.tolist() == [int(cells[1]) for cells in rows]
    assert [sequence.class_names[index] for index in sequence.class_ids.tolist()] == [cells[2] for cells in rows]
    np.testing.assert_array_equal(sequence.boxes, corners.astype(np.float32))
    np.testing.assert_array_equal(sequence.xywh[:, 2:], corners[:, 2:] - corners[:, :2])
    assert sequence.scores.tolist() == [float(cells[17]) for cells in rows]
    assert (sequence.fps, sequence.first_frame, sequence.frame_size) == (10.0, 0, (0, 0))
    assert sequence.length == int(rows[-1][0]) + 1


@pytest.mark.parametrize("inside", ["", "detections"])
def test_a_folder_gives_its_files_and_class_ids_in_common(tmp_path: Path, inside: str) -> None:
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    (folder / "0001.txt").write_text(f"{row(name='Van')}\n{row('4', name='Car')}\n")
    (folder / "0000.txt").write_text(f"{row(name='Pedestrian')}\n")
    (folder / "0002.txt").write_text("")
    first, second, third = read_detections(tmp_path, "kitti")
    assert [first.name, second.name, third.name] == ["0000", "0001", "0002"]
    assert first.class_names == second.class_names == third.class_names == {0: "Car", 1: "Pedestrian", 2: "Van"}
    assert (first.class_ids.tolist(), second.class_ids.tolist()) == ([1], [2, 0])
    assert (first.length, second.length, third.length) == (1, 5, 0)
    assert "holds no detections" in third.warnings[0]


def test_a_missing_score_counts_as_certain_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(row(score=""))
    [sequence] = read_detections(tmp_path / "a.txt", "kitti", Options(fps=5))
    assert sequence.scores.tolist() == [1.0]
    assert "has no score column" in sequence.warnings[0]
    assert sequence.fps == 5


@pytest.mark.parametrize(
    ("bad", "column", "problem"),
    [
        (row(box="10 20 5 60"), "column 9 (x2)", "makes the width -5"),
        (row(box="10 20 40 20"), "column 10 (y2)", "makes the height 0"),
        (row(box="10 20 nan 60"), "column 9 (x2)", "is nan, which is no finite number"),
        (row(box="10 20 wide 60"), "column 9 (x2)", "has 'wide' where a number belongs"),
        (row(frame="-1"), "column 1 (frame)", "is -1"),
        (row(score="-0.1"), "column 18 (score)", "is -0.1, outside 0 to 1"),
        (row(score=""), "column 18 (score)", "is missing: the row has 17 of the 18 columns it needs"),
        (row(name="DontCare"), "column 3 (class)", "is DontCare, a region to ignore, not a detection"),
        (row(name="C" * 65), "column 3 (class)", "is longer than 64 characters"),
        (row(name="C\u200br"), "column 3 (class)", "is 'C\\u200br'"),
        ("0,-1,Car", "column 2 (id)", "is missing: the row has 1 of the 18 columns it needs"),
    ],
)
def test_an_error_names_row_column_and_problem(tmp_path: Path, bad: str, column: str, problem: str) -> None:
    file = tmp_path / "0007.txt"
    file.write_text(f"{row()}\n{bad}\n")
    error = error_of(file)
    assert (error.place.file, error.place.row, error.place.column) == (file, 2, column)
    assert error.problem == problem


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"holds no \.txt file; give"):
        read_detections(tmp_path, "kitti")
