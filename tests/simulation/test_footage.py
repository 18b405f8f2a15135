"""Footage has the properties that its world states: counted again, by other means than it was made."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tertium_server.simulation import Footage, World, film, preset, simulate
from tertium_server.simulation.scene import make_scene
from tertium_server.tuning.matching import Label, match
from tertium_server.tuning.readers import Kind


def logit(scores: Any) -> Any:
    values = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    return np.log(values / (1 - values))


def plain(**changes: Any) -> World:
    """A world in which nothing flickers, jitters or fails unless it is told to."""
    detector = {
        "object_spread": 0, "flicker": 0, "spells_per_minute": 0, "size_effect": 0, "cover_effect": 0, "missed": 0,
        "localisation": 0, "duplicates": 0, "floor": 0.001, "sure": 1.0,
    } | changes.pop("detector", {})  # fmt: skip
    alarms = {"flashes_per_second": 0, "phantoms": 0} | changes.pop("false_alarms", {})
    return World(frames=400, cameras=1).change(detector=detector, false_alarms=alarms, **changes)


def test_without_any_failing_the_detector_says_the_truth() -> None:
    footage = film(plain(), 0)
    said, scene = footage.detections, footage.scene
    order = np.lexsort((scene.boxes[:, 0], scene.frames))
    theirs = np.lexsort((said.boxes[:, 0], said.frames))
    np.testing.assert_allclose(said.boxes[theirs], scene.boxes[order], rtol=1e-6)
    np.testing.assert_array_equal(said.origins[theirs], scene.objects[order])
    np.testing.assert_allclose(said.scores, 1 / (1 + np.exp(-1.0)), rtol=1e-6)
    assert footage.right().all()


def test_objects_move_smoothly_from_one_side_out_at_the_other() -> None:
    footage = film(plain(frames=1500), 0)
    scene, (width, height) = footage.scene, footage.world.frame_size
    assert (scene.boxes[:, :2] >= 0).all()
    assert (scene.boxes <= (width, height, width, height)).all()
    whole = 0
    for number in np.unique(scene.objects):
        mine = np.flatnonzero(scene.objects == number)
        assert (np.diff(scene.frames[mine]) == 1).all()
        middles = scene.boxes[mine][:, [0, 2]].mean(1)
        inside = (scene.boxes[mine, 0] > 0) & (scene.boxes[mine, 2] < width)
        steps = np.diff(middles)[inside[1:] & inside[:-1]]
        assert (np.abs(np.diff(steps)) < 4).all()  # no step differs from the one before by more than that
        if scene.frames[mine][0] > 0 and scene.frames[mine][-1] < 1499:
            whole += 1
            assert min(middles[0], middles[-1]) < 0.1 * width < 0.9 * width < max(middles[0], middles[-1])
    assert whole > 5


def test_objects_come_as_often_as_they_are_said_to() -> None:
    world = plain(frames=3000, classes=[{"name": "person", "arrivals_per_minute": 20}])
    arrived = sum(len(np.unique(make_scene(world, camera).objects)) for camera in range(3))
    expected = 3 * 20 * 5  # cameras, a minute, minutes
    assert abs(arrived - expected) < 4 * np.sqrt(expected)


def test_cover_is_the_share_that_a_nearer_object_hides_and_lowers_the_score() -> None:
    footage = film(plain(classes=[{"name": "person", "arrivals_per_minute": 200}], detector={"cover_effect": 4}), 0)
    scene, said = footage.scene, footage.detections
    frame = Counter(scene.frames.tolist()).most_common(1)[0][0]
    here = np.flatnonzero(scene.frames == frame)
    canvas = np.full((720, 1280), -1)
    for row in here:
        x1, y1, x2, y2 = np.round(scene.boxes[row]).astype(int)
        others = [other for other in here if scene.boxes[other, 3] > scene.boxes[row, 3]]
        shares = [0.0]
        for other in others:
            canvas[:] = 0
            a1, b1, a2, b2 = np.round(scene.boxes[other]).astype(int)
            canvas[b1:b2, a1:a2] = 1
            shares.append(canvas[y1:y2, x1:x2].mean())
        if scene.boxes[row, 3] < 719:  # feet in the picture, so that the box's lower edge tells who is nearer
            assert scene.cover[row] == pytest.approx(max(shares), abs=0.06)
    order = {(frame, number): at for at, (frame, number) in enumerate(zip(scene.frames, scene.objects, strict=True))}
    rows = [order[pair] for pair in zip(said.frames, said.origins, strict=True)]
    np.testing.assert_allclose(logit(said.scores), 1.0 - 4 * scene.cover[rows], atol=1e-4)
    assert (scene.cover > 0.5).any()


def test_small_objects_are_seen_worse_by_what_each_halving_takes_off() -> None:
    footage = film(plain(detector={"size_effect": 0.7, "full_height": 90}), 0)
    scene, said = footage.scene, footage.detections
    heights = {(f, o): h for f, o, h in zip(scene.frames, scene.objects, scene.heights, strict=True)}
    mine = np.array([heights[pair] for pair in zip(said.frames, said.origins, strict=True)])
    np.testing.assert_allclose(logit(said.scores), 1 - 0.7 * np.log2(np.maximum(90 / mine, 1)), atol=1e-4)
    assert (mine < 60).any()


def test_flicker_has_the_spread_and_the_persistence_it_is_said_to_have() -> None:
    world = plain(
        frames=4000,
        detector={"flicker": 0.8, "persistence": 0.7},
        classes=[{"name": "car", "parked": 8, "arrivals_per_minute": 0}],
    )
    footage = film(world, 0)
    said = footage.detections
    series = np.array([logit(said.scores[said.origins == number]) for number in range(8)]) - 1
    assert series.std() == pytest.approx(0.8, rel=0.05)
    assert np.mean(series[:, 1:] * series[:, :-1]) / series.var() == pytest.approx(0.7, abs=0.03)


def test_dim_spells_are_as_many_as_long_and_as_deep_as_they_are_said_to_be() -> None:
    world = plain(
        frames=6000, detector={"spells_per_minute": 3, "spell_seconds": 2, "spell_depth": 2.5},
        classes=[{"name": "car", "parked": 10, "arrivals_per_minute": 0}],
    )  # fmt: skip
    said = film(world, 0).detections
    begun, dim = 0, 0
    for number in range(10):
        values = logit(said.scores[said.origins == number])
        np.testing.assert_allclose(np.unique(np.round(values, 3)), [-1.5, 1.0], atol=0.002)
        begun += int((np.diff((values < 0).astype(int)) == 1).sum())
        dim += int((values < 0).sum())
    assert 0.75 < begun / (3 * 10 * 10) < 1.1  # some run together
    # How often an object is in one at any time, where they come one a 20 s and may overlap.
    assert dim / (10 * 6000) == pytest.approx(1 - np.exp(-2.0 / 20), rel=0.15)


def test_flashes_last_a_frame_and_phantoms_stay_where_they_are() -> None:
    world = plain(
        frames=3000, false_alarms={"flashes_per_second": 5, "phantoms": 4, "phantom": -0.85, "phantom_spread": 0}
    )
    said = film(world, 0).detections
    flashes = said.origins == -1
    assert flashes.sum() == pytest.approx(5 * 300, rel=0.12)
    phantoms = np.unique(said.origins[said.origins < -1])
    present = 0.0
    for origin in phantoms:
        boxes = said.boxes[said.origins == origin]
        assert (boxes.max(0) - boxes.min(0) < 1e-3).all()
        np.testing.assert_allclose(said.scores[said.origins == origin], 0.3, atol=0.01)
        frames = said.frames[said.origins == origin]
        present += frames.max() - frames.min() + 1
    assert present / 3000 == pytest.approx(4, rel=0.5)


def test_drift_begins_when_it_is_said_to_and_lowers_the_scores() -> None:
    world = plain(drift={"begins": 0.5, "score_shift": -1.2, "alarm_factor": 4}, false_alarms={"flashes_per_second": 3})
    said = film(world, 0).detections
    mine = said.origins >= 0
    before, after = said.frames < 200, said.frames >= 200
    np.testing.assert_allclose(logit(said.scores[mine & before]), 1.0, atol=1e-4)
    np.testing.assert_allclose(logit(said.scores[mine & after]), -0.2, atol=1e-4)
    assert (~mine & after).sum() == pytest.approx(4 * (~mine & before).sum(), rel=0.35)


def test_at_midnight_objects_are_seen_worse() -> None:
    said = film(
        plain(light={"day_seconds": 40, "night_effect": 2.0}), 0
    ).detections  # 400 frames at 10 a second: one day
    hours = said.frames / 400
    expected = 1 - 2.0 * (0.5 - 0.5 * np.cos(2 * np.pi * hours))
    np.testing.assert_allclose(logit(said.scores), expected, atol=1e-4)


def test_calibrated_scores_mean_what_they_say_and_sharp_ones_do_not() -> None:
    def gap(world: World) -> float:
        """How far the share of right boxes is from the mean score, on average over scores."""
        footages = simulate(world)
        scores = np.concatenate([one.detections.scores for one in footages])
        right = np.concatenate([one.right() for one in footages])
        bins = np.digitize(scores, np.linspace(0.1, 0.9, 9))
        gaps = [
            abs(scores[bins == one].mean() - right[bins == one].mean()) * (bins == one).mean()
            for one in np.unique(bins)
        ]
        return float(sum(gaps))

    assert gap(preset("calibrated", cameras=12, frames=800)) < 0.05
    assert gap(preset("overconfident", cameras=12, frames=800)) > 0.08


def test_what_is_called_right_is_what_the_tuners_matching_calls_right() -> None:
    seen = 0
    for footage in simulate(preset("busy-street", cameras=2, frames=300)):
        labelled = footage.labelled()
        labels = match(labelled, labelled.sequence.scores, 0.5).labels
        judged = ~footage.hidden()
        agree = (labels == Label.TRUE) == footage.right()
        # A duplicate may take the place of the first box, a flash that of an object it happens to cover.
        assert agree[judged].mean() > 0.97
        hidden = labelled.truth.kinds == Kind.IGNORE
        np.testing.assert_array_equal(hidden, footage.scene.cover > 0.75)
        seen += int(hidden.sum())
    assert seen > 0


def test_frames_add_up_to_the_footage() -> None:
    footage: Footage = film(preset("quiet-car-park", frames=100), 0)
    frames = list(footage.frames())
    assert [one.frame_index for one in frames] == list(range(100))
    np.testing.assert_array_equal(np.diff([one.capture_time for one in frames]), 200_000_000)
    np.testing.assert_array_equal(np.concatenate([one.boxes for one in frames]), footage.detections.boxes)
    assert sum(len(one.truth.boxes) for one in frames) == len(footage.scene.frames)
    for one in frames:
        assert set(one.origins[one.origins > 0].tolist()) <= set(one.truth.object_ids.tolist())


def test_a_share_of_boxes_is_missed_doubled_and_given_another_class() -> None:
    classes = [{"name": "car", "parked": 20, "arrivals_per_minute": 0}, {"name": "bus", "arrivals_per_minute": 0}]
    said = film(plain(classes=classes, detector={"missed": 0.1, "duplicates": 0.2, "confusion": 0.05}), 0).detections
    whole = 20 * 400
    assert (~said.duplicates).sum() / whole == pytest.approx(0.9, abs=0.02)
    assert said.duplicates.sum() / whole == pytest.approx(0.2, abs=0.02)
    assert (said.class_ids == 1).mean() == pytest.approx(0.05, abs=0.01)
