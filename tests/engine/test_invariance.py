"""What must make no difference: where the picture's corner lies, in what unit it is measured, when the clock began, how things are numbered."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tertium_server.policy import Policy
from tests.engine.streams import SECOND, Box, Frame, Journal, engine_with, filmed, play
from tests.policies import policy_with

NUMBERS = ("probabilities", "track_probabilities", "track_lower", "track_upper", "coasted_probabilities")
CHOICES = ("track_ids", "verdicts", "track_verdicts", "coasted_track_ids", "coasted_verdicts")
SEEDS = range(4)


def coarse(frames: list[Frame]) -> list[Frame]:
    """Boxes on a grid of 1/16 pixel, so that they can be shifted and scaled without a rounding."""

    def rounded(box: Box) -> Box:
        left, top, right, bottom = (round(corner * 16) / 16 for corner in box)
        return (left, top, right, bottom)

    return [replace(each, boxes=tuple(rounded(box) for box in each.boxes)) for each in frames]


def moved(frames: list[Frame], change: Callable[[float, int], float]) -> list[Frame]:
    """Boxes whose corners are changed by axis (0 across, 1 down)."""

    def place(box: Box) -> Box:
        left, top, right, bottom = (change(corner, axis) for corner, axis in zip(box, (0, 1, 0, 1), strict=True))
        return (left, top, right, bottom)

    return [replace(each, boxes=tuple(place(box) for box in each.boxes)) for each in frames]


# Heights are weighed in pixels, for a detector sees a far object worse than a near one; whoever does not weigh them judges by shape alone.
SIZELESS = policy_with(
    {
        "defaults.box.weights.slow_large": None,
        **{
            f"defaults.{judged}.weights.{name}": 0.0 for judged in ("box", "track") for name in ("size", "size_squared")
        },
    }
)


def run(frames: list[Frame], policy: Policy | None = None) -> Journal:
    return play(engine_with(policy), frames, finish=True)


def assert_decided_alike(one: Journal, other: Journal, *, exactly: bool) -> None:
    for name in (*CHOICES, *NUMBERS):
        tolerance = 0.0 if exactly or name in CHOICES else 1e-5
        np.testing.assert_allclose(other[name], one[name], rtol=tolerance, err_msg=name)
    assert len(one["track_ids"]) > 50


@pytest.mark.parametrize(("across", "down"), [(1024.0, 0.0), (-512.0, 4096.0), (100_000.0, -100_000.0)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scene_that_is_shifted_is_decided_alike(seed: int, across: float, down: float) -> None:
    frames = coarse(filmed(seed))
    shifted = moved(frames, lambda corner, axis: corner + (down if axis else across))
    before, after = run(frames), run(shifted)
    assert_decided_alike(before, after, exactly=False)
    shift = [across, down, across, down]
    np.testing.assert_allclose(after["boxes"], before["boxes"] + shift, atol=0.02)


@pytest.mark.parametrize("factor", [2.0, 16.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scene_in_a_higher_resolution_is_decided_alike_to_the_last_digit(seed: int, factor: float) -> None:
    frames = coarse(filmed(seed))
    before, after = run(frames, SIZELESS), run(moved(frames, lambda corner, _: factor * corner), SIZELESS)
    assert_decided_alike(before, after, exactly=True)
    assert (after["boxes"] == factor * before["boxes"]).all()
    # A size that is predicted to fall to nothing stays at one pixel, whatever a pixel is.
    coasted = before["coasted_boxes"]
    whole = (coasted[:, 2:] - coasted[:, :2] > 1.01).all(axis=1)
    assert whole.sum() > 10
    assert (after["coasted_boxes"][whole] == factor * coasted[whole]).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scene_seen_from_the_other_side_is_decided_alike(seed: int, axis: int) -> None:
    frames = coarse(filmed(seed))

    def mirrored(box: Box) -> Box:
        left, top, right, bottom = box
        return (640 - right, top, 640 - left, bottom) if axis == 0 else (left, 360 - bottom, right, 360 - top)

    flipped = [replace(each, boxes=tuple(mirrored(box) for box in each.boxes)) for each in frames]
    if axis == 0:
        assert_decided_alike(run(frames), run(flipped), exactly=False)
    else:
        # Upside down, far is near: only what hides what may differ, and nothing hides while all are seen.
        assert run(frames)["track_ids"][:20].tolist() == run(flipped)["track_ids"][:20].tolist()


@pytest.mark.parametrize("shift", [-(10**18), -1, 7, 1_700_000_000 * SECOND])
@pytest.mark.parametrize("seed", SEEDS)
def test_when_the_clock_began_makes_no_difference(seed: int, shift: int) -> None:
    frames = filmed(seed)
    shifted = [replace(each, time=each.time + shift) for each in frames]
    before, after = run(frames), run(shifted)
    assert_decided_alike(before, after, exactly=True)
    for name in ("events", "dismissed"):
        expected = before[name].copy()
        expected["time"] += shift
        assert (expected == after[name]).all()


@pytest.mark.parametrize(("factor", "first"), [(1, 2**61), (7, 0), (1000, 5)])
def test_how_frames_are_numbered_makes_no_difference(factor: int, first: int) -> None:
    frames = filmed(3)
    after = run([replace(each, index=first + factor * each.index) for each in frames])
    before = run(frames)
    assert_decided_alike(before, after, exactly=True)
    assert (after["frame_indices"] == first + factor * before["frame_indices"]).all()
    assert (after["events"]["frame_index"] == first + factor * before["events"]["frame_index"]).all()
    assert (after["events"]["first_frame"] == first + factor * before["events"]["first_frame"]).all()


@pytest.mark.parametrize("seed", range(8))
def test_in_what_order_a_frames_detections_come_makes_no_difference_but_to_the_names_of_tracks(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = filmed(seed)
    orders = [random.permutation(len(each.boxes)).tolist() for each in frames]
    shuffled = [
        replace(
            each,
            boxes=tuple(each.boxes[place] for place in order),
            scores=tuple(each.scores[place] for place in order),
            class_ids=tuple(each.class_ids[place] for place in order),
        )
        for each, order in zip(frames, orders, strict=True)
    ]
    before, after = run(frames), run(shuffled)
    for name in ("probabilities", "track_probabilities", "track_verdicts", "boxes"):
        for expected, found, order in zip(before.by_frame(name), after.by_frame(name), orders, strict=True):
            np.testing.assert_array_equal(found, expected[order])
    pairs = {
        (int(mine), int(theirs))
        for expected, found, order in zip(
            before.by_frame("track_ids"), after.by_frame("track_ids"), orders, strict=True
        )
        for mine, theirs in zip(expected[order], found, strict=True)
    }
    assert len(pairs) == len({mine for mine, _ in pairs}) == len({theirs for _, theirs in pairs}), "names, one for one"


def test_by_what_numbers_classes_go_makes_no_difference() -> None:
    frames = filmed(5)
    renamed = [
        replace(each, class_ids=tuple({0: 11, 7: 40_000}[class_id] for class_id in each.class_ids)) for each in frames
    ]
    engine = engine_with(class_names={11: "person", 40_000: "car"})
    assert_decided_alike(run(frames), play(engine, renamed, finish=True), exactly=True)
