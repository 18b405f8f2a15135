import gzip
import json
from pathlib import Path
from typing import Any

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


def image(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480, **changes}


def annotation(image_id: int, category: int = 1, **changes: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category, "bbox": [10, 20, 30, 40.5], **changes}


def document(**changes: Any) -> dict[str, Any]:
    categories = [{"id": 1, "name": "person"}, {"id": 7, "name": "car"}]
    return {"images": [image(3), image(20)], "categories": categories, "annotations": [annotation(3)], **changes}


def written(file: Path, content: Any) -> Path:
    file.write_text(json.dumps(content))
    return file


def labelled(folder: Path, detections: Any, truth: Any, options: Options = FPS) -> tuple[Labelled, ...]:
    found, known = written(folder / "found.json", detections), written(folder / "known.json", truth)
    return read_labelled(found, known, "coco", options)


def error_of(folder: Path, detections: Any, truth: Any) -> ReadError:
    try:
        labelled(folder, detections, truth)
    except UnreadableError as error:
        return error.failures[0][1]
    except ReadError as error:
        return error
    raise AssertionError("it was read")


def test_results_go_by_the_images_and_categories_of_the_truth(tmp_path: Path) -> None:
    truth = document(
        images=[image(20, file_name="f10.jpg"), image(3, file_name="f9.jpg"), image(5, file_name="f11.jpg")],
        annotations=[
            annotation(20, 7, iscrowd=0, track_id=4),
            annotation(3, iscrowd=1),
            annotation(5, bbox=[0.5, 0, 2, 2], ignore=1),
        ],
    )
    results = [annotation(5, score=0.25, bbox=[1, 2, 3, 4]), annotation(3, 7, score=0.75)]
    [one] = labelled(tmp_path, results, truth)
    sequence, known = one.sequence, one.truth
    assert (sequence.length, sequence.first_frame, sequence.fps, sequence.frame_size) == (3, 0, 10, (640, 480))
    assert (known.length, known.first_frame, known.name) == (3, 0, sequence.name)
    assert sequence.frames.tolist() == [2, 0]
    assert sequence.scores.tolist() == [0.25, 0.75]
    assert sequence.xywh.tolist() == [[1, 2, 3, 4], [10, 20, 30, 40.5]]
    assert sequence.boxes.tolist() == [[1, 2, 4, 6], [10, 20, 40, 60.5]]
    assert sequence.class_names == known.class_names == {0: "car", 1: "person"}
    assert sequence.class_ids.tolist() == [1, 0]
    assert sequence.rows.tolist() == [1, 2]
    assert known.frames.tolist() == [1, 0, 2]
    assert known.class_ids.tolist() == [0, 1, 1]
    assert known.kinds.tolist() == [Kind.EVALUATE, Kind.REGION, Kind.IGNORE]
    assert known.track_ids.tolist() == [4, -1, -1]
    assert known.boxes[2].tolist() == [0.5, 0, 2.5, 2]
    assert not one.warnings


def test_videos_are_sequences_in_the_order_of_their_frame_ids(tmp_path: Path) -> None:
    truth = document(
        images=[image(1, video_id=2, frame_id=1), image(2, video_id=1, frame_id=8), image(3, video_id=2, frame_id=0)],
        videos=[
            {"id": 1, "name": "north", "fps": 12.5},
            {"id": 2, "name": "east", "fps": 25},
            {"id": 3, "name": "west"},
        ],
        annotations=[annotation(1), annotation(2)],
    )
    results = [annotation(3, score=0.5), annotation(2, score=0.25), annotation(3, score=1)]
    east, north, west = labelled(tmp_path, results, truth, Options())
    assert (east.name, north.name, west.name) == ("east", "north", "west")
    assert (east.sequence.length, north.sequence.length, west.sequence.length) == (2, 1, 0)
    assert (east.sequence.fps, north.sequence.fps) == (25, 12.5)
    assert (east.sequence.first_frame, north.sequence.first_frame) == (0, 8)
    assert (east.sequence.frames.tolist(), east.sequence.rows.tolist()) == ([0, 0], [1, 3])
    assert (north.sequence.frames.tolist(), north.truth.frames.tolist()) == ([8], [8])
    assert east.truth.rows.tolist() == [1]
    assert "west" in west.sequence.warnings[-1]
    [only] = read_labelled(tmp_path / "found.json", tmp_path / "known.json", "coco", pattern="n*")
    assert only.name == "north"


def test_images_without_a_rate_are_taken_at_one_with_a_warning(tmp_path: Path) -> None:
    [one] = labelled(tmp_path, [annotation(3, score=1)], document(), Options())
    assert one.sequence.fps == 30
    assert "says no frame rate; taken as 30 frames a second" in one.sequence.warnings[0]


