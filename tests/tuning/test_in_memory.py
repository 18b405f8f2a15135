"""Recordings in memory: what supervision's Detections hold, or anything of that shape, is what a file of the same boxes holds."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium_server.simulation import preset, simulate
from tertium_server.tuning.cache import content_of
from tertium_server.tuning.in_memory import Setting, labelled_from, sequences_from
from tertium_server.tuning.readers import Kind, NothingFoundError, ReadError, read_labelled
from tertium_server.tuning.tune import TuneOptions, tune
from tests.scenes import scene
from tests.tuning.readers import writers


@dataclass
class Detections:
    """As supervision's class of this name."""

    xyxy: Any
    confidence: Any = None
    class_id: Any = None
    tracker_id: Any = None
    data: dict[str, Any] = field(default_factory=dict)


def frames_of(made: Any, kind: str) -> Iterator[Detections]:
    rows = made.rows if kind == "detections" else writers.truth_of(made)
    for frame in range(made.length):
        here = [row for row in rows if row[0] == frame]
        boxes = np.array([row[1:5] for row in here]).reshape(-1, 4)
        ids = np.array([row[7] for row in here], int)
        yield Detections(
            np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
            np.array([row[5] for row in here]) if kind == "detections" else None,
            class_id=np.zeros(len(here), int),
            tracker_id=ids if kind == "truth" else None,
        )


def test_arrays_hold_what_the_files_hold(tmp_path: Path) -> None:
    made = scene(4, length=40)
    folder, _ = writers.mot(made, tmp_path)
    [file] = read_labelled(folder, folder, "mot")
    [array] = labelled_from(
        {made.name: frames_of(made, "detections")}, {made.name: frames_of(made, "truth")}, Setting(fps=writers.FPS)
    )
    np.testing.assert_array_equal(array.sequence.boxes, file.sequence.boxes)
    np.testing.assert_allclose(array.sequence.scores, file.sequence.scores, atol=1e-6)
    np.testing.assert_array_equal(array.sequence.frames + 1, file.sequence.frames)
    np.testing.assert_array_equal(array.truth.track_ids + 1, file.truth.track_ids)
    np.testing.assert_array_equal(array.truth.boxes, file.truth.boxes)
    assert array.sequence.length == file.sequence.length == 40


def test_supervisions_own_class_is_taken() -> None:
    supervision = pytest.importorskip("supervision")
    some = supervision.Detections(
        xyxy=np.array([[1, 2, 30, 40], [5, 5, 9, 9]], np.float32),
        confidence=np.array([0.5, 0.25], np.float32),
        class_id=np.array([3, 0]),
        data={"class_name": np.array(["car", "person"])},
    )
    [sequence] = sequences_from({"gate": [some, supervision.Detections.empty()]})
    assert (sequence.length, sequence.class_names) == (2, {0: "car", 1: "person"})
    assert sequence.class_ids.tolist() == [0, 1]
    assert sequence.scores.tolist() == [0.5, 0.25]


def test_class_names_come_from_the_data_then_the_setting_then_the_number() -> None:
    box = [[0, 0, 9, 9]]
    given = {
        "a": [Detections(box, [0.5], [7], data={"class_name": np.array(["tram"])}), Detections(box, [0.5], [1])],
        "b": [Detections(box, [0.5], [7]), Detections(box, [0.5])],
    }
    first, second = sequences_from(given, Setting(class_names={1: "car"}))
    assert [first.class_names[one] for one in first.class_ids.tolist()] == ["tram", "car"]
    assert [second.class_names[one] for one in second.class_ids.tolist()] == ["7", "object"]


def test_ignored_truth_is_not_asked_for() -> None:
    known = Detections([[0, 0, 9, 9], [0, 0, 50, 50]], class_id=[0, 0], data={"ignore": [False, True]})
    [labelled] = labelled_from({"a": [Detections([])]}, {"a": [known]})
    assert labelled.truth.kinds.tolist() == [Kind.EVALUATE, Kind.IGNORE]


