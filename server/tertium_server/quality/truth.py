"""Precision and recall from labelled frames, box by box; and recall from frames on which people counted what has no box.

Boxes of one scene are alike: a hundred frames of a car that is found are not a hundred answers. So frames are summed up by scene (a stream's ten
seconds or so), and the effective number of boxes is the one that simple random sampling would need for the spread there is between scenes (Korn and
Graubard 1998); the interval is Jeffreys' on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from tertium_server.quality.values import Estimate, Estimates

LEAST_SAMPLES = 30.0
"""Effective boxes under which nothing is said."""
_INTERVAL = (0.025, 0.975)
_JEFFREYS = 0.5
_LEAST_SCENES = 5
"""Of fewer, the spread between them can't be known: each is one answer, however many boxes it holds."""

Counts = NDArray[np.int64]


def _none() -> Counts:
    return np.zeros(0, np.int64)


def _nothing() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class TruthTally:
    """What labelled frames have shown, (S,) by scene."""

    tp: Counts = field(default_factory=_none)
    """Boxes held as YES that are right."""
    fp: Counts = field(default_factory=_none)
    """Boxes held as YES that are wrong."""
    fn: Counts = field(default_factory=_none)
    """Objects that no box held as YES shows."""
    frames: int = 0
    """Labelled frames."""


def estimate(tally: TruthTally) -> Estimates:
    """Precision and recall of boxes held as YES."""
    return Estimates(_share(tally.tp, tally.fp), _share(tally.tp, tally.fn))


@dataclass(frozen=True, slots=True, eq=False)
class FrameTally:
    """What people found on (F,) whole frames."""

    weights: NDArray[np.float64] = field(default_factory=_nothing)
    """How many frames each stands for."""
    accepted: NDArray[np.float64] = field(default_factory=_nothing)
    """Real objects expected among its boxes held as YES."""
    others: NDArray[np.float64] = field(default_factory=_nothing)
    """Real objects expected among its boxes held as MAYBE, and those that have no box."""


def estimate_frames(tally: FrameTally) -> Estimates:
    """Recall of boxes held as YES, all classes together. Of precision, frame audits say nothing."""
    if len(tally.weights) < LEAST_SAMPLES:
        return Estimates(recall=Estimate(effective_samples=float(len(tally.weights))))
    weights = tally.weights / tally.weights.mean()  # so that sums stay numbers of boxes
    return Estimates(recall=_share(weights * tally.accepted, weights * tally.others))


def _share(right: Counts | NDArray[np.float64], wrong: Counts | NDArray[np.float64]) -> Estimate:
    total = right + wrong
    boxes = float(total.sum())
    if not boxes:
        return Estimate()
    value = float(right.sum()) / boxes
    effective = _effective(right, total, value)
    if effective < LEAST_SAMPLES:
        return Estimate(effective_samples=effective)
    lower, upper = (
        float(betaincinv(effective * value + _JEFFREYS, effective * (1.0 - value) + _JEFFREYS, end))
        for end in _INTERVAL
    )
    return Estimate(value, min(lower, value), max(upper, value), effective)


def _effective(right: NDArray[Any], total: NDArray[Any], value: float) -> float:
    """What p (1 - p) over the variance of the ratio between scenes comes to, for the degrees of freedom they leave; at most all boxes."""
    boxes, scenes = float(total.sum()), int(np.count_nonzero(total))
    spread = float(((right - value * total) ** 2).sum())
    if scenes < _LEAST_SCENES:
        return float(scenes)
    if spread <= 0.0:
        return boxes
    variance = scenes / (scenes - 1) * spread / boxes**2
    correction = (stdtrit(boxes - 1, 0.975) / stdtrit(scenes - 1, 0.975)) ** 2 if boxes > 1 else 1.0
    return min(value * (1.0 - value) / variance * float(correction), boxes)
