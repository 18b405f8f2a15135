"""Thresholds of YES that fit plain scenes, by the built-in policy and by one that is tuned on detections of a real detector."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tertium_server.demo
from tertium_server.engine import Verdict
from tertium_server.policy import Policy, default_policy
from tertium_server.tuning.objectives import F1
from tertium_server.tuning.plain_scenes import yes_ranges
from tertium_server.tuning.readers import Labelled, Truth, read_detections
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tertium_server.tuning.units import Unit
from tests.engine.streams import Journal
from tests.engine.test_behaviour import at, filmed_at, run
from tests.policies import plain_policy, policy_with

RECORDING = Path(tertium_server.demo.__file__).parent / "recordings/one-by-one-person-detection"
NO_PATIENCE = {"defaults.track.thresholds.margin": 0.0, "defaults.track.thresholds.hold": 0.0}


def flash(policy: Policy, fps: float, height: float) -> Journal:
    return run(filmed_at(fps, [[], [(at(300, height=height, width=height / 2), 0.6)], [], [], []]), base=policy)


def pillar(policy: Policy, fps: int) -> Journal:
    """Somebody is sure for three seconds, poor for a fifth of one, and hidden for two thirds of one."""
    nearer = (at(394, 80, 56, 170), 0.95)
    sure = [[(at(400), 0.9), (at(394 + 150 * (3 - frame / fps), 80, 56, 170), 0.95)] for frame in range(3 * fps)]
    poor, hidden = [[(at(400), 0.15), nearer]] * max(1, fps // 5), [[nearer]] * (2 * fps // 3)
    return run(filmed_at(fps, [*sure, *poor, *hidden]), base=policy)


def verdicts_of_first(journal: Journal, since: int) -> set[int]:
    """Verdicts on the first track, seen and not, leaving out its first detections."""
    seen = journal["track_verdicts"][journal["track_ids"] == 1][since:]
    unseen = journal["coasted_verdicts"][journal["coasted_track_ids"] == 1]
    assert len(unseen) > 0
    return {int(verdict) for verdict in (*seen, *unseen)}


@pytest.mark.parametrize("unit", [Unit.BOX, Unit.TRACK])
def test_from_the_least_threshold_on_a_flash_is_no_yes_and_under_it_it_is(unit: Unit) -> None:
    least = yes_ranges(plain_policy(), "person")[unit].least
    said = {}
    for threshold in (least, least - 1e-3):
        policy = policy_with({f"defaults.{unit}.thresholds.yes": threshold, f"defaults.{unit}.thresholds.no": 0.0})
        fitted = policy.defaults.box.heights
        heights = (80.0, math.sqrt(fitted.least * fitted.most))
        journals = [flash(policy, fps, height) for fps in (5, 12, 30) for height in heights]
        name = "verdicts" if unit is Unit.BOX else "track_verdicts"
        said[threshold] = any(Verdict.YES in journal[name] for journal in journals)
    assert said == {least: False, least - 1e-3: True}


def test_up_to_the_highest_threshold_a_sure_track_stays_yes_behind_a_pillar_without_hysteresis() -> None:
    allowed = yes_ranges(default_policy(), "person")[Unit.TRACK]
    assert allowed.least < allowed.most < 1.0
    kept = policy_with({**NO_PATIENCE, "defaults.track.thresholds.yes": allowed.most - 0.01}, default_policy())
    lost = policy_with({**NO_PATIENCE, "defaults.track.thresholds.yes": 0.5 * (1.0 + allowed.most)}, default_policy())
    for fps in (5, 12, 30):
        assert verdicts_of_first(pillar(kept, fps), since=3 * fps - 1) == {Verdict.YES}
    assert any(verdicts_of_first(pillar(lost, fps), since=3 * fps - 1) != {Verdict.YES} for fps in (5, 12, 30))


def test_scores_that_are_log_odds_and_answers_that_wait_are_judged_like_others() -> None:
    policy = default_policy()
    waiting = policy.model_copy(update={"tracker": policy.tracker.model_copy(update={"decision_lag": 3})})
    at_once, later = yes_ranges(policy, "person"), yes_ranges(waiting, "person")
    assert yes_ranges(policy, "person", logits=True)[Unit.BOX].least == pytest.approx(at_once[Unit.BOX].least, abs=1e-5)
    assert later[Unit.BOX].least < at_once[Unit.BOX].least, "the misses after a flash say what it was"


@pytest.fixture(scope="module")
def labelled() -> list[Labelled]:
    """What NanoDet saw of an office; true is what scores 0.5 and belongs to a track that the built-in policy is sure of."""
    (sequence,) = read_detections(RECORDING, "mot")
    said = replay(sequence, default_policy())
    true = (said.track_verdicts == Verdict.YES) & (sequence.scores >= 0.5)
    truth = Truth(
        name=sequence.name,
        first_frame=sequence.first_frame,
        length=sequence.length,
        class_names=sequence.class_names,
        frames=sequence.frames[true],
        boxes=sequence.boxes[true].astype(np.float64),
        class_ids=sequence.class_ids[true],
        track_ids=said.track_ids[true],
        kinds=np.zeros(int(true.sum()), np.uint8),
        rows=np.arange(int(true.sum())),
        source=Path("made"),
    )
    return [Labelled(sequence, truth)]


@pytest.fixture(scope="module")
def tuned(labelled: list[Labelled]) -> Tuning:
    return tune(labelled, TuneOptions(folds=2))


def judge_of_all(tuning: Tuning) -> Policy:
    """The policy with what it says of the detector's one class said of all."""
    tree = tuning.policy.model_dump(mode="json")
    (judgement,) = tree["classes"].values()
    return Policy.model_validate({**tree, "defaults": judgement, "classes": {}})


def test_a_policy_tuned_on_a_real_detector_judges_plain_scenes_rightly(tuned: Tuning) -> None:
    policy = judge_of_all(tuned)
    for fps in (5, 12, 30):
        seen = flash(policy, fps, 80)
        for name in ("verdicts", "track_verdicts", "coasted_verdicts"):
            assert Verdict.YES not in seen[name], name
        assert verdicts_of_first(pillar(policy, fps), since=3 * fps - 1) == {Verdict.YES}


def test_thresholds_lie_where_plain_scenes_allow_and_the_summary_says_why_they_were_moved(tuned: Tuning) -> None:
    (name,) = tuned.policy.classes
    for unit, allowed in yes_ranges(tuned.policy, name).items():
        thresholds = getattr(tuned.policy.classes[name], unit).thresholds
        assert allowed.least <= thresholds.yes <= max(allowed.least, allowed.most)
        assert tuned.summary["thresholds"]["classes"][name][unit]["yes"] == thresholds.yes


def test_who_says_where_yes_begins_is_obeyed(labelled: list[Labelled], tuned: Tuning) -> None:
    options = replace(tuned.options, objective=F1(precision=0.2))
    asked = tune(labelled, options)
    assert not any("YES begins at" in text for text in asked.summary["warnings"])
