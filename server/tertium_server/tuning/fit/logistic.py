"""Penalized logistic regression with bounds: what both read-outs are fitted by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_PROBABILITY = 1e-6
"""Probabilities are kept this far from 0 and 1 before the logarithm is taken."""

_LEAST_SPREAD = 1e-9
_LEAST_PULL = 1e-9  # keeps the Hessian invertible where a feature never varies
_MOST_STEPS = 60
_LEAST_STEP = 1e-8
_LEAST_GAIN = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """What coefficients are drawn towards, and how strongly."""

    centre: Floats
    """(K,) coefficients that fit where there are no data."""

    strength: float
    """How many observations the centre counts for, at least 0. The constant is not drawn."""


def log_odds(probabilities: Floats) -> Floats:
    """The logit of probabilities, kept finite."""
    bounded = np.clip(probabilities, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    return np.asarray(np.log(bounded / (1.0 - bounded)))


def sigmoid(values: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))


def log_loss(probabilities: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """The mean negative log-likelihood of labels (0 or 1); 0 for no labels."""
    if len(labels) == 0:
        return 0.0
    bounded = np.clip(np.asarray(probabilities, np.float64), LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    losses = -(labels * np.log(bounded) + (1.0 - labels) * np.log1p(-bounded))
    return float(np.average(losses, weights=weights))


def fit_logistic(
    features: Floats, labels: Floats, rising: tuple[bool, ...], ridge: Ridge, weights: Floats | None = None
) -> Floats:
    """Coefficients (K,) of the likeliest logistic model of ``labels`` (N,) by ``features`` (N, K), the first of which is the constant 1.

    Those marked ``rising`` don't fall under 0. The penalty is measured on features of unit spread, so that it means the same for each.
    """
    count = len(labels)
    if count == 0:
        return ridge.centre.copy()
    share = np.full(count, 1.0 / count) if weights is None else weights / weights.sum()
    spread = features.std(axis=0)
    spread[0] = 1.0
    spread[spread < _LEAST_SPREAD] = 1.0
    pull = np.full(len(ridge.centre), ridge.strength / count + _LEAST_PULL)
    pull[0] = _LEAST_PULL
    floor = np.where(rising, 0.0, -np.inf)
    return _newton(features / spread, labels, share, ridge.centre * spread, pull, floor) / spread


def _newton(features: Floats, labels: Floats, share: Floats, centre: Floats, pull: Floats, floor: Floats) -> Floats:
    """Minimizes the penalized loss over coefficients not under ``floor``: Newton's method on those that are free, with halved steps.

    The loss is convex, so a coefficient stays at its floor just while the gradient would push it under.
    """
    coefficients = np.maximum(centre, floor)
    values = features @ coefficients
    loss = _loss(values, coefficients, labels, share, centre, pull)
    for _ in range(_MOST_STEPS):
        chances = sigmoid(values)
        gradient = (share * (chances - labels)) @ features + pull * (coefficients - centre)
        free = (coefficients > floor) | (gradient < 0.0)
        curvature = share * chances * (1.0 - chances)
        hessian = (features[:, free].T * curvature) @ features[:, free] + np.diag(pull[free])
        step = np.zeros(len(coefficients))
        step[free] = np.linalg.solve(hessian, gradient[free])
        size = 1.0
        while size > _LEAST_STEP:
            trial = np.maximum(coefficients - size * step, floor)
            values = features @ trial
            found = _loss(values, trial, labels, share, centre, pull)
            if found <= loss:
                break
            size *= 0.5
        else:
            break
        gained = loss - found
        coefficients, loss = trial, found
        if gained < _LEAST_GAIN:
            break
    return coefficients


def _loss(values: Floats, coefficients: Floats, labels: Floats, share: Floats, centre: Floats, pull: Floats) -> float:
    away = coefficients - centre
    return float(share @ (np.logaddexp(0.0, values) - labels * values) + 0.5 * pull @ (away * away))
