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
    problem = _Problem(features / spread, labels, share, ridge.centre * spread, pull, np.where(rising, 0.0, -np.inf))
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
        coefficients = np.maximum(self.centre, self.floor)
        loss = self.loss(coefficients)
        for _ in range(_MOST_STEPS):
            trial, found = self._descend(coefficients, self._newton_step(coefficients), loss)
            gained, coefficients, loss = loss - found, trial, found
            if gained < _LEAST_GAIN:
                break
        return coefficients

    def loss(self, coefficients: Floats) -> float:
        values = self.features @ coefficients
        away = coefficients - self.centre
        likelihood = self.share @ (np.logaddexp(0.0, values) - self.labels * values)
        return float(likelihood + 0.5 * self.pull @ (away * away))

    def _newton_step(self, coefficients: Floats) -> Floats:
        chances = sigmoid(self.features @ coefficients)
        gradient = (self.share * (chances - self.labels)) @ self.features + self.pull * (coefficients - self.centre)
        free = (coefficients > self.floor) | (gradient < 0.0)
        chosen = self.features[:, free]
        hessian = (chosen.T * (self.share * chances * (1.0 - chances))) @ chosen + np.diag(self.pull[free])
        step = np.zeros(len(coefficients))
        step[free] = np.linalg.solve(hessian, gradient[free])
        return step

    def _descend(self, start: Floats, step: Floats, loss: float) -> tuple[Floats, float]:
        """The first of the step, its half, its quarter … that does not raise the loss; the start, where even a tiny one does."""
        size = 1.0
        while size > _LEAST_STEP:
            trial = np.maximum(start - size * step, self.floor)
            found = self.loss(trial)
            if found <= loss:
                return trial, found
            size *= 0.5
        return start, loss
