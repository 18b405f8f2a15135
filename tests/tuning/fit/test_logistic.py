"""The penalized logistic fit against a general minimizer, and where data say little."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from tertium_server.tuning.fit.logistic import Floats, Ridge, fit_logistic, log_loss, sigmoid

RISING = (False, True, True, False)


def examples(seed: int, count: int = 400) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    features = np.column_stack([np.ones(count), random.normal(0, (3.0, 1.0, 0.2), (count, 3))])
    chances = 1 / (1 + np.exp(-(features @ [-0.5, 0.8, -0.6, 2.0])))
    return features, (random.random(count) < chances).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strength", [0.5, 20.0])
def test_the_fit_is_the_minimum_that_a_general_minimizer_finds(seed: int, strength: float) -> None:
    features, labels = examples(seed)
    centre = np.array([0.0, 0.5, 0.2, -1.0])
    spread = features.std(axis=0)
    spread[0] = 1.0
    pull = strength / len(labels) * spread**2 * np.array([0.0, 1.0, 1.0, 1.0])

    def loss(weights: Floats) -> float:
        values = features @ weights
        return float(np.mean(np.logaddexp(0, values) - labels * values) + 0.5 * pull @ (weights - centre) ** 2)

    bounds = [(0.0 if rising else None, None) for rising in RISING]
    found = minimize(loss, centre, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10})
    fitted = fit_logistic(features, labels, RISING, Ridge(centre, strength))
    assert loss(fitted) <= found.fun + 1e-9
    np.testing.assert_allclose(fitted, found.x, atol=2e-4)


def test_a_weight_that_must_not_fall_stops_at_nothing() -> None:
    features, labels = examples(1)  # the true weight of the third feature is negative
    fitted = fit_logistic(features, labels, RISING, Ridge(np.zeros(4), 1.0))
    assert fitted[2] == 0.0
    assert fitted[1] > 0.0


def test_without_data_the_weights_are_the_centre() -> None:
    centre = np.array([0.1, 1.0, 0.0, -2.0])
    assert np.array_equal(fit_logistic(np.empty((0, 4)), np.empty(0), RISING, Ridge(centre, 5.0)), centre)


def test_a_strong_pull_overrules_the_data() -> None:
    features, labels = examples(2)
    centre = np.array([0.0, 3.0, 1.0, 1.0])
    np.testing.assert_allclose(fit_logistic(features, labels, RISING, Ridge(centre, 1e9))[1:], centre[1:], rtol=1e-4)


def test_data_that_a_line_parts_give_finite_weights() -> None:
    values = np.linspace(-1, 1, 50)
    fitted = fit_logistic(
        np.column_stack([np.ones(50), values]), (values > 0).astype(float), (False, True), Ridge(np.zeros(2), 1.0)
    )
    assert np.isfinite(fitted).all()
    assert fitted[1] > 1.0


def test_weights_count_examples() -> None:
    features, labels = examples(3, 60)
    times = np.random.default_rng(0).integers(1, 4, 60)
    ridge = Ridge(np.zeros(4), 0.0)
    repeated = fit_logistic(np.repeat(features, times, axis=0), np.repeat(labels, times), RISING, ridge)
    np.testing.assert_allclose(fit_logistic(features, labels, RISING, ridge, times.astype(float)), repeated, atol=1e-6)


def test_the_loss_of_a_sure_mistake_is_large_but_finite() -> None:
    assert 10.0 < log_loss(np.array([1.0]), np.array([0.0])) < 20.0
    assert sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]


FIT = """
import numpy as np
from tertium_server.tuning.fit.logistic import Ridge, fit_logistic, log_odds_of, predict
random = np.random.default_rng(0)
features = np.column_stack([np.ones(100_000), random.normal(0, 2, (100_000, 6))])
labels = (random.random(100_000) < predict(features, np.array([0.1, 1, -1, 0.5, 0, 0.2, 0.3]))).astype(float)
weights = fit_logistic(features, labels, (False,) * 7, Ridge(np.zeros(7), 3.0))
print(weights.tobytes().hex(), log_odds_of(features, weights).sum().hex())
"""


def test_the_fit_is_the_same_to_the_last_bit_however_many_threads_numpy_has() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", FIT],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(said) == 1
