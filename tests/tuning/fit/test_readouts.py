import numpy as np
import pytest
from scipy.optimize import minimize

from tertium_server.tuning.fit.readouts import (
    BOX_NAMES,
    BOX_PRIOR,
    BOX_RISING,
    SCORE_ALONE,
    TRACK_NAMES,
    TRACKS_OF_PRIOR,
    Examples,
    fit_box,
    fit_track,
    halved,
    rescale,
)

TRUE_WEIGHTS = np.array([-0.5, 0.6, 0.3, 0.2, 0.1, -0.2, -0.8, 0.4, 0.3, -0.5, 0.2, 0.7, -0.4])


def examples(seed: int, count: int, repeats: float = 1.0) -> Examples:
    """Boxes whose truth is drawn by known weights."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, len(BOX_NAMES)))
    features[:, 0] = 1.0
    labels = (random.random(count) < 1.0 / (1.0 + np.exp(-features @ TRUE_WEIGHTS))).astype(float)
    return Examples(features, labels, np.zeros(count, np.int64), repeats)


def test_from_many_tracks_the_weights_are_learned() -> None:
    assert fit_box(examples(0, 60_000)).weights == pytest.approx(TRUE_WEIGHTS, abs=0.06)


def test_the_weights_are_those_of_the_penalized_likelihood() -> None:
    given = examples(1, 400, repeats=20.0)
    spread = given.features.std(axis=0)
    pull = TRACKS_OF_PRIOR * given.repeats * spread**2
    pull[0] = 0.0

    def loss(weights: np.ndarray) -> float:
        values = given.features @ weights
        likelihood = np.logaddexp(0.0, values) - given.labels * values
        return float(likelihood.sum() + 0.5 * pull @ (weights - BOX_PRIOR) ** 2)

    bounds = [(0.0, None) if rising else (None, None) for rising in BOX_RISING]
    found = minimize(loss, BOX_PRIOR, bounds=bounds, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15})
    assert fit_box(given).weights == pytest.approx(found.x, abs=2e-4)


@pytest.mark.parametrize("times", [3, 40])
def test_a_track_that_is_filmed_more_often_teaches_no_more(times: int) -> None:
    once = examples(2, 300, repeats=4.0)
    more = Examples(
        np.repeat(once.features, times, axis=0),
        np.repeat(once.labels, times),
        np.repeat(once.groups, times),
        once.repeats * times,
    )
    assert fit_box(more).weights == pytest.approx(fit_box(once).weights, abs=1e-6)
    assert not np.allclose(fit_box(once).weights, fit_box(examples(2, 300)).weights, atol=1e-2)


def test_from_few_tracks_little_is_learned() -> None:
    far = [
        np.abs(fit_box(examples(3, 200, repeats=repeats)).weights[1:] - BOX_PRIOR[1:]).max()
        for repeats in (1.0, 100.0, 10_000.0)
    ]
    assert far[0] > far[1] > far[2]
    assert far[2] < 0.02


def test_no_weight_of_the_score_or_a_level_falls_under_nought() -> None:
    random = np.random.default_rng(4)
    features = random.normal(size=(2000, len(BOX_NAMES)))
    features[:, 0] = 1.0
    contrary = (features[:, 1] + features[:, 2] + features[:, 3] + features[:, 7] + features[:, 8] < 0).astype(float)
    weights = fit_box(Examples(features, contrary, np.zeros(2000, np.int64))).weights
    for name in ("score", "score_high", "fast", "slow", "slow_large"):
        assert weights[BOX_NAMES.index(name)] == 0.0
    tracks = features[:, : len(TRACK_NAMES)]
    weights = fit_track(Examples(tracks, contrary, np.zeros(2000, np.int64)), np.zeros(len(TRACK_NAMES))).weights
    assert weights[TRACK_NAMES.index("slow")] == weights[TRACK_NAMES.index("fast")] == 0.0


def test_a_rescaled_read_out_says_on_average_what_is_true() -> None:
    given = examples(5, 5000)
    rescaled = rescale(given, np.where(np.arange(len(BOX_NAMES)) == 1, 3.0, 0.0))
    assert (1.0 / (1.0 + np.exp(-given.features @ rescaled.weights))).mean() == pytest.approx(
        given.labels.mean(), abs=1e-3
    )
    assert set(np.flatnonzero(rescaled.weights).tolist()) <= {0, 1}


def test_half_of_a_read_out_is_the_mean_of_its_log_odds_and_the_scores() -> None:
    given = examples(6, 500)
    whole, half = fit_box(given), halved(fit_box(given))
    score = given.features[:, 1] + given.features[:, 7]
    assert given.features @ SCORE_ALONE.weights == pytest.approx(score)
    assert given.features @ half.weights == pytest.approx(0.5 * (given.features @ whole.weights + score))
