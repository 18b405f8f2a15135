"""What the built-in policy must make of scenes that everyone knows the answer to."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from tertium_server.engine import Verdict
from tertium_server.policy import Policy, default_policy
from tests.engine.streams import SECOND, Box, Frame, Journal, engine_with, filmed, frame, play
from tests.policies import policy_with

NO, MAYBE, YES = Verdict.NO, Verdict.MAYBE, Verdict.YES
FPS = 30


def at(left: float, top: float = 100.0, width: float = 40.0, height: float = 80.0) -> Box:
    return (left, top, left + width, top + height)


def filmed_at(fps: float, detections: list[list[tuple[Box, float]]]) -> list[Frame]:
    return [frame(index, *each, time=round(index * SECOND / fps)) for index, each in enumerate(detections)]


def run(frames: list[Frame], changes: Mapping[str, object] | None = None, base: Policy | None = None) -> Journal:
    """Decisions by the built-in policy, or another, some of it perhaps changed."""
    policy = policy_with(changes or {}, base or default_policy())
    return play(engine_with(policy, frame_width=1920, frame_height=1080, include_features=True), frames)


@pytest.mark.parametrize("fps", [5, 12, 30, 60])
def test_a_cone_that_is_seen_at_three_tenths_for_thousands_of_frames_does_not_become_certain(fps: float) -> None:
    journal = run(filmed_at(fps, [[(at(300), 0.3)]] * 5000))
    assert set(journal["track_ids"].tolist()) == {1}
    assert YES not in journal["track_verdicts"]
    assert YES not in journal["verdicts"]
    assert journal["track_upper"][-1] < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_nor_does_one_whose_score_trembles(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = np.clip(0.3 + random.normal(0, 0.05, 1000), 0.01, 0.99)
    journal = run(filmed_at(FPS, [[(at(300), float(score))] for score in scores]))
    assert YES not in journal["track_verdicts"]


@pytest.mark.parametrize("fps", [5, 12, 30])
def test_a_flash_of_six_tenths_in_one_frame_is_no_yes(fps: float) -> None:
    journal = run(filmed_at(fps, [[], [(at(300), 0.6)], [], [], [], []]))
    assert YES not in journal["track_verdicts"]
    assert YES not in journal["verdicts"]
    assert YES not in journal["coasted_verdicts"]


def test_a_track_that_was_long_sure_stays_so_behind_a_nearer_one_while_its_boxes_grow_poor() -> None:
    def seen(index: int) -> list[tuple[Box, float]]:
        # Somebody walks in from the right, ends lower in the picture, and stops before the person.
        nearer = (at(max(394.0, 394 + 5 * (80 - index)), 80, 56, 170), 0.95)
        if index < 80:
            return [(at(400), 0.9), nearer]
        return [(at(400), 0.15), nearer] if index < 85 else [nearer]

    journal = run(filmed_at(FPS, [seen(index) for index in range(105)]))
    ids = journal.by_frame("track_ids")
    assert {int(each[0]) for each in ids[:85]} == {1}
    assert {int(each[-1]) for each in ids} == {2}
    boxes = [float(each[0]) for each in journal.by_frame("probabilities")[:85]]
    verdicts = [int(each[0]) for each in journal.by_frame("track_verdicts")[:85]]
    assert boxes[79] > 0.8
    assert boxes[84] < boxes[79] - 0.3
    assert set(verdicts[30:]) == {YES}
    hidden = journal["coasted_track_ids"] == 1
    assert hidden.sum() == 20
    assert set(journal["coasted_verdicts"][hidden].tolist()) == {YES}


@pytest.mark.parametrize("seed", range(5))
def test_twenty_scattered_hits_on_a_consistent_track_outrank_two_strong_ones_and_silence(seed: int) -> None:
    random = np.random.default_rng(seed)
    hits = set(random.choice(30, 20, replace=False).tolist()) | {0}

    def seen(index: int) -> list[tuple[Box, float]]:
        walker = [(at(100 + 4 * index), 0.3)] * (index in hits)
        flash = [(at(900), 0.8)] * (index < 2)
        return [*walker, *flash]

    frames = filmed_at(12, [seen(index) for index in range(30)])
    # Both are kept for as long as it takes to compare them.
    journal = run(frames, {"tracker.lifetime.coast": 60.0, "tracker.lifetime.candidate_coast": 60.0})
    last: dict[int, float] = {}
    for names in (("track_ids", "track_probabilities"), ("coasted_track_ids", "coasted_probabilities")):
        last |= dict(zip(journal.by_frame(names[0])[-1].tolist(), journal.by_frame(names[1])[-1].tolist(), strict=True))
    walker, flash = (min(last), max(last))
    assert len(last) == 2
    assert last[walker] > last[flash]


STATED = 0.2
"""By how much, in log-odds, a track may move when each frame is filmed twice, as far as its evidence goes."""


@pytest.mark.parametrize("score", [0.1, 0.3, 0.6, 0.9])
def test_filming_every_frame_twice_hardly_changes_a_track(score: float) -> None:
    once = run(filmed_at(FPS, [[(at(300), score)]] * 90))
    twice = run(filmed_at(2 * FPS, [[(at(300), score)]] * 180))
    before, after = (journal["track_features"][-1] for journal in (once, twice))
    weights = default_policy().defaults.track.weights
    assert abs(weights.slow * (after[1] - before[1]) + weights.fast * (after[2] - before[2])) < STATED
    assert once["track_verdicts"][-1] == twice["track_verdicts"][-1]


@pytest.mark.parametrize("seed", range(4))
def test_a_higher_score_lowers_no_probability(seed: int) -> None:
    frames = filmed(seed, length=40)
    target = seed + 20
    while not frames[target].boxes:
        target += 1
    order = itertools.product(range(len(frames[target].boxes)), [0.05, 0.2, 0.5, 0.8, 0.97])
    changes = {"defaults.box.weights.overlap": 0.0, "tracker.association.high": 0.0}
    found: dict[int, list[float]] = {}
    for place, score in order:
        scores = list(frames[target].scores)
        scores[place] = score
        changed = [
            *frames[:target],
            Frame(target, frames[target].time, frames[target].boxes, tuple(scores), frames[target].class_ids),
        ]
        journal = run(changed, changes)
        found.setdefault(place, []).append(float(journal.by_frame("probabilities")[-1][place]))
    for probabilities in found.values():
        assert probabilities == sorted(probabilities)
        assert probabilities[0] < probabilities[-1]
