"""Putting the track read-out right by what people answered: an offset and a gain on its log-odds, for each class.

Each track counts for as many tracks as it stands for, spread evenly over its boxes: what is fitted is the calibration over all decided tracks, not
over the reviewed ones, of which far too many are doubtful. On folds of tracks (or streams) it was not fitted on, the change has to have the lower
weighted log loss; else the read-out stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.policy import Policy, track_weights
from tertium_server.tuning.fit.logistic import Floats, Ridge, fit_logistic, log_loss, log_odds, sigmoid
from tertium_server.tuning.fit.readouts import TRACK_NAMES

from .scoring import TrackScores
from .weighing import effective_size

LEAST_OF_A_KIND = 5
"""Answers yes, and answers no, that a class needs: with fewer its read-out stays."""

TRACKS_OF_PRIOR = 10.0
"""How many answers the read-out as it is counts for."""

_LARGEST_WEIGHT = 50.0


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of log-odds: offset + gain · log-odds."""

    offset: float = 0.0
    gain: float = 1.0
    """0 or more, so that the order of tracks stays."""

    def of(self, probabilities: NDArray[Any]) -> NDArray[np.float32]:
        """(T,) probabilities after the change; NaN stays."""
        values = np.asarray(probabilities, np.float64)
        return sigmoid(self.offset + self.gain * log_odds(values)).astype(np.float32)

    def of_one(self, probability: float) -> float:
        """A probability after the change."""
        return float(self.of(np.array([probability]))[0])


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What was found for one class."""

    shift: Shift
    """The change that is made; none where it does not help."""
    losses: tuple[float, float] | None
    """Weighted log loss on held-out folds, without and with a change; None: too few answers."""
    by_fold: tuple[Shift, ...]
    """For each fold the change fitted without it; none where no change is made."""


def calibrate(
    scores: TrackScores, chosen: NDArray[np.bool_], real: NDArray[np.bool_], weights: Floats, folds: NDArray[np.int64]
) -> Calibrated:
    """The change for the ``chosen`` tracks (T,), of which ``real`` are objects, given weights and folds of all (T,)."""
    count = int(folds.max(initial=0)) + 1
    as_is = Calibrated(Shift(), None, (Shift(),) * count)
    if min(np.count_nonzero(real & chosen), np.count_nonzero(~real & chosen)) < LEAST_OF_A_KIND:
        return as_is
    by_fold = tuple(_fit(scores, chosen & (folds != fold), real, weights) for fold in range(count))
    losses = tuple(
        _loss(scores, chosen, real, weights, [shifts[fold] for fold in folds.tolist()])
        for shifts in ((Shift(),) * count, by_fold)
    )
    before, after = losses
    if after >= before:
        return Calibrated(Shift(), (before, after), as_is.by_fold)
    return Calibrated(_fit(scores, chosen, real, weights), (before, after), by_fold)


def with_shifts(policy: Policy, shifts: dict[str, Shift]) -> Policy:
    """The policy with these changes to the track read-outs of classes; each named class has a judgement of its own from now on."""
    tree = policy.model_dump(mode="json")
    for name, shift in shifts.items():
        judgement = policy.judgement(name)
        weights = shift.gain * np.array(track_weights(judgement.track.weights))
        weights[0] += shift.offset
        bounded = np.clip(weights, -_LARGEST_WEIGHT, _LARGEST_WEIGHT).tolist()
        own = judgement.model_dump(mode="json")
        if shift != Shift():
            own["track"]["weights"] |= dict(zip(TRACK_NAMES, bounded, strict=True))
        tree["classes"][name] = own
    return Policy.model_validate(tree)


def _examples(
    scores: TrackScores, chosen: NDArray[np.bool_], real: NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Log-odds, labels, owners' places and weights of the examples of these tracks; the weights of a track's add up to its own."""
    rows = np.flatnonzero(chosen[scores.owners])
    owners = scores.owners[rows]
    per_track = np.bincount(owners, minlength=len(chosen))
    return scores.values[rows], real[owners].astype(np.float64), owners, weights[owners] / per_track[owners]


def _fit(scores: TrackScores, chosen: NDArray[np.bool_], real: NDArray[np.bool_], weights: Floats) -> Shift:
    values, labels, owners, shares = _examples(scores, chosen, real, weights)
    if len(np.unique(labels)) < 2:  # noqa: PLR2004  # yes and no
        return Shift()
    answers = effective_size(weights[np.unique(owners)])
    ridge = Ridge(np.array([0.0, 1.0]), TRACKS_OF_PRIOR * len(values) / answers)
    features = np.column_stack((np.ones(len(values)), values))
    offset, gain = fit_logistic(features, labels, (False, True), ridge, shares)
    return Shift(float(offset), float(gain))


def _loss(
    scores: TrackScores,
    chosen: NDArray[np.bool_],
    real: NDArray[np.bool_],
    weights: Floats,
    shifts: Sequence[Shift],
) -> float:
    """The weighted log loss of tracks, each after its own change."""
    values, labels, owners, shares = _examples(scores, chosen, real, weights)
    offsets, gains = (np.array(column) for column in zip(*((one.offset, one.gain) for one in shifts), strict=True))
    return log_loss(sigmoid(offsets[owners] + gains[owners] * values), labels, shares)
