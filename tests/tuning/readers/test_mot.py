import csv
import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from tertium_server.tuning.readers import NothingFoundError, Options, ReadError, UnreadableError, read_detections
from tests.scenes import scene, write_mot

INFO = "[Sequence]\nname=a\nframeRate=25\nseqLength=10\nimWidth=640\nimHeight=480\n"
ROW = "1,-1,10,20,30,40,0.5,-1,-1,-1"


def folder_with(parent: Path, rows: str, info: str | None = INFO) -> Path:
    sequence = parent / "street"
    (sequence / "det").mkdir(parents=True)
    (sequence / "det/det.txt").write_text(rows)
    if info is not None:
        (sequence / "seqinfo.ini").write_text(info)
    return sequence


def error_of(path: Path, options: Options | None = None) -> ReadError:
    with pytest.raises(UnreadableError) as raised:
        read_detections(path, "mot", options)
    [(name, error)] = raised.value.failures
    assert name == "street"
    return error


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_the_file_in_its_order(tmp_path: Path, seed: int) -> None:
    path = write_mot(scene(seed), tmp_path, fps=29.97)
    [sequence] = read_detections(path, "mot", Options(class_name="person"))
    with (path / "det/det.txt").open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    assert len(sequence) == len(rows) > 50
    assert sequence.frames.tolist() == [int(row[0]) for row in rows]
    assert sequence.xywh.tolist() == [row[2:6] for row in rows]
    assert sequence.scores.tolist() == [row[6] for row in rows]
    corners = [(row[2], row[3], row[2] + row[4], row[3] + row[5]) for row in rows]
    np.testing.assert_array_equal(sequence.boxes, np.array(corners, np.float32))
    assert sequence.rows.tolist() == list(range(1, len(rows) + 1))
    assert (sequence.name, sequence.fps, sequence.first_frame, sequence.length) == (path.name, 29.97, 1, 80)
    assert sequence.frame_size == (640, 360)
    assert sequence.class_names == {0: "person"}
    assert not sequence.warnings


def test_a_folder_of_sequences_is_read_by_name_and_by_pattern(tmp_path: Path) -> None:
    for seed in (3, 1, 2):
        write_mot(scene(seed, length=20), tmp_path)
    (tmp_path / "notes").mkdir()
    assert [sequence.name for sequence in read_detections(tmp_path, "mot")] == ["scene-1", "scene-2", "scene-3"]
    assert [sequence.name for sequence in read_detections(tmp_path, "mot", pattern="*-[23]")] == ["scene-2", "scene-3"]
    with pytest.raises(
        NothingFoundError, match=r"no sequence whose name matches 'x\*'; it holds scene-1, scene-2, scene-3"
    ):
        read_detections(tmp_path, "mot", pattern="x*")


def test_the_file_itself_may_be_given_and_may_be_compressed(tmp_path: Path) -> None:
    path = write_mot(scene(1), tmp_path)
    [plain] = read_detections(path / "det/det.txt", "mot")
    (path / "det/det.txt.gz").write_bytes(gzip.compress((path / "det/det.txt").read_bytes()))
    (path / "det/det.txt").unlink()
    [compressed] = read_detections(path, "mot")
    assert plain.name == compressed.name == path.name
    np.testing.assert_array_equal(plain.boxes, compressed.boxes)


