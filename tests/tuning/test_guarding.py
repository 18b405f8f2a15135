"""No class is handed a judgement that does worse on held-out folds than the detector's own score."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.policy import default_policy
from tertium_server.tuning.cache import ReplayCache
from tertium_server.tuning.figures import Matching, Scored
from tertium_server.tuning.fit.crossvalidation import HeldOut, combine, cross_validate, make_materials
from tertium_server.tuning.fit.folds import Folds, make_folds
from tertium_server.tuning.fit.logistic import Floats, fit_logistic, log_loss, log_odds, log_odds_of, predict, sigmoid
from tertium_server.tuning.fit.logistic import Ridge as Pull
from tertium_server.tuning.fit.model import Effort, fit_policy
from tertium_server.tuning.fit.observation import match_by_score, observe
from tertium_server.tuning.fit.readouts import Examples, rescale
from tertium_server.tuning.fit.rungs import Rung
from tertium_server.tuning.guarding import f1_by_fold, guard
from tertium_server.tuning.kernels.logistic import likelihood
from tertium_server.tuning.matching import Label
from tertium_server.tuning.readers import Labelled
from tests.tuning.test_odd_data import recording

MATCHING = Matching()


def recordings() -> list[Labelled]:
    return [recording(seed, (0.6, 0.4)) for seed in range(4)]


def folds_of(labelled: list[Labelled]) -> Folds:
    lengths = [one.sequence.length for one in labelled]
    return make_folds([one.sequence.frames for one in labelled], lengths, [1] * len(labelled), 2, 0)


def held(one: Labelled, sureness: float, seed: int) -> HeldOut:
    """A made-up judge: log-odds of the truth by this much, and noise."""
    labels = match_by_score(one, 0.5).labels == Label.TRUE
    noise = np.random.default_rng(seed).normal(0, 1, len(labels))
    values = np.where(labels, sureness, -sureness) + noise
    zeros = np.zeros(len(labels), np.float32)
    return HeldOut(sigmoid(values).astype(np.float32), sigmoid(values), values, zeros, np.zeros(len(labels), np.int64))


def judged_by(sureness: dict[Rung, float], labelled: list[Labelled]) -> dict[Rung, list[HeldOut]]:
    return {rung: [held(one, sure, seed) for seed, one in enumerate(labelled)] for rung, sure in sureness.items()}


@pytest.mark.parametrize(("fitted", "half", "expected"), [
    (5.0, 8.0, Rung.FITTED), (-1.0, 8.0, Rung.FITTED_HALF), (-1.0, -1.0, Rung.START),
])  # fmt: skip
def test_the_highest_rung_is_taken_of_those_that_do_no_worse_than_the_score(
    fitted: float, half: float, expected: Rung
) -> None:
    labelled = recordings()
    by_rung = judged_by(
        {Rung.FITTED: fitted, Rung.FITTED_HALF: half, Rung.START: 6.0, Rung.START_HALF: 9.0, Rung.SCORE: 2.0}, labelled
    )
    assert guard(labelled, by_rung, folds_of(labelled), MATCHING).rungs == {"car": expected}


def test_where_all_do_worse_the_score_alone_judges() -> None:
    labelled = recordings()
    rungs = {Rung.FITTED: 0.5, Rung.FITTED_HALF: 0.3, Rung.START: -1.0, Rung.START_HALF: 0.2, Rung.SCORE: 4.0}
    guarded = guard(labelled, judged_by(rungs, labelled), folds_of(labelled), MATCHING)
    assert guarded.rungs == {"car": Rung.SCORE}
    assert guarded.without_fusion() == ["car"]
    assert (
        guarded.as_json()["car"]["held_out"]["fitted"]["log_loss"]
        > guarded.as_json()["car"]["held_out"]["score"]["log_loss"]
    )


def test_a_rung_of_lower_f1_is_not_taken_however_low_its_loss() -> None:
    labelled = recordings()
    by_rung = judged_by({Rung.FITTED: 1.2, Rung.SCORE: 0.01}, labelled)
    raw = Scored.of(labelled, [one.sequence.scores for one in labelled], MATCHING)
    fitted, score = (
        Scored.of(labelled, [one.probabilities for one in by_rung[rung]], MATCHING)
        for rung in (Rung.FITTED, Rung.SCORE)
    )
    folds = folds_of(labelled)
    assert f1_by_fold(fitted, folds, 0) < f1_by_fold(raw, folds, 0)
    assert log_loss(*fitted.judged(0)) < log_loss(*score.judged(0))
    assert guard(labelled, by_rung, folds, MATCHING).rungs == {"car": Rung.SCORE}


@pytest.fixture(scope="module")
def course() -> tuple[list[Labelled], Folds, dict[Rung, list[HeldOut]]]:
    labelled = recordings()
    folds, matches = folds_of(labelled), [match_by_score(one, 0.5) for one in labelled]
    return labelled, folds, cross_validate(labelled, matches, folds, default_policy(), Effort(0))


def test_what_is_handed_out_is_never_worse_on_held_out_folds(
    course: tuple[list[Labelled], Folds, dict[Rung, list[HeldOut]]],
) -> None:
    labelled, folds, by_rung = course
    guarded = guard(labelled, by_rung, folds, MATCHING)
    given = combine(labelled, by_rung, guarded.rungs)
    fused = Scored.of(labelled, [one.probabilities for one in given], MATCHING)
    calibrated = Scored.of(labelled, [one.calibrated for one in given], MATCHING)
    raw = Scored.of(labelled, [one.sequence.scores for one in labelled], MATCHING)
    assert f1_by_fold(fused, folds, 0) >= f1_by_fold(raw, folds, 0)
    assert log_loss(*fused.judged(0)) <= log_loss(*calibrated.judged(0)) + 1e-7
    for mine, theirs in zip(given, by_rung[guarded.rungs["car"]], strict=True):
        assert np.array_equal(mine.probabilities, theirs.probabilities)


@pytest.mark.parametrize("rung", list(Rung))
def test_what_folds_say_of_a_rung_is_what_its_policy_says(
    course: tuple[list[Labelled], Folds, dict[Rung, list[HeldOut]]], rung: Rung
) -> None:
    """Rungs on which the score has a say are not run in folds: their log-odds are mixed afterwards."""
    labelled, folds, by_rung = course
    matches = [match_by_score(one, 0.5) for one in labelled]
    materials = [one for one in make_materials(labelled, matches, folds, 0) if one.usable.any()]
    policy = fit_policy(materials, default_policy(), Effort(0), rungs={"car": rung}).policy
    out = folds.sequences_of(0)[0]
    seen = observe(labelled[out], matches[out], policy, Workspace())
    np.testing.assert_allclose(by_rung[rung][out].probabilities, seen.probabilities, atol=2e-6)


def test_folds_come_from_the_cache_as_they_went_in(tmp_path: Path) -> None:
    labelled = recordings()[:2]
    folds, matches = folds_of(labelled), [match_by_score(one, 0.5) for one in labelled]
    cache = ReplayCache(tmp_path)
    first, second = (
        cross_validate(labelled, matches, folds, default_policy(), Effort(0), cache=cache) for _ in range(2)
    )
    assert len(list(cache.folder.glob("*.npz"))) == folds.count
    for rung, answers in first.items():
        for one, other in zip(answers, second[rung], strict=True):
            for name in ("probabilities", "calibrated", "log_odds", "track_probabilities", "track_ids"):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def drawn(seed: int) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    features = np.column_stack([np.ones(300), random.normal(0, 3, (300, 4))])
    return features, (random.random(300) < 0.4).astype(float), random.normal(0, 1, 5)


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_and_its_slopes_are_those_of_the_formula(seed: int) -> None:
    features, labels, weights = drawn(seed)
    share = np.random.default_rng(seed).random(300)
    loss, gradient, hessian = likelihood(features, labels, share, weights)
    values = features @ weights
    chances = 1 / (1 + np.exp(-values))
    assert loss == pytest.approx(share @ (np.logaddexp(0, values) - labels * values))
    np.testing.assert_allclose(gradient, features.T @ (share * (chances - labels)), atol=1e-9)
    np.testing.assert_allclose(hessian, features.T @ (features * (share * chances * (1 - chances))[:, None]), atol=1e-9)
    np.testing.assert_allclose(predict(features, weights), chances, atol=1e-15)


def test_the_likelihood_of_what_is_quite_sure_overflows_nowhere() -> None:
    features: NDArray[np.float64] = np.array([[800.0], [-800.0]])
    loss, gradient, _ = likelihood(features, np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.array([1.0]))
    assert loss == pytest.approx(400.0)
    assert gradient[0] == pytest.approx(400.0)


def test_rescaled_weights_say_the_same_on_a_scale_that_fits() -> None:
    features, _, _ = drawn(5)
    weights = np.array([0.5, 1.0, -0.5, 0.25, 0.1])
    values = log_odds_of(features, weights)
    labels = (np.random.default_rng(1).random(300) < sigmoid(0.4 * values - 1.0)).astype(float)
    found = rescale(Examples(features, labels, np.zeros(300, np.int64)), weights).weights
    gains = found[1:5] / weights[1:5]
    np.testing.assert_allclose(gains, gains[0])
    assert 0.3 < gains[0] < 0.7
    expected = fit_logistic(
        np.column_stack([np.ones(300), values]), labels, (False, True), Pull(np.array([0.0, 1.0]), 10.0)
    )
    np.testing.assert_allclose(
        log_odds(predict(features, found)), np.clip(expected[0] + expected[1] * values, -13.8, 13.8), atol=1e-5
    )