@pytest.mark.parametrize(
    ("numbers", "first", "frames", "fps", "seconds"),
    [
        ([5, 6, 7], 5, [5, 6, 7], 10, [0, 0.1, 0.2]),
        ([0, 5, 10], 0, [0, 1, 2], 2, [0, 0.5, 1]),
        ([1, 2, 9], 0, [0, 1, 2], 10, [0, 0.1, 0.8]),
    ],
)
def test_frames_keep_their_distance_in_time(
    tmp_path: Path, numbers: list[int], first: int, frames: list[int], fps: float, seconds: list[float]
) -> None:
    images = [image(index, frame_id=number) for index, number in enumerate(numbers)]
    truth = document(images=images, annotations=[annotation(index) for index in range(3)])
    [one] = labelled(tmp_path, [], truth)
    assert (one.truth.first_frame, one.truth.frames.tolist(), one.sequence.fps) == (first, frames, fps)
    assert one.sequence.capture_times().tolist() == [round(second * 1e9) for second in seconds]


def test_a_document_of_detections_is_matched_by_the_names_of_files(tmp_path: Path) -> None:
    found = {
        "images": [image(900, file_name="20.jpg"), image(20, file_name="3.jpg")],
        "categories": [{"id": 0, "name": "car"}],
        "annotations": [annotation(900, 0, score=0.5), annotation(20, 0, score=0.25)],
    }
    [one] = labelled(tmp_path, found, document())
    assert one.sequence.frames.tolist() == [1, 0]
    assert one.sequence.class_names == {0: "car", 1: "person"}
    assert one.sequence.class_ids.tolist() == [0, 0]


def test_images_of_two_videos_with_one_file_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    videos = [{"id": 1, "name": "north", "fps": 25}, {"id": 2, "name": "south", "fps": 25}]
    images = [image(number, video_id=number, frame_id=0, file_name="000001.jpg") for number in (1, 2)]
    told = document(images=images, videos=videos, annotations=[annotation(1), annotation(2)])
    found = {**told, "annotations": [annotation(1, score=0.5)]}
    north, south = labelled(tmp_path, found, told)
    assert (north.name, len(north.sequence), len(south.sequence)) == ("north", 1, 0)
    other = [image(7, file_name="000001.jpg"), image(2, file_name="000002.jpg")]
    error = error_of(tmp_path, {**found, "images": other, "annotations": [annotation(2, score=0.5)]}, told)
    assert str(error.place).endswith("annotation 1, image_id")
    assert error.problem == "is 2, which is 000002.jpg here and 000001.jpg in the truth"
    file = written(tmp_path / "digits.json", told)
    file.write_text(file.read_text().replace('"fps": 25', '"fps": 1' + 5000 * "0"))
    with pytest.raises(ReadError, match="holds a number with thousands of digits"):
        read_detections(file, "coco", FPS)


def test_a_document_of_detections_can_be_read_by_itself(tmp_path: Path) -> None:
    file = written(tmp_path / "found.json", document(annotations=[annotation(20, score=0.5)]))
    [sequence] = read_detections(file, "coco", FPS)
    assert (sequence.length, sequence.frames.tolist(), sequence.class_names) == (2, [1], {0: "person"})
    assert (sequence.name, sequence.warnings) == ("found", ())


def test_results_by_themselves_know_only_their_own_images(tmp_path: Path) -> None:
    file = written(
        tmp_path / "r.json", [annotation(20, score=0.5), annotation(3, score=0.5), annotation(20, 7, score=1)]
    )
    [sequence] = read_detections(file, "coco", FPS)
    assert (sequence.length, sequence.frames.tolist()) == (2, [1, 0, 1])
    assert sequence.class_names == {0: "1", 1: "7"}
    assert "names no images" in sequence.warnings[0]


def test_a_missing_score_counts_as_certain_with_a_warning(tmp_path: Path) -> None:
    [one] = labelled(tmp_path, [annotation(3)], document())
    assert one.sequence.scores.tolist() == [1.0]
    assert "has no score; every detection counts with score 1.0" in one.sequence.warnings[0]
    with pytest.raises(UnreadableError, match="leave out --scores logit"):
        labelled(tmp_path, [annotation(3)], document(), Options(fps=10, logits=True))


ABSENT = object()
"""In place of a value: the key is taken out."""


