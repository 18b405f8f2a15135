"""What a tuned policy must make of scenes, whatever it was tuned on."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.policy import Policy, default_policy
from tertium_server.tuning.fit.crossvalidation import make_materials
from tertium_server.tuning.fit.folds import make_folds
from tertium_server.tuning.fit.model import Effort, fit_policy
from tertium_server.tuning.fit.observation import match_by_score
from tertium_server.tuning.readers import Labelled
from tests.engine.test_behaviour import FPS, STATED, at, filmed_at, run
from tests.tuning.labelled import sequence, truth

FRAMES = 60


def street(seed: int, real_score: float) -> Labelled:
    """Walkers with scores about one value, cones that stand and score 0.3 at most, and flashes of any score."""
    random = np.random.default_rng(seed)
    boxes: list[NDArray[np.float64]] = []
    scores, frames, real, real_frames, ids = (
        list[float](),
        list[int](),
        list[NDArray[np.float64]](),
        list[int](),
        list[int](),
    )
    walkers = [(random.uniform((0, 0), (1500, 600)), random.uniform(-4, 4), random.uniform(30, 200)) for _ in range(6)]
    cones = [np.concatenate([corner, corner + 40]) for corner in random.uniform((0, 700), (1800, 900), (3, 2))]
    for frame in range(1, FRAMES + 1):
        for number, (home, speed, height) in enumerate(walkers):
            left, top = home[0] + speed * frame, home[1]
            box = np.array([left, top, left + 0.5 * height, top + height])
            real.append(box)
            real_frames.append(frame)
            ids.append(number)
            if random.random() < 0.8:
                boxes.append(box + random.normal(0, 1.5, 4))
                scores.append(float(np.clip(real_score + random.normal(0, 0.15), 0.02, 0.98)))
                frames.append(frame)
        for cone in cones:
            boxes.append(cone + random.normal(0, 1, 4))
            scores.append(float(random.uniform(0.1, 0.3)))
            frames.append(frame)
        if random.random() < 0.7:
            corner = random.uniform((0, 0), (1800, 900))
            boxes.append(np.concatenate([corner, corner + random.uniform(20, 150, 2)]))
            scores.append(float(random.uniform(0.02, 0.9)))
            frames.append(frame)
    names = {0: "person"}
    name = f"street-{seed}"
    return Labelled(
        sequence(boxes, scores, frames, name=name, length=FRAMES, class_names=names),
        truth(real, real_frames, name=name, length=FRAMES, class_names=names, track_ids=np.array(ids)),
    )


WEAK, STRONG = 0.45, 0.8


@cache
def tuned_to(real_score: float, sweeps: int = 2) -> Policy:
    """What tuning makes of a detector, as judge of every class; with no sweeps, as `tertium tune` does."""
    labelled = [street(seed, real_score) for seed in range(4)]
    matches = [match_by_score(one, iou=0.5) for one in labelled]
    folds = make_folds([one.sequence.frames for one in labelled], [FRAMES] * 4, [1] * 4, None, 0)
    materials = make_materials(labelled, matches, folds, None)
    fitted = fit_policy(materials, default_policy(), Effort(sweeps)).policy
    tree = fitted.model_dump(mode="json")
    return Policy.model_validate({**tree, "defaults": tree["classes"]["person"], "classes": {}})


@pytest.fixture(scope="module", params=[WEAK, STRONG])
def tuned(request: pytest.FixtureRequest) -> Policy:
    return tuned_to(request.param)


def test_it_weighs_more_than_the_built_in_one(tuned: Policy) -> None:
    weights = tuned.defaults.box.weights
    assert weights.size != 0.0
    assert weights.score_high is not None
    assert tuned.defaults.box.heights.most < 1000


@pytest.mark.parametrize("fps", [12, 30])
def test_a_cone_seen_for_a_thousand_frames_becomes_no_more_certain_than_in_the_first_hundred(
    tuned: Policy, fps: float
) -> None:
    journal = run(filmed_at(fps, [[(at(300), 0.3)]] * 1000), base=tuned)
    track, box = journal["track_probabilities"], journal["probabilities"]
    assert track[100:].max() < track[:100].max() + 0.05
    assert box[100:].max() < box[:100].max() + 0.05
    assert track[-1] < 0.95


def test_where_real_objects_score_high_neither_a_cone_nor_a_flash_is_yes() -> None:
    cone = run(filmed_at(30, [[(at(300), 0.3)]] * 1000), base=tuned_to(STRONG))
    flash = run(filmed_at(12, [[], [(at(300), 0.6)], [], [], []]), base=tuned_to(STRONG))
    for journal in (cone, flash):
        for name in ("track_verdicts", "verdicts", "coasted_verdicts"):
            assert Verdict.YES not in journal[name], name
    assert cone["track_upper"][-1] < 0.9


@pytest.mark.parametrize("real_score", [WEAK, STRONG])
def test_twenty_weak_hits_outrank_two_strong_ones_and_silence(real_score: float) -> None:
    assert outranked(tuned_to(real_score, sweeps=0))


def outranked(policy: Policy) -> bool:
    """Whether a walker seen in twenty of thirty frames at 0.3 comes before a flash of two frames at 0.8."""
    hits = set(np.random.default_rng(0).choice(30, 20, replace=False).tolist()) | {0}
    frames = [[(at(100 + 4 * index), 0.3)] * (index in hits) + [(at(900), 0.8)] * (index < 2) for index in range(30)]
    kept = {"tracker.lifetime.coast": 60.0, "tracker.lifetime.candidate_coast": 60.0}
    journal = run(filmed_at(12, frames), kept, base=policy)
    last: dict[int, float] = {}
    for ids, probabilities in (("track_ids", "track_probabilities"), ("coasted_track_ids", "coasted_probabilities")):
        last |= dict(zip(journal.by_frame(ids)[-1].tolist(), journal.by_frame(probabilities)[-1].tolist(), strict=True))
    assert len(last) == 2
    return last[min(last)] > last[max(last)]


def test_so_they_do_where_calibration_spreads_scores_far_apart_for_a_miss_is_on_the_same_scale() -> None:
    """As on KITTI's pedestrians: a score of 0.3 is nearly always wrong there, and yet says no more against a track than its absence."""
    tree = tuned_to(STRONG, sweeps=0).model_dump(mode="json")
    scores, evidence = tree["defaults"]["scores"], tree["defaults"]["evidence"]
    built_in = default_policy().defaults.evidence.miss.value
    assert evidence["miss"]["value"] == pytest.approx(
        min(max(scores["offset"] + scores["gain"] * built_in, -scores["clip"]), built_in)
    )
    spread = {**tree["defaults"], "scores": {**scores, "offset": -2.5, "gain": 2.3}}

    def with_miss(value: float) -> Policy:
        judged = {**spread, "evidence": {**evidence, "miss": {**evidence["miss"], "value": value}}}
        return Policy.model_validate({**tree, "defaults": judged})

    assert not outranked(with_miss(built_in))
    assert outranked(with_miss(-7.0))


@pytest.mark.parametrize("score", [0.1, 0.3, 0.6, 0.9])
def test_filming_every_frame_twice_hardly_changes_a_track(tuned: Policy, score: float) -> None:
    once = run(filmed_at(FPS, [[(at(300), score)]] * 90), base=tuned)
    twice = run(filmed_at(2 * FPS, [[(at(300), score)]] * 180), base=tuned)
    before, after = (journal["track_features"][-1] for journal in (once, twice))
    weights = tuned.defaults.track.weights
    assert abs(weights.slow * (after[1] - before[1]) + weights.fast * (after[2] - before[2])) < STATED
    assert once["track_verdicts"][-1] == twice["track_verdicts"][-1]


def test_a_higher_score_lowers_no_probability(tuned: Policy) -> None:
    before = [[(at(300), 0.4)]] * 5
    found = [
        float(run(filmed_at(FPS, [*before, [(at(300), score)]]), base=tuned)["probabilities"][-1])
        for score in np.linspace(0.01, 0.99, 40)
    ]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.1
