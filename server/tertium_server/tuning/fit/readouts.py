"""Fitting the two read-outs of a class.

They weigh everything there is, drawn towards the weights they would have without data. How strongly is counted in tracks: a hundred boxes of one
track say little more than one, so a class that was seen in few tracks stays near the prior, however many boxes they have. To choose among larger
and smaller read-outs by inner cross-validation did worse (docs/evidence.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .logistic import Floats, Ridge, fit_logistic, log_odds_of

BOX_NAMES = (
    "constant", "score", "fast", "slow", "hits", "fit", "overlap",
    "score_high", "slow_large", "cover", "neighbours", "size", "size_squared",
)  # fmt: skip
"""Weights of the box read-out, in the order of its features."""

TRACK_NAMES = ("constant", "slow", "fast", "spread", "hits", "misses", "size", "size_squared")
"""Weights of the track read-out, in the order of its features."""

BOX_RISING = tuple(name in {"score", "score_high", "fast", "slow", "slow_large"} for name in BOX_NAMES)
TRACK_RISING = tuple(name in {"slow", "fast"} for name in TRACK_NAMES)

_PRIOR = {"score": 0.5, "score_high": 0.5, "fast": 0.25, "slow": 0.25, "slow_large": 0.25}
BOX_PRIOR = np.array([_PRIOR.get(name, 0.0) for name in BOX_NAMES])
"""What box read-outs are drawn towards: of a calibrated score and two levels made of such, a mean."""

TRACKS_OF_PRIOR = 2.0
"""How many tracks the prior counts for. Boxes of a track are hardly more than one observation, so this is counted in boxes of a typical track."""

_LARGEST_WEIGHT = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a read-out is fitted on."""

    features: Floats
    """(N, K), the constant 1 first."""

    labels: Floats
    """(N,) 1 true, 0 false."""

    groups: NDArray[np.int64]
    """(N,) what examples belong together: a sequence, or a block of frames."""

    repeats: float = 1.0
    """How many examples tell of the same track, averaged over examples: so many times over does each say the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """A fitted read-out."""

    weights: Floats
    """(K,) by feature."""

    strength: float
    """How strongly it is drawn towards the weights it would have without data: as if by so many examples."""


SCORE_ALONE = Readout(np.array([float(name in {"score", "score_high"}) for name in BOX_NAMES]), 0.0)
"""The box read-out that takes a calibrated score for what it says."""

_RESCALING_STRENGTH = 10.0


def fit_box(examples: Examples) -> Readout:
    """The box read-out for these examples."""
    return _fit(examples, BOX_PRIOR, BOX_RISING)


def fit_track(examples: Examples, centre: Floats) -> Readout:
    """The track read-out for these examples, drawn towards ``centre`` (8,)."""
    return _fit(examples, centre, TRACK_RISING)


def _fit(examples: Examples, centre: Floats, rising: tuple[bool, ...]) -> Readout:
    strength = TRACKS_OF_PRIOR * examples.repeats
    weights = fit_logistic(examples.features, examples.labels, rising, Ridge(centre, strength))
    return Readout(np.clip(weights, -_LARGEST_WEIGHT, _LARGEST_WEIGHT), strength)


def rescale(examples: Examples, weights: Floats) -> Readout:
    """A read-out with given weights (K,), moved and stretched so that what it says is right on average for these examples."""
    values = np.column_stack((np.ones(len(examples.labels)), log_odds_of(examples.features, weights)))
    ridge = Ridge(np.array([0.0, 1.0]), _RESCALING_STRENGTH)
    offset, gain = fit_logistic(values, examples.labels, (False, True), ridge)
    rescaled = gain * weights
    rescaled[0] += offset
    bounded = np.clip(rescaled, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    return Readout(bounded, _RESCALING_STRENGTH)


def halved(box: Readout) -> Readout:
    """A box read-out whose log-odds are the mean of this one's and the calibrated score's."""
    return replace(box, weights=0.5 * (box.weights + SCORE_ALONE.weights))