BOX = [[0, 0, 9, 9]]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (Detections(BOX, [np.nan]), "detections of gate, frame 1, confidence of box 0: is nan"),
        (Detections(BOX, [1.5]), "confidence of box 0: is 1.5, outside 0 to 1"),
        (Detections([[9, 0, 0, 9]], [0.5]), "frame 1, xyxy of box 0: makes the width -9"),
        (Detections([[0, 0, 9]], [0.5]), r"frame 1, xyxy: has the shape \(1, 3\)"),
        (Detections(BOX, [0.5, 0.4]), r"frame 1, confidence: has the shape \(2,\), and there are 1 boxes"),
        (Detections(BOX, [0.5], tracker_id=[1.5]), "tracker_id of box 0: is 1.5"),
        (Detections(BOX, [0.5], class_id=[0.5]), "class_id of box 0: is 0.5, which is no whole number"),
        (Detections(BOX, [0.5], class_id=["car"]), r"frame 1, class_id: holds no numbers \(could not"),
        (Detections([["a", 0, 9, 9]], [0.5]), r"frame 1, xyxy: holds no numbers \(could not"),
        (Detections(BOX), "frame 1, confidence: is missing, and other frames have it"),
    ],
)
def test_a_frame_that_cannot_be_is_named(frame: Detections, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        sequences_from({"gate": [Detections(BOX, [0.5]), frame]})


def test_sequences_and_frames_have_to_go_together() -> None:
    with pytest.raises(NothingFoundError, match="truth: holds no sequence b"):
        labelled_from({"a": [Detections([])], "b": [Detections([])]}, {"a": [Detections([])]})
    with pytest.raises(ReadError, match="detections of a: has 1 frames, and its truth 2"):
        labelled_from({"a": [Detections([])]}, {"a": [Detections([])] * 2})
    with pytest.raises(ReadError, match="setting, fps: is 0"):
        Setting(fps=0)
    with pytest.raises(NothingFoundError, match="detections of a: hold no frame"):
        sequences_from({"a": []})


def test_a_missing_confidence_counts_as_one_with_a_warning() -> None:
    [sequence] = sequences_from({"a": [Detections(BOX)]})
    assert sequence.scores.tolist() == [1.0]
    assert "have no confidence" in sequence.warnings[0]
    [sequence] = sequences_from({"a": [Detections(BOX, [0.5]), Detections([])]})
    assert (sequence.scores.tolist(), sequence.warnings) == ([0.5], ())
    with pytest.raises(ReadError, match="detections of a, confidence: is missing; leave out logits"):
        sequences_from({"a": [Detections(BOX)]}, Setting(logits=True))


def test_a_policy_is_tuned_on_arrays_and_knows_them_by_their_content() -> None:
    found, known = {}, {}
    for footage in simulate(preset("calibrated", cameras=2, frames=150)):
        frames = list(footage.frames())
        found[footage.name] = [Detections(one.boxes, one.scores, one.class_ids) for one in frames]
        known[footage.name] = [
            Detections(one.truth.boxes, None, one.truth.class_ids, one.truth.object_ids, {"ignore": one.truth.ignored})
            for one in frames
        ]
    labelled = labelled_from(found, known, Setting(fps=10, frame_size=(1280, 720), class_names={0: "person"}))
    tuned = tune(labelled)
    data: Any = tuned.policy.provenance["data"]
    assert {name: one["sha256"] for name, one in data.items()} == {one.name: content_of(one) for one in labelled}
    assert tuned.summary["held_out"]["fused"]["overall"]["best_f1"] > 0.5
    found["calibrated-01"][0] = Detections([])
    assert content_of(labelled_from(found, known)[0]) != data["calibrated-01"]["sha256"]


def test_options_of_tuning_can_be_sent_to_other_processes() -> None:
    for options in (TuneOptions(), TuneOptions(groups={"a": ("b*",)})):
        assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301  # our own bytes
