import json
import struct
from pathlib import Path
from typing import Any

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
SIZE = {"_cls": "ImageMetadata", "width": 200, "height": 100}


def box(label: str | int = "cat", **changes: Any) -> dict[str, Any]:
    return {"_cls": "Detection", "label": label, "bounding_box": [0.1, 0.2, 0.25, 0.5], **changes}


def boxes(*detections: Any) -> dict[str, Any]:
    return {"_cls": "Detections", "detections": list(detections)}


def sample(path: str, found: Any = None, truth: Any = None, **changes: Any) -> dict[str, Any]:
    fields = {"filepath": path, "metadata": SIZE, "predictions": found, "ground_truth": truth}
    return {"_id": {"$oid": path}, "_media_type": "image", "tags": [], **fields, **changes}


def export(folder: Path, *samples: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "samples.json").write_text(json.dumps({"samples": list(samples)}))
    return folder


def read_one(folder: Path, options: Options = FPS) -> Labelled:
    [labelled] = read_labelled(folder, folder, "fiftyone", options)
    return labelled


def test_detections_and_truth_are_two_fields_of_one_export(tmp_path: Path) -> None:
    first = sample("data/10.jpg", boxes(box(confidence=0.5), box("dog", confidence=0.25, index=3)), boxes(box("dog")))
    second = sample("data/9.jpg", boxes(box(confidence=1, bounding_box=[0, 0, 1, 1])), None)
    third = sample("data/11.jpg", None, boxes(box("dog", iscrowd=1), box(index=0)))
    labelled = read_one(export(tmp_path / "pets", first, second, third))
    sequence, truth = labelled.sequence, labelled.truth
    assert (labelled.name, sequence.length, sequence.frame_size, sequence.fps) == ("pets", 3, (200, 100), 10)
    assert sequence.frames.tolist() == [1, 1, 0]
    assert sequence.xywh.tolist() == [[20, 20, 50, 50], [20, 20, 50, 50], [0, 0, 200, 100]]
    assert sequence.scores.tolist() == [0.5, 0.25, 1]
    assert sequence.class_names == truth.class_names == {0: "cat", 1: "dog"}
    assert sequence.class_ids.tolist() == [0, 1, 0]
    assert sequence.track_ids.tolist() == [-1, 3, -1]
    assert sequence.rows.tolist() == [1, 1, 2]
    assert truth.frames.tolist() == [1, 2, 2]
    assert truth.kinds.tolist() == [Kind.EVALUATE, Kind.REGION, Kind.EVALUATE]
    assert truth.track_ids.tolist() == [-1, -1, 0]
    assert not labelled.warnings


def test_two_exports_are_matched_by_the_paths_of_images(tmp_path: Path) -> None:
    found = export(tmp_path / "a", sample("data/2.jpg", boxes(box(confidence=0.5)), ground_truth=0))
    truth = export(tmp_path / "b", sample("data/1.jpg"), sample("data/2.jpg", None, boxes(box())))
    [labelled] = read_labelled(found, truth, "fiftyone", FPS)
    assert (labelled.sequence.length, labelled.sequence.frames.tolist()) == (2, [1])
    with pytest.raises(
        UnreadableError, match=r"samples\.json, sample 1, .*: is on data/2\.jpg, of which the truth knows"
    ):
        read_labelled(found, export(tmp_path / "c", sample("data/1.jpg", None, boxes(box()))), "fiftyone", FPS)


@pytest.mark.parametrize("number", ["frame_number", "frame_id"])
def test_images_of_several_videos_are_sequences(tmp_path: Path, number: str) -> None:
    samples = [
        sample("b/2.jpg", boxes(box(confidence=1)), sequence="b", **{number: 5}),
        sample("a/1.jpg", None, boxes(box()), sequence="a", **{number: 1}),
        sample("b/1.jpg", boxes(box(confidence=1)), sequence="b", **{number: 6}),
    ]
    first, second = read_labelled(export(tmp_path, *samples), tmp_path, "fiftyone", FPS)
    assert (first.name, first.truth.length, first.truth.frames.tolist()) == ("a", 1, [1])
    assert (second.name, second.sequence.first_frame, second.sequence.frames.tolist()) == ("b", 5, [5, 6])


