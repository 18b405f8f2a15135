from pathlib import Path

import numpy as np
import pytest

from tertium_server.tuning.readers import (
    Kind,
    Labelled,
    NothingFoundError,
    Options,
    ReadError,
    UnreadableError,
    read_labelled,
)
from tests.scenes import scene, write_mot

INFO = "[Sequence]\nname=a\nframeRate=25\nseqLength=10\nimWidth=640\nimHeight=480\n"
DETECTION = "1,-1,10,20,30,40,0.5,-1,-1,-1\n"


def sequence_folder(parent: Path, truth: str | None, name: str = "street", detections: str = DETECTION) -> Path:
    folder = parent / name
    (folder / "det").mkdir(parents=True)
    (folder / "det/det.txt").write_text(detections)
    (folder / "seqinfo.ini").write_text(INFO)
    if truth is not None:
        (folder / "gt").mkdir()
        (folder / "gt/gt.txt").write_text(truth)
    return folder


def read_one(folder: Path, options: Options | None = None) -> Labelled:
    [labelled] = read_labelled(folder, folder, "mot", options)
    return labelled


def error_of(folder: Path) -> ReadError:
    with pytest.raises(UnreadableError) as raised:
        read_one(folder)
    [(name, error)] = raised.value.failures
    assert name == "street"
    return error


def test_rows_are_taken_as_they_stand(tmp_path: Path) -> None:
    folder = sequence_folder(tmp_path, "2,7,100,50.5,20,60,1,1,0.9\n\n1,3,-5,0,10,10.25,0,8,1\n")
    labelled = read_one(folder, Options(class_name="person"))
    truth = labelled.truth
    assert truth.class_names == labelled.sequence.class_names == {0: "person"}
    assert (truth.name, truth.first_frame, truth.length, truth.min_height) == ("street", 1, 10, 0.0)
    assert truth.frames.tolist() == [2, 1]
    assert truth.boxes.tolist() == [[100, 50.5, 120, 110.5], [-5, 0, 5, 10.25]]
    assert truth.track_ids.tolist() == [7, 3]
    assert truth.kinds.tolist() == [Kind.EVALUATE, Kind.IGNORE]
    assert truth.class_ids.tolist() == [0, 0]
    assert truth.rows.tolist() == [1, 3]
    assert truth.source == folder / "gt/gt.txt"
    assert not labelled.warnings


@pytest.mark.parametrize("seed", range(3))
def test_generated_truth_comes_back(tmp_path: Path, seed: int) -> None:
    recording = scene(seed)
    folder = write_mot(recording, tmp_path)
    objects = [row for row in recording.rows if row[-1] >= 0]
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text(
        "".join(
            f"{frame + 1},{number + 1},{left},{top},{width},{height},{number % 2},1,1\n"
            for frame, left, top, width, height, _, _, number in objects
        )
    )
    truth = read_one(folder).truth
    assert len(truth) == len(objects) > 20
    assert truth.frames.tolist() == [row[0] + 1 for row in objects]
    np.testing.assert_array_equal(truth.boxes[:, :2], np.array([row[1:3] for row in objects]))
    np.testing.assert_allclose(truth.boxes[:, 2:] - truth.boxes[:, :2], np.array([row[3:5] for row in objects]))
    assert (truth.kinds == Kind.EVALUATE).sum() == sum(row[-1] % 2 for row in objects)
    assert truth.length == recording.length


def test_without_an_evaluate_column_every_row_counts_with_a_warning(tmp_path: Path) -> None:
    truth = read_one(sequence_folder(tmp_path, "1,1,0,0,5,5\n")).truth
    assert truth.kinds.tolist() == [Kind.EVALUATE]
    assert "has no column 7 (evaluate); every row counts" in truth.warnings[0]


def test_other_classes_that_are_evaluated_are_mentioned(tmp_path: Path) -> None:
    rows = "1,1,0,0,5,5,1,3\n1,2,0,0,5,5,0,8\n1,3,0,0,5,5,1,1\n1,4,0,0,5,5,1,-1\n"
    [warning] = read_one(sequence_folder(tmp_path, rows)).truth.warnings
    assert "rows of column 8 (class) 3 are evaluated" in warning


def test_an_object_twice_in_a_frame_is_mentioned(tmp_path: Path) -> None:
    rows = "1,1,0,0,5,5,1\n1,2,0,0,5,5,1\n2,1,0,0,5,5,1\n1,1,9,9,5,5,1\n2,-1,0,0,5,5,1\n2,-1,0,0,5,5,1\n"
    [warning] = read_one(sequence_folder(tmp_path, rows)).truth.warnings
    assert "gt.txt, row 4, column 2 (id): an object has a second box in its frame" in warning


