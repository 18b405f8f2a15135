"""All formats say the same of the same scene."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.tuning.matching import match
from tertium_server.tuning.readers import FORMATS, Kind, Labelled, Options, read_detections, read_labelled
from tests.scenes import HEIGHT, WIDTH, scene
from tests.tuning.readers.writers import FPS, WRITERS, truth_of

OPTIONS = Options(class_name="person", fps=FPS)
SCENE = scene(3, length=60, classes=("person", "dog"))


def read(name: str, folder: Path) -> Labelled:
    [labelled] = read_labelled(*WRITERS[name](SCENE, folder / name), name, OPTIONS)
    return labelled


def in_order(frames: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Formats with a file a frame sort by frame; boxes within a frame keep their order in all."""
    return np.argsort(frames, kind="stable") if len(boxes) else frames


def test_every_format_is_tried_here() -> None:
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_the_same_scene_is_read_from_every_format(tmp_path: Path, name: str) -> None:
    labelled = read(name, tmp_path)
    sequence, truth = labelled.sequence, labelled.truth
    assert labelled.name == SCENE.name
    assert (sequence.fps, sequence.length, truth.length) == (FPS, SCENE.length, SCENE.length)
    assert sequence.frame_size in {(WIDTH, HEIGHT), (0, 0)}
    rows = sorted(SCENE.rows, key=lambda row: row[0])
    order = in_order(sequence.frames, sequence.xywh)
    assert (sequence.frames[order] - sequence.first_frame).tolist() == [row[0] for row in rows]
    np.testing.assert_allclose(sequence.xywh[order], [row[1:5] for row in rows], atol=1e-2 if name == "kitti" else 1e-4)
    np.testing.assert_allclose(sequence.scores[order], [row[5] for row in rows], atol=1e-6)
    known = sorted(truth_of(SCENE), key=lambda row: row[0])
    order = in_order(truth.frames, truth.boxes)
    assert (truth.frames[order] - truth.first_frame).tolist() == [row[0] for row in known]
    corners = [(row[1], row[2], row[1] + row[3], row[2] + row[4]) for row in known]
    np.testing.assert_allclose(truth.boxes[order], corners, atol=1e-6)
    assert set(truth.kinds.tolist()) == {Kind.EVALUATE}
    if name != "mot":
        names = [
            sequence.class_names[number] for number in sequence.class_ids[in_order(sequence.frames, sequence.xywh)]
        ]
        assert names == [row[6] for row in rows]
    if name != "yolo":
        ids = truth.track_ids[order]
        assert (ids - (name == "mot")).tolist() == [row[7] for row in known]


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"mot"}))
def test_matching_counts_the_same_whatever_the_format(tmp_path: Path, name: str) -> None:
    matches = [match(one, one.sequence.scores) for one in (read(name, tmp_path), read("coco", tmp_path / "other"))]
    assert np.bincount(matches[0].labels + 1).tolist() == np.bincount(matches[1].labels + 1).tolist()
    assert matches[0].objects.tolist() == matches[1].objects.tolist()


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_values_cross_to_other_processes(tmp_path: Path, name: str) -> None:
    labelled = read(name, tmp_path)
    again: Labelled = pickle.loads(pickle.dumps(labelled))  # noqa: S301  # its own bytes
    np.testing.assert_array_equal(again.sequence.boxes, labelled.sequence.boxes)
    np.testing.assert_array_equal(again.truth.boxes, labelled.truth.boxes)
    assert again.warnings == labelled.warnings


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_detections_can_be_read_without_truth(tmp_path: Path, name: str) -> None:
    detections, _ = WRITERS[name](SCENE, tmp_path / name)
    [sequence] = read_detections(detections, name, OPTIONS)
    assert len(sequence) == len(SCENE.rows)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_the_same_files_are_read_alike_twice(tmp_path: Path, name: str) -> None:
    paths = WRITERS[name](SCENE, tmp_path / name)
    [first], [second] = read_labelled(*paths, name, OPTIONS), read_labelled(*paths, name, OPTIONS)
    assert pickle.dumps(first) == pickle.dumps(second)
