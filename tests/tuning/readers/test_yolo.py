import struct
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
    read_detections,
    read_labelled,
)

FPS = Options(fps=10)
INFO = "[Sequence]\nframeRate=25\nseqLength=6\nimWidth=200\nimHeight=100\n"


def folder_of(path: Path, files: dict[str, str], **others: str | bytes) -> Path:
    """A folder of label files by stem; others by name, with _ for its dot."""
    path.mkdir(parents=True, exist_ok=True)
    for stem, rows in files.items():
        (path / f"{stem}.txt").write_text(rows)
    for name, content in others.items():
        file = path / name.replace("_", ".")
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def read_one(found: Path, truth: Path, options: Options = FPS) -> Labelled:
    [labelled] = read_labelled(found, truth, "yolo", options)
    return labelled


def error_of(found: Path, truth: Path) -> ReadError:
    with pytest.raises(UnreadableError) as raised:
        read_one(found, truth)
    [(_, error)] = raised.value.failures
    return error


def test_shares_of_the_image_become_pixels(tmp_path: Path) -> None:
    found = folder_of(
        tmp_path / "found", {"gate_3": "0 0.5 0.5 0.2 0.4 0.75 9\n\n1 0.1 0.2 0.2 0.4 0.5 -1\n", "gate_10": ""}
    )
    truth = folder_of(tmp_path / "truth", {"gate_10": "1 0.5 0.25 1 0.5\n"}, data_yaml="names:\n  0: cat\n  1: dog\n")
    (truth / "seqinfo.ini").write_text(INFO.replace("seqLength=6", "seqLength=12"))
    labelled = read_one(found, truth, Options())
    sequence, known = labelled.sequence, labelled.truth
    assert (sequence.fps, sequence.first_frame, sequence.length, sequence.frame_size) == (25, 1, 12, (200, 100))
    assert (known.first_frame, known.length, known.name) == (1, 12, sequence.name)
    assert sequence.frames.tolist() == [3, 3]
    np.testing.assert_allclose(sequence.xywh, [[80, 30, 40, 40], [0, 0, 40, 40]], atol=1e-12)
    assert sequence.scores.tolist() == [0.75, 0.5]
    assert sequence.track_ids.tolist() == [9, -1]
    assert sequence.rows.tolist() == [1, 3]
    assert sequence.class_names == known.class_names == {0: "cat", 1: "dog"}
    assert sequence.class_ids.tolist() == [0, 1]
    assert known.frames.tolist() == [10]
    assert known.boxes.tolist() == [[0, 0, 200, 50]]
    assert known.kinds.tolist() == [Kind.EVALUATE]
    assert not labelled.warnings


def test_images_tell_frames_and_sizes_in_the_usual_layout(tmp_path: Path) -> None:
    truth = folder_of(tmp_path / "set/labels/val", {"b10": "0 .5 .5 1 1\n"})
    images = folder_of(tmp_path / "set/images/val", {})
    for name, size in (("b2", (100, 50)), ("b10", (100, 50)), ("b1", (300, 50))):
        (images / f"{name}.png").write_bytes(png(*size))
    (tmp_path / "set/data.yaml").write_text("path: .\nnames: [person]\n")
    found = folder_of(tmp_path / "runs/predict/labels", {"b1": "0 .5 .5 1 1 .5\n", "b2": "0 .5 .5 .5 .5 .25\n"})
    labelled = read_one(tmp_path / "runs/predict", truth)
    assert (labelled.name, labelled.sequence.length, labelled.sequence.class_names) == ("predict", 3, {0: "person"})
    assert labelled.sequence.frame_size == (0, 0)
    assert labelled.sequence.xywh.tolist() == [[0, 0, 300, 50], [25, 12.5, 50, 25]]
    assert (labelled.sequence.frames.tolist(), labelled.truth.frames.tolist()) == ([0, 1], [2])
    assert labelled.sequence.capture_times().tolist() == [0, 100_000_000, 900_000_000]
    assert found.is_dir()