def test_rows_out_of_order_keep_their_place_and_are_grouped_by_frame(tmp_path: Path) -> None:
    rows = ["3,-1,1,1,5,5,.3", "1,-1,2,2,5,5,.1", "", "3,-1,3,3,5,5,.3", "1,-1,4,4,5,5,.1", "10,-1,5,5,5,5,.9"]
    [sequence] = read_detections(folder_with(tmp_path, "\n".join(rows)), "mot")
    order = sequence.by_frame()
    assert sequence.rows.tolist() == [1, 2, 4, 5, 6]
    assert order.order.tolist() == [1, 3, 0, 2, 4]
    assert order.counts.tolist() == [2, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert order.ordinals.tolist() == [0, 0, 1, 1, 0]


def test_capture_times_are_rounded_nanoseconds_from_the_first_frame(tmp_path: Path) -> None:
    [sequence] = read_detections(folder_with(tmp_path, ROW), "mot", Options(fps=30))
    assert sequence.capture_times().tolist() == [round(index * 1e9 / 30) for index in range(10)]
    assert sequence.capture_times().dtype == np.int64


def test_a_missing_score_counts_as_certain_with_a_warning(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "1,-1,10,20,30,40\n2,-1,10,20,30,40\n")
    [sequence] = read_detections(path, "mot")
    assert sequence.scores.tolist() == [1.0, 1.0]
    assert sequence.warnings == (f"{path / 'det/det.txt'}: has no score column; every detection counts with score 1.0",)


def test_scores_may_be_log_odds_when_said_so(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "1,-1,10,20,30,40,-3.5\n1,-1,10,20,30,40,7.25\n")
    [sequence] = read_detections(path, "mot", Options(logits=True))
    assert sequence.logits
    assert sequence.scores.tolist() == [-3.5, 7.25]
    error = error_of(path)
    assert str(error).endswith(
        "det.txt, row 1, column 7 (score): is -3.5, outside 0 to 1; use --scores logit if these are log-odds"
    )


def test_a_sequence_without_any_detection_is_a_sequence(tmp_path: Path) -> None:
    [sequence] = read_detections(folder_with(tmp_path, "\n"), "mot")
    assert (len(sequence), sequence.length) == (0, 10)
    assert sequence.by_frame().counts.tolist() == [0] * 10
    assert "holds no detections" in sequence.warnings[0]


def test_without_seqinfo_the_frame_rate_has_to_be_given(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "4,-1,10,20,30,40,0.5\n", info=None)
    error = error_of(path)
    assert error.place.file == path / "seqinfo.ini"
    assert "frameRate" in error.remedy
    [sequence] = read_detections(path, "mot", Options(fps=15))
    assert (sequence.fps, sequence.length) == (15, 4)
    assert "at frame 4" in sequence.warnings[0]


def test_an_unknown_frame_size_is_no_error(tmp_path: Path) -> None:
    info = INFO.replace("imWidth=640", "imWidth=").replace("imHeight=480\n", "")
    [sequence] = read_detections(folder_with(tmp_path, ROW, info), "mot")
    assert sequence.frame_size == (0, 0)


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ("2,-1,10,20,nan,40,0.5", "column 5 (width)", "is nan, which is no finite number"),
        ("2,-1,10,inf,30,40,0.5", "column 4 (top)", "is inf, which is no finite number"),
        ("2,-1,10,20,-30,40,0.5", "column 5 (width)", "makes the width -30"),
        ("2,-1,10,20,30,0,0.5", "column 6 (height)", "makes the height 0"),
        ("2,-1,2e6,20,30,40,0.5", "column 3 (left)", "puts an edge of the box at 2000000"),
        ("2,-1,500000,20,0.001,40,0.5", "column 5 (width)", "makes a box that vanishes in single precision"),
        ("2,-1,10,20,30,40,1.5", "column 7 (score)", "is 1.5, outside 0 to 1"),
        ("2,-1,10,20,30,40,nan", "column 7 (score)", "is nan, which is no finite number"),
        ("2,-1,10,20,30,40,high", "column 7 (score)", "has 'high' where a number belongs"),
        ("2,-1,10,20,30,40,", "column 7 (score)", "is empty where a number belongs"),
        ("2,-1,1_0,20,30,40,0.5", "column 3 (left)", "has '1_0' where a number belongs"),
        ("2,-1,10,20,30,40", "column 7 (score)", "is missing: the row has 6 of the 7 columns it needs"),
        ("2,-1,10,20", "column 5 (width)", "is missing: the row has 4 of the 7 columns it needs"),
        ("# frame 2", "column 2 (id)", "is missing: the row has 1 of the 7 columns it needs"),
        ("0,-1,10,20,30,40,0.5", "column 1 (frame)", "is 0"),
        ("1.5,-1,10,20,30,40,0.5", "column 1 (frame)", "is 1.5, which is no whole number"),
        ("11,-1,10,20,30,40,0.5", "column 1 (frame)", "is 11, after the last frame 10"),
        ("1e12,-1,10,20,30,40,0.5", "column 1 (frame)", "is 1000000000000, after the last frame 10000000"),
        ("2,0,10,20,30,40,0.5", "column 2 (id)", "is 0"),
    ],
)
def test_an_error_names_row_column_and_problem(tmp_path: Path, row: str, column: str, problem: str) -> None:
    path = folder_with(tmp_path, f"{ROW}\n\n{ROW}\r\n{row}\n{ROW}\n")
    error = error_of(path)
    assert (error.place.file, error.place.row, error.place.column) == (path / "det/det.txt", 4, column)
    assert error.problem == problem
    assert error.remedy