def test_no_truth_rows_and_no_detections_are_a_sequence_with_its_frames(tmp_path: Path) -> None:
    labelled = read_one(sequence_folder(tmp_path, "", detections=""))
    assert (len(labelled.truth), len(labelled.sequence)) == (0, 0)
    assert labelled.truth.length == labelled.sequence.length == 10
    assert labelled.truth.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ("1,1,0,0,5,5,2,1", "column 7 (evaluate)", "is 2"),
        ("1,1,0,0,5,5,nan,1", "column 7 (evaluate)", "is nan"),
        ("1,1,0,0,5,0,1,1", "column 6 (height)", "makes the height 0"),
        ("1,1,0,nan,5,5,1,1", "column 4 (top)", "is nan, which is no finite number"),
        ("11,1,0,0,5,5,1,1", "column 1 (frame)", "is 11, after the last frame 10"),
        ("0,1,0,0,5,5,1,1", "column 1 (frame)", "is 0"),
        ("1,1.5,0,0,5,5,1,1", "column 2 (id)", "is 1.5, which is no whole number"),
        ("1,1,0,0,5,5", "column 7 (evaluate)", "is missing: the row has 6 of the 8 columns it needs"),
        ("1,1,0,0,5,5,1", "column 8 (class)", "is missing: the row has 7 of the 8 columns it needs"),
        ("1,1,0,0,5,5,yes,1", "column 7 (evaluate)", "has 'yes' where a number belongs"),
    ],
)
def test_an_error_names_row_column_and_problem(tmp_path: Path, row: str, column: str, problem: str) -> None:
    folder = sequence_folder(tmp_path, f"1,1,0,0,5,5,1,1\n{row}\n")
    error = error_of(folder)
    assert (error.place.file, error.place.row, error.place.column) == (folder / "gt/gt.txt", 2, column)
    assert error.problem == problem


def test_truth_may_lie_elsewhere_and_pairs_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        sequence_folder(tmp_path / "found", None, name)
        folder = sequence_folder(tmp_path / "labels", "1,1,0,0,5,5,1,1\n" * (1 + (name == "b")), name)
        (folder / "det/det.txt").unlink()
    labelled = read_labelled(tmp_path / "found", tmp_path / "labels", "mot")
    assert [(one.name, len(one.truth)) for one in labelled] == [("a", 1), ("b", 2)]
    [only] = read_labelled(tmp_path / "found", tmp_path / "labels", "mot", pattern="b*")
    assert only.name == "b"


def test_a_sequence_without_its_other_half_is_named(tmp_path: Path) -> None:
    sequence_folder(tmp_path, "", "a")
    sequence_folder(tmp_path, None, "b")
    (sequence_folder(tmp_path, "", "c") / "det/det.txt").unlink()
    with pytest.raises(NothingFoundError, match="holds no truth for b; add it"):
        read_labelled(tmp_path, tmp_path, "mot")
    with pytest.raises(NothingFoundError, match="holds no detections for c; add a file"):
        read_labelled(tmp_path, tmp_path, "mot", pattern="[ac]")


def test_two_files_named_one_by_one_belong_together(tmp_path: Path) -> None:
    found = sequence_folder(tmp_path / "found", None, "one") / "det/det.txt"
    truth = tmp_path / "answers.txt"
    truth.write_text("1,1,0,0,5,5,1\n")
    [labelled] = read_labelled(found, truth, "mot")
    assert (labelled.name, labelled.truth.name, labelled.truth.length) == ("one", "one", 10)
    with pytest.raises(NothingFoundError, match="is given as detections and as truth"):
        read_labelled(found, found, "mot")


def test_without_seqinfo_the_sequence_ends_with_the_last_row_of_either(tmp_path: Path) -> None:
    folder = sequence_folder(tmp_path, "7,1,0,0,5,5,1\n")
    (folder / "seqinfo.ini").unlink()
    labelled = read_one(folder, Options(fps=10))
    assert labelled.sequence.length == labelled.truth.length == 7
    assert labelled.sequence.by_frame().counts.tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_lengths_that_disagree_are_refused(tmp_path: Path) -> None:
    found = sequence_folder(tmp_path / "found", None)
    truth = sequence_folder(tmp_path / "truth", "")
    (truth / "seqinfo.ini").write_text(INFO.replace("=10", "=12"))
    with pytest.raises(UnreadableError, match=r"key seqLength: is 12, and the sequence of detections has 10 frames"):
        read_labelled(found, truth, "mot")
    (found / "seqinfo.ini").unlink()
    [labelled] = read_labelled(found, truth, "mot", Options(fps=10))
    assert labelled.sequence.length == 12


def test_the_sequences_that_can_be_read_are_given_where_failures_are_heard(tmp_path: Path) -> None:
    sequence_folder(tmp_path, "1,1,0,0,5,5,1\n", "a")
    sequence_folder(tmp_path, "1,1,0,0,-5,5,1\n", "b")
    sequence_folder(tmp_path, "1,1,0,0,5,5,1\n", "c", detections="x")
    with pytest.raises(UnreadableError) as raised:
        read_labelled(tmp_path, tmp_path, "mot")
    assert sorted(name for name, _ in raised.value.failures) == ["b", "c"]
    heard: list[str] = []
    labelled = read_labelled(tmp_path, tmp_path, "mot", failed=lambda name, _: heard.append(name))
    assert ([one.name for one in labelled], sorted(heard)) == (["a"], ["b", "c"])
    with pytest.raises(UnreadableError):
        read_labelled(tmp_path, tmp_path, "mot", pattern="b", failed=lambda name, _: heard.append(name))