def test_numbers_without_a_file_are_frames_without_boxes_unless_most_are_missing(tmp_path: Path) -> None:
    found = folder_of(tmp_path / "found", {"2": "0 .5 .5 1 1 .5\n", "5": "", "6": ""})
    truth = folder_of(tmp_path / "truth", {"7": "0 .5 .5 1 1\n"}, classes_txt="person\n")
    labelled = read_one(found, truth)
    assert (labelled.sequence.first_frame, labelled.sequence.length) == (2, 6)
    assert labelled.sequence.by_frame().counts.tolist() == [1, 0, 0, 0, 0, 0]
    assert labelled.truth.frames.tolist() == [7]
    assert any("2 frames between 2 and 7 have no label file; they count" in text for text in labelled.warnings)
    folder_of(truth, {"900": ""})
    labelled = read_one(found, truth)
    assert (labelled.sequence.first_frame, labelled.sequence.length) == (0, 5)
    assert labelled.truth.frames.tolist() == [3]
    assert any("most numbers between 2 and 900 have no label file" in text for text in labelled.warnings)


def test_names_without_numbers_are_put_in_order(tmp_path: Path) -> None:
    found = folder_of(tmp_path / "found", {"bus": "0 .5 .5 1 1 .5\n"}, classes_txt="person\n")
    truth = folder_of(tmp_path / "truth", {"ant": "", "1700000000000000001": "", "zebra": "0 .5 .5 1 1\n"})
    labelled = read_one(found, truth)
    assert labelled.sequence.length == 4
    assert (labelled.sequence.frames.tolist(), labelled.truth.frames.tolist()) == ([2], [3])


def test_time_stamps_are_names_not_numbers(tmp_path: Path) -> None:
    stamps = {"1700000000000": "0 .5 .5 1 1 .5\n", "1700000040000": "0 .5 .5 1 1 .5\n"}
    [sequence] = read_detections(folder_of(tmp_path / "found", stamps, classes_txt="a"), "yolo", FPS)
    assert (sequence.length, sequence.frames.tolist()) == (2, [0, 1])


def test_folders_and_prefixes_are_sequences(tmp_path: Path) -> None:
    row = "0 .5 .5 1 1 .5\n"
    found = folder_of(tmp_path / "found", {"north_1": row, "north_2": "", "south-01": row}, classes_txt="a")
    assert [(one.name, one.length) for one in read_detections(found, "yolo", FPS)] == [("north", 2), ("south", 1)]
    truth = folder_of(tmp_path / "truth", {"north_2": "0 .5 .5 1 1\n", "south-01": ""}, classes_txt="a")
    north, south = read_labelled(found, truth, "yolo", FPS)
    assert (north.truth.frames.tolist(), south.truth.length) == ([2], 1)
    for part, rows in (("detections", row), ("labels", "0 .5 .5 1 1\n")):
        for name in ("a", "b"):
            folder_of(tmp_path / "both" / name / part, {"1": rows})
    (tmp_path / "both/classes.txt").write_text("a\n")
    assert [one.name for one in read_labelled(tmp_path / "both", tmp_path / "both", "yolo", FPS)] == ["a", "b"]
    for name in ("a", "b"):
        folder_of(tmp_path / "other/labels" / name, {"1": "0 .5 .5 1 1\n"})
    assert [one.name for one in read_labelled(tmp_path / "both", tmp_path / "other", "yolo", FPS)] == ["a", "b"]


def test_files_that_start_alike_in_a_folder_of_folders_are_sequences_named_for_both(tmp_path: Path) -> None:
    for part, row in (("found", "0 .5 .5 1 1 .5\n"), ("truth", "0 .5 .5 1 1\n")):
        folder_of(tmp_path / part / "monday", {"north_1": row, "north_2": row, "south_1": row}, classes_txt="a")
        folder_of(tmp_path / part / "sunday", {"1": row}, classes_txt="a")
    read = read_labelled(tmp_path / "found", tmp_path / "truth", "yolo", FPS)
    assert [(one.name, len(one.sequence), len(one.truth)) for one in read] == [
        ("monday/north", 2, 2), ("monday/south", 1, 1), ("sunday", 1, 1),
    ]  # fmt: skip


def test_without_names_and_sizes_there_are_warnings(tmp_path: Path) -> None:
    [sequence] = read_detections(folder_of(tmp_path / "found", {"1": "3 .5 .5 1 1 .5\n"}), "yolo")
    assert sequence.class_names == {0: "3"}
    assert sequence.xywh.tolist() == [[0, 0, 1000, 1000]]
    rate, size, names = sequence.warnings
    assert "says no frame rate" in rate
    assert "1 of 1 boxes are on images whose size is not known" in size
    assert "no data.yaml or classes.txt near it; classes go by their numbers" in names