def test_videos_have_their_frames_in_another_file(tmp_path: Path) -> None:
    metadata = {
        "_cls": "VideoMetadata",
        "frame_width": 400,
        "frame_height": 200,
        "frame_rate": 12.5,
        "total_frame_count": 4,
    }
    frames = [
        {
            "_sample_id": {"$oid": "v2"},
            "frame_number": 5,
            "predictions": boxes(box(confidence=0.5)),
            "ground_truth": None,
        },
        {"_sample_id": {"$oid": "v1"}, "frame_number": 2, "predictions": boxes(), "ground_truth": boxes(box(index=1))},
    ]
    export(
        tmp_path,
        {"_id": {"$oid": "v1"}, "_media_type": "video", "filepath": "data/gate.mp4", "metadata": metadata},
        {"_id": {"$oid": "v2"}, "_media_type": "video", "filepath": "data/yard.mp4", "metadata": metadata},
    )
    (tmp_path / "frames.json").write_text(json.dumps({"frames": frames}))
    gate, yard = read_labelled(tmp_path, tmp_path, "fiftyone")
    assert (gate.name, gate.sequence.fps, gate.sequence.length, gate.sequence.first_frame) == ("gate", 12.5, 4, 1)
    assert (gate.truth.frames.tolist(), gate.truth.rows.tolist(), len(gate.sequence)) == ([2], [2], 0)
    assert (yard.sequence.length, yard.sequence.frames.tolist()) == (5, [5])
    assert yard.sequence.xywh.tolist() == [[40, 40, 100, 100]]
    (tmp_path / "frames.json").unlink()
    with pytest.raises(ReadError, match=r"frames\.json: can't be read"):
        read_labelled(tmp_path, tmp_path, "fiftyone")


def test_videos_of_one_name_in_two_folders_are_two_sequences(tmp_path: Path) -> None:
    videos = [
        {"_id": number, "filepath": f"{folder}/cam.mp4", "_media_type": "video", "metadata": {"total_frame_count": 2}}
        for number, folder in ((1, "north"), (2, "south"))
    ]
    export(tmp_path, *videos)
    frames = [
        {"_sample_id": 2, "frame_number": 2, "predictions": boxes(box(confidence=0.5)), "ground_truth": boxes(box())}
    ]
    (tmp_path / "frames.json").write_text(json.dumps({"frames": frames}))
    north, south = read_labelled(tmp_path, tmp_path, "fiftyone", FPS)
    assert [(one.name, len(one.sequence), len(one.truth)) for one in (north, south)] == [
        ("north/cam", 0, 0), ("south/cam", 1, 1),
    ]  # fmt: skip


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def labels(folder: Path, content: Any, classes: Any = None) -> Path:
    folder.mkdir()
    (folder / "labels.json").write_text(json.dumps({"classes": classes, "labels": content}))
    return folder


def test_labels_json_has_one_field_and_the_images_beside_it(tmp_path: Path) -> None:
    truth = labels(tmp_path / "truth", {"1": [box(1, confidence=None)], "2": None, "3": [box(0)]}, ["cat", "dog"])
    found = labels(tmp_path / "found", {"2": [box("dog", confidence=0.5)]})
    (truth / "data").mkdir()
    for name in ("1", "2", "3"):
        (truth / f"data/{name}.png").write_bytes(png(50, 80))
    [labelled] = read_labelled(found, truth, "fiftyone", FPS)
    assert (labelled.sequence.length, labelled.sequence.frames.tolist()) == (3, [1])
    assert labelled.sequence.xywh.tolist() == [[5, 16, 12.5, 40]]
    assert labelled.truth.class_ids.tolist() == [1, 0]
    assert labelled.truth.rows.tolist() == [1, 3]


def test_sizes_that_nobody_tells_are_assumed_with_a_warning(tmp_path: Path) -> None:
    [sequence] = read_detections(labels(tmp_path / "found", {"2": [box("dog", confidence=0.5)]}), "fiftyone", FPS)
    assert sequence.xywh.tolist() == [[100, 200, 250, 500]]
    assert sequence.frame_size == (0, 0)
    assert "1 of 1 boxes are on images whose size is not known; taken as 1000 x 1000" in sequence.warnings[0]


def test_a_field_that_is_null_in_all_samples_is_one_without_detections(tmp_path: Path) -> None:
    labelled = read_one(export(tmp_path, sample("1.jpg", None, boxes(box())), sample("2.jpg")))
    assert (len(labelled.sequence), labelled.sequence.length, len(labelled.truth)) == (0, 2, 1)
    export(tmp_path, {"filepath": "1.jpg", "ground_truth": boxes(box())})
    with pytest.raises(NothingFoundError, match="has no detections; name the field, or call it 'predictions'"):
        read_one(tmp_path)


