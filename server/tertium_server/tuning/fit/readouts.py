"""Fitting the two read-outs of a class, each as large as its data allow.

A read-out may weigh everything, or only the score and the levels, or the score alone; and it is drawn more or less strongly towards the
weights it would have without data. Which of these it is, inner cross-validation says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .logistic import Floats, Ridge, fit_logistic, log_loss, log_odds_of, predict

BOX_NAMES = ("constant", "score", "fast", "slow", "hits", "fit", "overlap")
"""Weights of the box read-out, in the order of its features."""

TRACK_NAMES = ("constant", "slow", "fast", "spread", "hits", "misses")
"""Weights of the track read-out, in the order of its features."""

BOX_RISING = (False, True, True, True, False, False, False)
TRACK_RISING = (False, True, True, False, False, False)

_STRENGTHS = (3.0, 30.0, 300.0)
_LARGEST_WEIGHT = 50.0
_CHOOSING_ROWS = 20_000  # to choose among three strengths and four sizes needs no more
_WORTH = 0.002
"""A larger read-out has to lower the held-out log loss by this share, or the smaller one is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a read-out is fitted on."""

    features: Floats
    """(N, K), the constant 1 first."""

    labels: Floats
    """(N,) 1 true, 0 false."""

    groups: NDArray[np.int64]
    """(N,) what examples belong together: a sequence, or a block of frames."""

    def only(self, chosen: NDArray[np.bool_]) -> Examples:
        """Some of them."""
        return Examples(self.features[chosen], self.labels[chosen], self.groups[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """A fitted read-out."""

    weights: Floats
    """(K,) by feature."""

    capacity: str
    """Which features it weighs: a key of the capacities it was chosen from."""

    strength: float
    """How strongly it is drawn towards the weights it would have without data."""


BOX_CAPACITIES: dict[str, tuple[str, ...]] = {
    "score": ("constant", "score"),
    "levels": ("constant", "score", "fast", "slow"),
    "levels and overlap": ("constant", "score", "fast", "slow", "overlap"),
    "all": BOX_NAMES,
}
"""Box read-outs, the smallest first."""

TRACK_CAPACITIES: dict[str, tuple[str, ...]] = {"levels": ("constant", "slow", "fast"), "all": TRACK_NAMES}
"""Track read-outs, the smallest first."""


SCORE_ALONE = Readout(np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]), "score", 0.0)
"""The box read-out that takes a calibrated score for what it says."""

_RESCALING_STRENGTH = 10.0


def fit_box(examples: Examples, centre: Floats) -> Readout:
    """The box read-out for these examples, drawn towards ``centre`` (7,)."""
    return _choose(examples, centre, BOX_NAMES, BOX_RISING, BOX_CAPACITIES)


def fit_track(examples: Examples, centre: Floats) -> Readout:
    """The track read-out for these examples, drawn towards ``centre`` (6,)."""
    return _choose(examples, centre, TRACK_NAMES, TRACK_RISING, TRACK_CAPACITIES)


def rescale(examples: Examples, weights: Floats) -> Readout:
    """A read-out with given weights (K,), moved and stretched so that what it says is right on average for these examples."""
    values = np.column_stack((np.ones(len(examples.labels)), log_odds_of(examples.features, weights)))
    ridge = Ridge(np.array([0.0, 1.0]), _RESCALING_STRENGTH)
    offset, gain = fit_logistic(values, examples.labels, (False, True), ridge)
    rescaled = gain * weights
    rescaled[0] += offset
    bounded = np.clip(rescaled, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    return Readout(bounded, "as given", _RESCALING_STRENGTH)


def halved(box: Readout) -> Readout:
    """A box read-out whose log-odds are the mean of this one's and the calibrated score's."""
    return replace(box, weights=0.5 * (box.weights + SCORE_ALONE.weights))


def _choose(
    examples: Examples,
    centre: Floats,
    names: tuple[str, ...],
    rising: tuple[bool, ...],
    capacities: dict[str, tuple[str, ...]],
) -> Readout:
    smallest, largest = next(iter(capacities)), next(reversed(capacities))
    capacity, strength = smallest, _STRENGTHS[-1]
    if len(np.unique(examples.groups)) > 1:
        stride = max(1, -(-len(examples.labels) // _CHOOSING_ROWS))
        thinned = Examples(examples.features[::stride], examples.labels[::stride], examples.groups[::stride])

        def loss(capacity: str, strength: float) -> float:
            return _held_out_loss(thinned, centre, names, rising, capacities[capacity], strength)

        strength = min(_STRENGTHS, key=lambda strength: loss(largest, strength))
        least = loss(smallest, strength)
        for larger in list(capacities)[1:]:
            found = loss(larger, strength)
            if found < least * (1.0 - _WORTH):
                least, capacity = found, larger
    return Readout(_fit(examples, centre, names, rising, capacities[capacity], strength), capacity, strength)


def _fit(
    examples: Examples,
    centre: Floats,
    names: tuple[str, ...],
    rising: tuple[bool, ...],
    chosen: tuple[str, ...],
    strength: float,
) -> Floats:
    places = [names.index(name) for name in chosen]
    # Alone, a calibrated score is its own read-out.
    drawn_to = SCORE_ALONE.weights[places] if chosen == BOX_CAPACITIES["score"] else centre[places]
    fitted = fit_logistic(
        examples.features[:, places],
        examples.labels,
        tuple(rising[place] for place in places),
        Ridge(drawn_to, strength),
    )
    weights = np.zeros(len(names))
    weights[places] = np.clip(fitted, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    return weights


def _held_out_loss(
    examples: Examples,
    centre: Floats,
    names: tuple[str, ...],
    rising: tuple[bool, ...],
    chosen: tuple[str, ...],
    strength: float,
) -> float:
    """Log loss of each group by the read-out fitted on the others, over all examples."""
    probabilities = np.empty(len(examples.labels))
    for group in np.unique(examples.groups):
        out = examples.groups == group
        weights = _fit(examples.only(~out), centre, names, rising, chosen, strength)
        probabilities[out] = predict(examples.features[out], weights)
    return log_loss(probabilities, examples.labels)
