"""Explanations add up, to the log-odds of what was served, and to what anyone can work out with a pencil."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tertium_server.engine import Verdict
from tertium_server.engine.explaining import (
    Explanation,
    LevelShares,
    explain_box,
    explain_track,
    features_of,
    logit,
)
from tertium_server.engine.lag import JudgedFrame
from tertium_server.policy import Policy
from tests.engine.streams import SECOND, engine_with, filmed, play
from tests.policies import plain_policy, policy_with

EXACT = 1e-9


@dataclass
class Seen:
    """A decision on a track, and what was served."""

    judged: JudgedFrame
    track: np.void
    filtered: npt.NDArray[np.float64]
    judge: np.void
    detection: int | None

    def features(self) -> npt.NDArray[np.float64]:
        around = [0.0] * 3 if self.detection is None else self.judged.around[:, self.detection].tolist()
        return features_of(self.track, *around)


def seen_in(seed: int, lag: int) -> list[Seen]:
    """All decisions on all tracks of a scene, by the plain policy, which weighs everything there is."""
    engine = engine_with(policy_with({"tracker.decision_lag": lag}, plain_policy()), frame_width=640, frame_height=360)
    found: list[Seen] = []

    def note(judged: JudgedFrame) -> None:
        served = judged.probabilities.copy()
        kept = JudgedFrame(
            judged.index, judged.time, judged.tracks, judged.filtered, judged.slots, judged.around, served,
            judged.verdicts.copy(), judged.parameters, judged.events.copy(),
        )  # fmt: skip
        for slot in range(len(judged.tracks)):
            places = np.flatnonzero(judged.slots == slot)
            judge = judged.parameters.judges[int(judged.tracks[slot]["judge_row"])]
            place = int(places[0]) if len(places) else None
            found.append(Seen(kept, judged.tracks[slot], judged.filtered[slot], judge, place))

    engine.watch(note)
    play(engine, filmed(seed, length=60), finish=True)
    return found


@pytest.fixture(scope="module", params=[(1, 0), (2, 0), (1, 7)], ids=["one", "another", "smoothed"])
def decisions(request: pytest.FixtureRequest) -> list[Seen]:
    return seen_in(*request.param)


def total(explanation: Explanation) -> float:
    return math.fsum(part.log_odds for part in explanation.parts)


def test_parts_add_up_to_the_log_odds_of_what_was_served(decisions: list[Seen]) -> None:
    boxes = 0
    for one in decisions:
        track = explain_track(one.features(), one.judge)
        assert total(track) == pytest.approx(track.log_odds, abs=EXACT)
        assert np.float32(track.probability) == one.track["probability"]
        if one.detection is not None:
            box = explain_box(one.features(), one.judge)
            assert total(box) == pytest.approx(box.log_odds, abs=EXACT)
            served = one.judged.probabilities[one.detection]
            assert np.float32(box.probability) == pytest.approx(served, rel=1e-7)
            assert box.plain_verdict == one.judged.verdicts[one.detection]
            boxes += 1
    assert boxes > 100


def by_hand(one: Seen) -> tuple[float, float]:
    """Log-odds of box and track, from the track's record and the policy's file."""
    box, track, seen = plain_policy().defaults.box.weights, plain_policy().defaults.track.weights, one.track
    overlap, cover, neighbours = (
        (0.0, 0.0, 0.0) if one.detection is None else one.judged.around[:, one.detection].tolist()
    )
    heights = plain_policy().defaults.box.heights
    height = min(max(math.exp(float(seen["size"])) * 100, heights.least), heights.most)
    size = math.log(height / 100)
    large = min(max((1 + size) / 2, 0), 1)
    z, hits = float(seen["measurement"]), math.log(min(int(seen["hits"]), 50))
    assert box.score_high is not None
    assert box.slow_large is not None
    of_box = (
        box.constant + box.score * min(z, 1) + box.score_high * max(z - 1, 0) + box.fast * seen["fast"]
        + (box.slow * (1 - large) + box.slow_large * large) * seen["slow"] + box.hits * hits
        + box.fit * min(float(seen["fit"]), 4) + box.overlap * overlap + box.cover * cover
        + box.neighbours * min(neighbours, 5) + box.size * size + box.size_squared * size**2
    )  # fmt: skip
    of_track = (
        track.constant + track.slow * seen["slow"] + track.fast * seen["fast"]
        + track.spread * math.sqrt(seen["slow_variance"]) + track.hits * hits
        + track.misses * math.log(1 + int(seen["misses_in_a_row"])) + track.size * size + track.size_squared * size**2
    )  # fmt: skip
    return float(of_box), float(of_track)


def test_and_to_what_a_pencil_makes_of_the_policys_file(decisions: list[Seen]) -> None:
    for one in decisions:
        box, track = by_hand(one)
        assert explain_track(one.features(), one.judge).log_odds == pytest.approx(track, abs=EXACT)
        if one.detection is not None:
            assert explain_box(one.features(), one.judge).log_odds == pytest.approx(box, abs=EXACT)


def lives(decisions: list[Seen]) -> Iterator[list[Seen]]:
    """By track, in order."""
    found: dict[int, list[Seen]] = {}
    for one in decisions:
        found.setdefault(int(one.track["id"]), []).append(one)
    yield from found.values()


def gains(life: list[Seen], drift: float) -> list[tuple[float, float, str]]:
    """Gain, measurement and source of each frame of a level, by the policy's file and the clock alone."""
    evidence = plain_policy().defaults.evidence
    variance, found, time, misses = evidence.birth.variance, [], None, 0
    for one in life:
        seconds = 0.0 if time is None else (one.judged.time - time) / SECOND
        variance += drift * seconds
        time = one.judged.time
        hit, missed = one.detection is not None, int(one.track["misses"]) > misses
        misses = int(one.track["misses"])
        if not hit and not missed:
            found.append((0.0, 0.0, "hidden"))
            continue
        plain = evidence.noise if hit else evidence.miss.noise
        interval = seconds or first_interval(one)
        noise = plain * (1 + evidence.correlation_time / max(interval, 1e-3))
        gain = variance / (variance + noise)
        variance *= 1 - gain
        found.append((gain, float(one.track["measurement"]) if hit else evidence.miss.value, "hit" if hit else "miss"))
    return found


