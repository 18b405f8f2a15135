"""The two thresholds for an objective, from units: exactly, or with a promise where a confidence is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .blocks import BlockUnit
from .curve import Curve, last_top
from .limits import Limits
from .objectives import Objective, Targets
from .promise import Aim, Promise, promise
from .thresholds import Pairs, TwoThresholds, choose
from .units import Unit, Units

_NOUNS = {BlockUnit.SEQUENCE: "sequences", BlockUnit.FRAMES: "blocks of frames"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Two thresholds, and what is promised of them."""

    thresholds: TwoThresholds
    """The pair, with counts and warnings."""

    promises: tuple[Promise, ...] = ()
    """One for each target, where a confidence was asked for."""


def choose_thresholds(
    units: Units, objective: Objective, *, hours: float | None = None, limits: Limits | None = None
) -> Choice:
    """The pair that serves the objective best on these units, with promises where the objective has a confidence.

    ``limits``: which thresholds may be chosen; None: all.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one.
        ValueError: a budget by the hour without hours.
    """
    whole = units.curve()
    curve = whole if limits is None else limits.of(whole)
    total: int | None = None
    if units.unit is Unit.FRAME:
        total = whole.positives + (whole.negatives or 0)
    elif curve is not whole and len(whole):
        total = int(whole.accepted[0])  # the lowest threshold that may be chosen accepts fewer
    if not isinstance(objective, Targets) or objective.confidence is None:
        return Choice(thresholds=choose(curve, objective, total=total, hours=hours))
    return _promised(units, curve, objective, objective.confidence, total)


def _promised(units: Units, curve: Curve, targets: Targets, confidence: float, total: int | None) -> Choice:
    """YES and NO as far as both can be promised. What can't be is not risked: nothing is YES, or nothing that was seen is NO."""
    exact = choose(curve, replace(targets, confidence=None), total=total)
    asked = {aim: target for aim in Aim if (target := getattr(targets, aim.value)) is not None}
    # Each alone may be broken half as often: then both together are kept as surely as was asked.
    each = 1.0 - (1.0 - confidence) / len(asked)
    promises = {aim: promise(units, curve, aim, target, each) for aim, target in asked.items()}
    precision = promises.get(Aim.PRECISION)
    kept = promises.get(Aim.RECALL) or promises.get(Aim.KEPT)
    yes, no = _places(curve, precision, kept, exact)
    warnings = tuple(_doubt(one, curve, units) for one in promises.values() if not one.is_given)
    chosen = Pairs.of(curve).chosen(yes, no, total, (*exact.warnings, *warnings))
    return Choice(thresholds=chosen, promises=tuple(promises.values()))


def _places(curve: Curve, precision: Promise | None, kept: Promise | None, exact: TwoThresholds) -> tuple[int, int]:
    """Where YES and NO begin."""
    if precision is None or kept is None:
        return _single_place(curve, precision, kept, exact)
    yes, no = min(precision.kept_at, default=len(curve)), max(kept.kept_at, default=0)
    if yes >= no:
        return yes, no
    # One threshold may do both: the best of those where both are promised, or else the lowest where YES is.
    shared = np.intersect1d(precision.kept_at, kept.kept_at).astype(np.int64)
    single = int(shared[last_top(curve.f1[shared])]) if len(shared) else yes
    return single, single


def _single_place(
    curve: Curve, precision: Promise | None, kept: Promise | None, exact: TwoThresholds
) -> tuple[int, int]:
    """One threshold for one target; where it can't be promised, people see what it would have decided."""
    asked = precision or kept
    if asked is not None and asked.is_given:
        single = asked.kept_at[0] if asked is precision else asked.kept_at[-1]
        return single, single
    naive = int(np.searchsorted(curve.thresholds, exact.yes.threshold))
    return (len(curve), naive) if asked is precision else (naive, 0)


def _doubt(broken: Promise, curve: Curve, units: Units) -> str:
    """What is said where a target can't be promised."""
    what = {Aim.PRECISION: "a precision", Aim.RECALL: "a recall", Aim.KEPT: "a share of right detections"}[broken.aim]
    instead = "nothing is YES" if broken.aim is Aim.PRECISION else "nothing that was seen is NO"
    at = float(curve.exported[broken.first])
    return (
        f"{what} of {broken.target:g} can't be promised with confidence {broken.confidence:g} from {curve.positives} objects in "
        f"{broken.blocks} {_NOUNS[units.block_unit]}, by {units.unit}: {instead}; what can be is {broken.most:.3f} at {at:.4g}"
    )