def test_a_missing_confidence_counts_as_certain_with_a_warning(tmp_path: Path) -> None:
    found = folder_of(tmp_path / "found", {"1": "0 .5 .5 1 1\n"}, classes_txt="a")
    [sequence] = read_detections(found, "yolo", FPS)
    assert sequence.scores.tolist() == [1]
    assert "has no confidence; every detection counts with score 1.0" in sequence.warnings[-1]


def test_a_confidence_in_truth_is_mentioned(tmp_path: Path) -> None:
    truth = folder_of(tmp_path / "truth", {"1": "0 .5 .5 1 1 .5 4\n"}, classes_txt="a")
    labelled = read_one(folder_of(tmp_path / "found", {"1": ""}), truth)
    assert labelled.truth.track_ids.tolist() == [4]
    assert "gives each object a confidence" in labelled.truth.warnings[-1]


@pytest.mark.parametrize(
    ("bad", "row", "column", "problem"),
    [
        ("0 .5 .5 nan 1 .5", 2, "column 4 (width)", "is nan, which is no finite number"),
        ("0 .5 .5 0 1 .5", 2, "column 4 (width)", "makes the width 0"),
        ("0 .5 .5 1 1 1.5", 2, "column 6 (confidence)", "is 1.5, outside 0 to 1"),
        ("0 .5 .5 1 1", 2, "column 6 (confidence)", "is missing: the row has 5 of the 6 columns it needs"),
        ("0 .5 .5 1", 2, "column 5 (height)", "is missing: the row has 4 of the 6 columns it needs"),
        ("0 320 .5 1 1 .5", 2, "column 2 (x)", "is 320, and boxes are given in shares of the picture"),
        ("7 .5 .5 1 1 .5", 2, "column 1 (class)", "is 7"),
        ("0.5 .5 .5 1 1 .5", 2, "column 1 (class)", "is 0.5, which is no whole number"),
        ("0 .5 .5 1 1 .5 1 1", 2, "column 7 (id)", "is there, and is missing in row 1"),
        ("0,.5,.5,1,1,.5", 2, "column 2 (x)", "is missing: the row has 1 of the 6 columns it needs"),
    ],
)
def test_an_error_names_file_row_column_and_problem(
    tmp_path: Path, bad: str, row: int, column: str, problem: str
) -> None:
    files = {"1": "0 .5 .5 1 1 .5\n", "2": f"0 .5 .5 1 1 .5\n{bad}\n"}
    found = folder_of(tmp_path / "found", files, classes_txt="person\n")
    error = error_of(found, folder_of(tmp_path / "truth", {"1": ""}))
    assert (error.place.file, error.place.row, error.place.column) == (found / "2.txt", row, column)
    assert error.problem == problem


def test_outlines_and_files_that_differ_are_refused(tmp_path: Path) -> None:
    truth = folder_of(tmp_path / "truth", {"1": ""})
    error = error_of(folder_of(tmp_path / "outlines", {"1": "0 .1 .1 .2 .2 .3 .3 .1 .2\n"}), truth)
    assert error.remedy == "give boxes, not outlines or key points"
    mixed = folder_of(tmp_path / "mixed", {"1": "0 .5 .5 1 1 .5\n", "2": "0 .5 .5 1 1\n"})
    assert str(error_of(mixed, truth).place) == f"{mixed / '2.txt'}, column 6 (confidence)"
    doubled = folder_of(tmp_path / "doubled", {"1": "", "01": ""})
    assert error_of(doubled, truth).problem.startswith("is frame 1, as is")
    late = folder_of(tmp_path / "late", {"7": ""}, seqinfo_ini=INFO)
    assert error_of(late, truth).problem == "is frame 7, after the last frame 6"


@pytest.mark.parametrize("content", ["names: 5", "nothing: [a]", "names: {a: b}", "names: [", "- a"])
def test_names_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    found = folder_of(tmp_path / "found", {"1": "0 .5 .5 1 1 .5\n"}, data_yaml=content)
    with pytest.raises(UnreadableError, match=r"data\.yaml"):
        read_detections(found, "yolo", FPS)


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"holds no label files; give a folder of \.txt files"):
        read_detections(tmp_path, "yolo")
    with pytest.raises(NothingFoundError, match="does not exist"):
        read_detections(tmp_path / "gone", "yolo")
    found = folder_of(tmp_path / "found", {"1": ""})
    with pytest.raises(NothingFoundError, match="is given as detections and as truth"):
        read_one(found, found)