def first_interval(one: Seen) -> float:
    """Seconds between a track's first frame and the frame before it."""
    return INTERVALS[one.judged.index]


INTERVALS: dict[int, float] = {}


def level_sources(life: list[Seen], drift: float) -> dict[str, float]:
    """Each measurement's weight in the level at the end of a life: its gain, times what later gains have left of it."""
    steps = gains(life, drift)
    kept = [math.prod(1 - gain for gain, _, _ in steps[place + 1 :]) for place in range(len(steps))]
    sources = {"hit": 0.0, "miss": 0.0, "hidden": 0.0}
    for (gain, value, source), left in zip(steps, kept, strict=True):
        sources[source] += gain * value * left
    birth = plain_policy().defaults.evidence.birth.mean
    return sources | {"birth": birth * math.prod(1 - gain for gain, _, _ in steps)}


@pytest.mark.parametrize(("seed", "lag"), [(1, 0), (3, 0), (1, 7)])
def test_a_level_is_what_its_birth_its_detections_and_its_misses_have_left_in_it(seed: int, lag: int) -> None:
    frames = filmed(seed, length=60)
    INTERVALS.clear()
    for before, after in pairwise(frames):
        INTERVALS[after.index] = (after.time - before.time) / SECOND
    INTERVALS[frames[0].index] = 1 / 30  # nothing is known yet
    evidence, compared = plain_policy().defaults.evidence, 0
    for life in lives(seen_in(seed, lag)):
        shares = LevelShares(evidence.birth.mean)
        for one in life:
            shares.take(one.filtered, seen=one.detection is not None, misses=int(one.track["misses"]))
        last = life[-1].track
        pair = shares.of(float(last["fast"]), float(last["slow"]))
        for found, drift, name in zip(pair, (evidence.fast_drift, evidence.slow_drift), ("fast", "slow"), strict=True):
            expected = level_sources(life, drift)
            assert found.birth == pytest.approx(expected["birth"], abs=EXACT)
            assert found.detections == pytest.approx(expected["hit"], abs=EXACT)
            assert found.misses == pytest.approx(expected["miss"], abs=EXACT)
            assert found.later == pytest.approx(0.0, abs=EXACT)  # nothing comes after the last frame
            assert found.level == pytest.approx(float(last[name]), abs=EXACT)
            compared += bool(expected["miss"])
    assert compared > 5


def test_what_smoothing_has_changed_is_a_source_of_its_own() -> None:
    life = next(each for each in lives(seen_in(1, 7)) if len(each) > 20)
    shares = LevelShares(plain_policy().defaults.evidence.birth.mean)
    for one in life[:10]:
        shares.take(one.filtered, seen=one.detection is not None, misses=int(one.track["misses"]))
    fast, slow = shares.of(float(life[9].track["fast"]), float(life[9].track["slow"]))
    assert slow.later == pytest.approx(float(life[9].track["slow"]) - life[9].filtered[3], abs=EXACT)
    assert abs(fast.later) > 1e-3
    explanation = explain_track(life[9].features(), life[9].judge, fast, slow)
    for part in explanation.parts:
        if part.shares is not None:
            assert part.shares.level == pytest.approx(part.log_odds, abs=EXACT)


def judged_as(probability: float, **thresholds: Any) -> Explanation:
    policy = Policy.model_validate(plain_policy().model_dump(mode="json"))
    engine = engine_with(policy)
    judge = engine.parameters.judges[0].copy()
    judge["box_weights"], judge["box_yes"], judge["box_no"] = 0.0, thresholds["yes"], thresholds["no"]
    judge["box_weights"][0] = logit(probability)
    return explain_box(np.ones(21), judge)


def test_distances_to_thresholds_are_in_log_odds() -> None:
    found = judged_as(0.5, yes=0.75, no=0.25)
    assert found.to_yes == pytest.approx(-math.log(3))
    assert found.to_no == pytest.approx(math.log(3))
    assert found.plain_verdict is Verdict.MAYBE
    assert judged_as(0.8, yes=0.75, no=0.25).plain_verdict is Verdict.YES
    never = judged_as(0.5, yes=1.0, no=0.0)
    assert (never.to_yes, never.to_no) == (-math.inf, math.inf)
