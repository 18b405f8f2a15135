"""Penalized logistic regression with bounds: what both read-outs are fitted by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.kernels.logistic import chances, likelihood

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


def log_odds_of(features: Floats, coefficients: Floats) -> Floats:
    """(N,) the sums of features (N, K), each times its coefficient (K,): one after the other, the same on every machine."""
    total = np.zeros(len(features))
    for place, coefficient in enumerate(coefficients.tolist()):
        total += coefficient * features[:, place]
    return total


def predict(features: Floats, coefficients: Floats) -> Floats:
    """(N,) what a logistic model says of features (N, K)."""
    return np.asarray(chances(np.ascontiguousarray(features, np.float64), np.asarray(coefficients, np.float64)))


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
    scaled = np.ascontiguousarray(features / spread)
    problem = _Problem(
        scaled, np.asarray(labels, np.float64), share, ridge.centre * spread, pull, np.where(rising, 0.0, -np.inf)
    )
    return np.asarray(problem.solve() / spread)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A penalized loss of coefficients that don't fall under a floor. It is convex."""

    features: Floats
    labels: Floats
    share: Floats
    centre: Floats
    pull: Floats
    floor: Floats

    def solve(self) -> Floats:
        """Its minimum, by Newton's method on the coefficients that are free: one at its floor stays there while the gradient pushes it down."""
        at = self._at(np.maximum(self.centre, self.floor))
        for _ in range(_MOST_STEPS):
            found = self._descend(at, self._newton_step(at))
            gained, at = at.loss - found.loss, found
            if gained < _LEAST_GAIN:
                break
        return at.coefficients

    def _at(self, coefficients: Floats) -> _Here:
        loss, gradient, hessian = likelihood(self.features, self.labels, self.share, coefficients)
        away = coefficients - self.centre
        pulled = self.pull * away
        return _Here(
            coefficients, loss + 0.5 * float((pulled * away).sum()), gradient + pulled, hessian + np.diag(self.pull)
        )

    def _newton_step(self, at: _Here) -> Floats:
        free = (at.coefficients > self.floor) | (at.gradient < 0.0)
        step = np.zeros(len(at.coefficients))
        step[free] = np.linalg.solve(at.hessian[np.ix_(free, free)], at.gradient[free])
        return step

    def _descend(self, start: _Here, step: Floats) -> _Here:
        """The first of the step, its half, its quarter … that does not raise the loss; the start, where even a tiny one does."""
        size = 1.0
        while size > _LEAST_STEP:
            trial = self._at(np.maximum(start.coefficients - size * step, self.floor))
            if trial.loss <= start.loss:
                return trial
            size *= 0.5
        return start


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """Coefficients (K,), with the penalized loss there, its gradient (K,) and its Hessian (K, K)."""

    coefficients: Floats
    loss: float
    gradient: Floats
    hessian: Floats