def test_a_score_in_some_rows_only_is_refused_whichever_comes_first(tmp_path: Path) -> None:
    error = error_of(folder_with(tmp_path, "1,-1,10,20,30,40\n1,-1,10,20,30,40,0.5\n"))
    assert (error.place.row, error.place.column, error.problem) == (
        2,
        "column 7 (score)",
        "is there, and is missing in row 1",
    )


@pytest.mark.parametrize(
    ("info", "place", "problem"),
    [
        ("frameRate=25\n", "", "is no ini file"),
        ("[Video]\nframeRate=25\n", "", "has no section [Sequence]"),
        (INFO.replace("frameRate=25", ""), "key frameRate", "is missing"),
        (INFO.replace("frameRate=25", "frameRate=fast"), "key frameRate", "is 'fast', which is no number"),
        (INFO.replace("frameRate=25", "frameRate=0"), "key frameRate", "is 0"),
        (INFO.replace("seqLength=10", "seqLength="), "key seqLength", "is missing"),
        (INFO.replace("seqLength=10", "seqLength=9.5"), "key seqLength", "is 9.5"),
        (INFO.replace("imWidth=640", "imWidth=wide"), "key imWidth", "is 'wide', which is no number"),
        (INFO.replace("imHeight=480", "imHeight=-1"), "key imHeight", "is -1"),
    ],
)
def test_an_error_in_seqinfo_names_the_key(tmp_path: Path, info: str, place: str, problem: str) -> None:
    path = folder_with(tmp_path, ROW, info)
    error = error_of(path)
    assert (error.place.file, error.place.column) == (path / "seqinfo.ini", place)
    assert error.problem.startswith(problem)


def test_bytes_that_are_no_text_are_refused_with_their_row(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "")
    (path / "det/det.txt").write_bytes(f"{ROW}\n{ROW}\n".encode() + b"\xff\xfe\n")
    error = error_of(path)
    assert (error.place.row, error.problem) == (3, "is not text in UTF-8")


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(ROW.encode(), mtime=0)[:-9]], ids=["none", "cut short"])
def test_a_broken_compressed_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = folder_with(tmp_path, "")
    (path / "det/det.txt").unlink()
    (path / "det/det.txt.gz").write_bytes(content)
    assert error_of(path).place.file == path / "det/det.txt.gz"


def test_all_sequences_that_fail_are_named(tmp_path: Path) -> None:
    for name, row in (("a", "x"), ("b", ROW), ("c", "2,-1,10,20,-30,40,0.5")):
        folder_with(tmp_path, row).rename(tmp_path / name)
    with pytest.raises(UnreadableError) as raised:
        read_detections(tmp_path, "mot")
    assert [name for name, _ in raised.value.failures] == ["a", "c"]


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"holds no det/det\.txt.*give a sequence's folder"):
        read_detections(tmp_path, "mot")
    with pytest.raises(NothingFoundError, match="does not exist"):
        read_detections(tmp_path / "gone", "mot")


def test_values_and_errors_cross_to_other_processes(tmp_path: Path) -> None:
    [sequence] = read_detections(folder_with(tmp_path, ROW), "mot")
    again = pickle.loads(pickle.dumps(sequence))  # noqa: S301  # its own bytes
    assert again.boxes.tolist() == sequence.boxes.tolist()
    (tmp_path / "street/det/det.txt").write_text("x")
    error = error_of(tmp_path / "street")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes
    assert (type(copy), str(copy), copy.place) == (ReadError, str(error), error.place)
