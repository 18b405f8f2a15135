from pathlib import Path

import numpy as np
import pytest

from tertium_server.tuning.readers import ALL_CLASSES, Kind, Labelled, ReadError, UnreadableError, read_labelled

TAIL = "-1000 -1000 -1000 -1000 -1000 -1000 -10"


def label(name: str, frame: int = 0, track: int = 1, box: str = "10 20 40 60", visibility: str = "0 0") -> str:
    return f"{frame} {track} {name} {visibility} -10 {box} {TAIL}\n"


def detection(name: str, frame: int = 0) -> str:
    return f"{frame} -1 {name} -1 -1 -10 10 20 40 60 {TAIL} 0.5\n"


def folder_of(parent: Path, detections: dict[str, str], labels: dict[str, str]) -> Path:
    for part, files in (("detections", detections), ("labels", labels)):
        (parent / part).mkdir()
        for name, rows in files.items():
            (parent / part / f"{name}.txt").write_text(rows)
    return parent


def read_one(parent: Path, detections: str, labels: str) -> Labelled:
    folder = folder_of(parent, {"0003": detections}, {"0003": labels})
    [labelled] = read_labelled(folder, folder, "kitti")
    return labelled


def roles(labelled: Labelled) -> list[tuple[int, str, Kind]]:
    """Row, class and kind of each row of truth."""
    truth = labelled.truth
    names = {**truth.class_names, ALL_CLASSES: "*"}
    return [
        (row, names[number], Kind(kind))
        for row, number, kind in zip(truth.rows.tolist(), truth.class_ids.tolist(), truth.kinds.tolist(), strict=True)
    ]


def test_neighbouring_classes_are_ignored_and_regions_concern_all_classes(tmp_path: Path) -> None:
    names = ["Car", "Van", "DontCare", "Pedestrian", "Person_sitting"]
    labelled = read_one(tmp_path, detection("Car"), "".join(map(label, names)))
    assert roles(labelled) == [
        (1, "Car", Kind.EVALUATE),
        (2, "Car", Kind.IGNORE),
        (3, "*", Kind.REGION),
        (4, "Pedestrian", Kind.EVALUATE),
        (5, "Pedestrian", Kind.IGNORE),
    ]
    assert labelled.truth.class_names == labelled.sequence.class_names == {0: "Car", 1: "Pedestrian"}
    assert labelled.truth.min_height == 25
    assert labelled.truth.boxes.tolist() == [[10, 20, 40, 60]] * 5
    assert not [warning for warning in labelled.warnings if "not evaluated" in warning]


def test_the_benchmarks_other_classes_are_evaluated_only_where_the_detector_knows_them(tmp_path: Path) -> None:
    labels = "".join(map(label, ["Cyclist", "Truck", "Tram", "Misc", "Truck", "forklift"]))
    labelled = read_one(tmp_path, detection("Cyclist"), labels)
    assert roles(labelled) == [(1, "Cyclist", Kind.EVALUATE), (6, "forklift", Kind.EVALUATE)]
    [warning] = [warning for warning in labelled.warnings if "not evaluated" in warning]
    assert warning.endswith("1 Misc, 1 Tram, 2 Truck (rows)")


def test_what_a_detector_knows_is_asked_of_all_sequences(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        {"a": detection("Car"), "b": detection("Cyclist")},
        {"a": label("Cyclist"), "b": label("Pedestrian")},
    )
    first, second = read_labelled(folder, folder, "kitti")
    assert first.truth.class_names == second.sequence.class_names == {0: "Car", 1: "Cyclist", 2: "Pedestrian"}
    assert roles(first) == [(1, "Cyclist", Kind.EVALUATE)]
    assert second.sequence.class_ids.tolist() == [1]
    assert second.truth.class_ids.tolist() == [2]


def test_a_detector_of_vans_has_them_to_find_and_ignored_for_cars(tmp_path: Path) -> None:
    labelled = read_one(tmp_path, detection("Van"), label("Car") + label("Van"))
    assert roles(labelled) == [(1, "Car", Kind.EVALUATE), (2, "Van", Kind.EVALUATE), (2, "Car", Kind.IGNORE)]


@pytest.mark.parametrize(
    ("visibility", "kind"),
    [
        ("0 0", Kind.EVALUATE),
        ("0 2", Kind.EVALUATE),
        ("-1 -1", Kind.EVALUATE),
        ("0 3", Kind.IGNORE),
        ("1 0", Kind.IGNORE),
    ],
)
def test_truncated_and_hardly_visible_objects_are_ignored(tmp_path: Path, visibility: str, kind: Kind) -> None:
    assert roles(read_one(tmp_path, detection("Car"), label("Car", visibility=visibility))) == [(1, "Car", kind)]


@pytest.mark.parametrize(("last_found", "last_labelled"), [(4, 9), (9, 4)])
def test_the_sequence_ends_with_the_last_row_of_either(tmp_path: Path, last_found: int, last_labelled: int) -> None:
    labelled = read_one(tmp_path, detection("Car", last_found), label("Car", last_labelled))
    assert labelled.sequence.length == labelled.truth.length == 10
    assert labelled.truth.first_frame == 0


def test_ids_below_zero_are_no_ids(tmp_path: Path) -> None:
    labelled = read_one(tmp_path, detection("Car"), label("DontCare", track=-4) + label("Car", track=0))
    assert labelled.truth.track_ids.tolist() == [-1, 0]


def test_empty_files_are_sequences_without_frames(tmp_path: Path) -> None:
    labelled = read_one(tmp_path, "", "")
    assert (labelled.truth.length, len(labelled.truth), labelled.truth.class_names) == (0, 0, {})
    assert labelled.truth.boxes.shape == (0, 4)
    assert labelled.truth.class_ids.dtype == np.uint32


@pytest.mark.parametrize(
    ("bad", "column", "problem"),
    [
        (label("Car", box="10 20 5 60"), "column 9 (x2)", "makes the width -5"),
        (label("Car", box="10 nan 50 60"), "column 8 (y1)", "is nan, which is no finite number"),
        (label("Car", frame=-1), "column 1 (frame)", "is -1"),
        (label("Car", visibility="0 high"), "column 5 (occluded)", "has 'high' where a number belongs"),
        ("0 1 Car 0 0 -10 1 2 3\n", "column 10 (y2)", "is missing: the row has 9 of the 10 columns it needs"),
    ],
)
def test_an_error_names_row_column_and_problem(tmp_path: Path, bad: str, column: str, problem: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        read_one(tmp_path, detection("Car"), label("Car") + bad)
    [(name, error)] = raised.value.failures
    assert isinstance(error, ReadError)
    assert (name, error.place.file) == ("0003", tmp_path / "labels/0003.txt")
    assert (error.place.row, error.place.column, error.problem) == (2, column, problem)