def test_a_missing_confidence_counts_as_certain_with_a_warning(tmp_path: Path) -> None:
    labelled = read_one(export(tmp_path, sample("1.jpg", boxes(box(), box()), boxes())))
    assert labelled.sequence.scores.tolist() == [1, 1]
    assert "has no confidence; every detection counts with score 1.0" in labelled.warnings[0]


def test_fields_are_told_apart_by_their_confidence_or_by_name(tmp_path: Path) -> None:
    fields = {"yolo": boxes(box(confidence=0.5)), "people": boxes(box("dog"))}
    labelled = read_one(export(tmp_path, {"filepath": "1.jpg", **fields}))
    assert labelled.sequence.class_names[int(labelled.sequence.class_ids[0])] == "cat"
    assert labelled.truth.class_names[int(labelled.truth.class_ids[0])] == "dog"
    export(tmp_path, {"filepath": "1.jpg", **fields, "other": boxes(box("cow", confidence=0.125))})
    with pytest.raises(NothingFoundError, match="has 2 fields that may be meant: yolo, other; name the field"):
        read_one(tmp_path)
    labelled = read_one(tmp_path, Options(fps=10, detections_field="other", truth_field="yolo"))
    assert labelled.sequence.scores.tolist() == [0.125]
    with pytest.raises(NothingFoundError, match="has no detections in a field 'mine'; it has yolo, people, other"):
        read_one(tmp_path, Options(detections_field="mine"))
    with pytest.raises(NothingFoundError, match="is given as detections and as truth"):
        read_one(tmp_path, Options(detections_field="yolo", truth_field="yolo"))


@pytest.mark.parametrize(
    ("bad", "key", "problem"),
    [
        (box(confidence=float("nan")), "confidence", "is nan, which is no finite number"),
        (box(confidence=2), "confidence", "is 2, outside 0 to 1"),
        (box(), "confidence", "is missing, and others have it"),
        (box(confidence=0.5, bounding_box=[0, 0, -0.5, 1]), "bounding_box", "makes the width -100"),
        (
            box(confidence=0.5, bounding_box=[0, 0, 640, 1]),
            "bounding_box",
            "is 640, and boxes are given in shares of the picture",
        ),
        (box(confidence=0.5, bounding_box=[0, 0, 1]), "bounding_box", "is [0, 0, 1], no list of 4 numbers"),
        (box(confidence=0.5, index="a"), "index", "is 'a', which is no number"),
        (box(5, confidence=0.5), "label", "is 5, no text"),
    ],
)
def test_an_error_names_sample_path_and_problem(tmp_path: Path, bad: Any, key: str, problem: str) -> None:
    export(tmp_path, sample("1.jpg", None, boxes(box())), sample("2.jpg", boxes(box(confidence=0.5), bad)))
    with pytest.raises(UnreadableError) as raised:
        read_one(tmp_path)
    [(_, error)] = raised.value.failures
    assert str(error.place) == f"{tmp_path / 'samples.json'}, sample 2, predictions.detections[1].{key}"
    assert error.problem == problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"people": []}, "has neither samples nor labels"),
        ({"samples": {}}, "has no list of samples"),
        ({"samples": [{"id": 1}]}, "sample 1, filepath: is missing"),
        ({"samples": [sample("a", boxes(box())), sample("a", boxes(box()))]}, "sample 2: is a, as is another"),
        ({"samples": [sample("a", boxes(5))]}, r"sample 1: has 5 in predictions\.detections\[0\], no object"),
        ({"samples": [sample("a", metadata=[1])]}, r"sample 1, metadata: is \[1\], no object; export it again"),
        ({"samples": [sample("a", metadata=7)]}, "sample 1, metadata: is 7, no object"),
        ({"samples": [sample("a", metadata={"width": float("inf")})]}, r"metadata\.width: is inf; at most are 65,536"),
        ({"labels": {"a": []}, "classes": [1]}, "classes: is no list of names"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "samples.json").write_text(json.dumps(content))
    with pytest.raises((ReadError, UnreadableError), match=message):
        read_detections(tmp_path, "fiftyone", FPS)


def test_nothing_found_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"holds neither samples\.json nor labels\.json; give"):
        read_detections(tmp_path, "fiftyone")