@pytest.mark.parametrize(
    ("path", "value", "place", "problem"),
    [
        (("found", 1, "score"), float("nan"), "found.json, result 2, score", "is nan, which is no finite number"),
        (("found", 1, "score"), 1.5, "found.json, result 2, score", "is 1.5, outside 0 to 1"),
        (("found", 1, "score"), "high", "found.json, result 2, score", "is 'high', which is no number"),
        (("found", 1, "score"), ABSENT, "found.json, result 2, score", "is missing, and others have it"),
        (("found", 1, "bbox"), [1, 2, 3], "found.json, result 2, bbox", "is [1, 2, 3], no list of 4 numbers"),
        (("found", 1, "bbox"), [1, 2, 3, "x"], "found.json, result 2, bbox", "is 'x', which is no number"),
        (("found", 1, "bbox"), [1, 2, 0, 4], "found.json, result 2, bbox", "makes the width 0"),
        (("found", 1, "bbox"), [1, float("inf"), 1, 4], "found.json, result 2, bbox", "is inf, which"),
        (("found", 1, "bbox"), [1, 10**400, 1, 4], "found.json, result 2, bbox", "is beyond all floating point"),
        (("found", 1, "bbox"), ABSENT, "found.json, result 2, bbox", "is missing"),
        (("found", 1, "image_id"), 4, "found.json, result 2, image_id", "is 4, and there is no such image"),
        (("found", 1, "image_id"), None, "found.json, result 2, image_id", "is None, no whole number or text"),
        (("found", 1, "category_id"), 4, "found.json, result 2, category_id", "is 4, and there is no such category"),
        (("found", 1, "track_id"), 0.5, "found.json, result 2, track_id", "is 0.5, which is no whole number"),
        (("found", 1), 5, "found.json, result 2", "is 5, no object"),
        (("known", "annotations", 0, "bbox"), [1, 2, -1, 2], "known.json, annotation 1, bbox", "makes the width -1"),
        (("known", "annotations", 0, "image_id"), 9, "known.json, annotation 1, image_id", "is 9, and there is no"),
        (("known", "images", 1, "id"), 3, "known.json, image 2, id", "is 3, as is that of another"),
        (("known", "images", 1, "frame_id"), 2, "known.json, image 1, id", "has no frame number, and others have"),
        (("known", "images", 1, "width"), -2, "known.json, image 2, width", "is -2"),
        (("known", "images", 1, "video_id"), 2, "known.json, image 2, video_id", "is there, and the images before"),
        (("known", "images", 0, "video_id"), 2, "known.json, image 2, video_id", "is missing, and other images"),
        (("known", "images"), ABSENT, "known.json", "has no list of images"),
        (("known", "annotations"), ABSENT, "known.json", "has no list of annotations"),
        (("known", "categories", 1, "name"), ABSENT, "known.json, category 2, name", "is missing"),
        (("known", "categories", 0, "name"), "a\nb", "found.json, result 1, category_id", "is 'a\\nb'"),
    ],
)
def test_an_error_names_entry_key_and_problem(
    tmp_path: Path, path: tuple[str | int, ...], value: object, place: str, problem: str
) -> None:
    content: Any = {"found": [annotation(3, score=0.5), annotation(3, score=0.5)], "known": document()}
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    if value is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    error = error_of(tmp_path, content["found"], content["known"])
    assert str(error.place) == str(tmp_path / place)
    assert error.problem.startswith(problem)
    assert error.remedy


def test_broken_json_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    file.write_text('[\n{"a": 1},\n{"b" 2}]')
    with pytest.raises(ReadError, match=r"found\.json, row 3, character 6: is no JSON"):
        read_detections(file, "coco")
    file.write_text('"text"')
    with pytest.raises(ReadError, match="neither an object nor a list"):
        read_detections(file, "coco")
    file.write_text("[" * 100_000)
    with pytest.raises(ReadError, match="nested too deeply"):
        read_detections(file, "coco")


def test_a_file_that_changed_is_read_again_and_may_be_compressed(tmp_path: Path) -> None:
    file = tmp_path / "found.json.gz"
    for score in (0.5, 0.125):
        file.write_bytes(gzip.compress(json.dumps([annotation(3, score=score)]).encode(), mtime=round(score * 8)))
        [sequence] = read_detections(file, "coco", FPS)
        assert sequence.scores.tolist() == [score]
        file.unlink()


def test_a_folder_may_hold_both_under_names_that_people_use(tmp_path: Path) -> None:
    written(tmp_path / "results.json", [annotation(3, score=1)])
    written(tmp_path / "annotations.json", document())
    [one] = read_labelled(tmp_path, tmp_path, "coco", FPS)
    assert (len(one.sequence), len(one.truth)) == (1, 1)
    (tmp_path / "results.json").rename(tmp_path / "mine.json")
    with pytest.raises(NothingFoundError, match=r"holds 2 \.json files that may be meant; give the file itself"):
        read_labelled(tmp_path, tmp_path, "coco", FPS)
    with pytest.raises(NothingFoundError, match="is given as detections and as truth"):
        read_labelled(tmp_path / "annotations.json", tmp_path / "annotations.json", "coco", FPS)


def test_random_documents_come_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = [image(int(number)) for number in random.permutation(1000)[:50]]
    order = sorted(item["id"] for item in images)
    results = [
        annotation(int(random.choice(order)), int(random.choice([1, 7])), score=float(random.random()), bbox=box)
        for box in random.uniform(1, 300, (400, 4)).tolist()
    ]
    [one] = labelled(tmp_path, results, document(images=images, annotations=[]))
    assert one.sequence.length == 50
    assert one.sequence.xywh.tolist() == [result["bbox"] for result in results]
    assert [order[frame] for frame in one.sequence.frames.tolist()] == [result["image_id"] for result in results]
    assert [one.sequence.class_names[number] for number in one.sequence.class_ids.tolist()] == [
        {1: "person", 7: "car"}[result["category_id"]] for result in results
    ]
