"""What can be promised of fresh data: Learn-then-Test with a fixed sequence of tests.

A threshold that reaches a precision on the data it was chosen on misses it on fresh data half the time. So each of a sequence of thresholds,
fixed before anybody looks at what is right, is tested: is the precision there too low? The sequence begins where few are accepted and goes
down; it stops at the first threshold that can't be cleared, and the one before it is taken. Going one way and stopping, all tests together
err as rarely as one (Angelopoulos, Bates, Candès, Jordan, Lei 2021, "Learn then Test", section 2.2). Recall is tested the other way, from
below upwards.

One test asks for the lower end of a Clopper-Pearson interval, on as many independent cases as the counted ones are worth: blocks are taken as
wholes, and fewer than thirty of them say less about how they differ (Korn, Graubard 1998, "Confidence intervals for proportions with small
expected number of positive counts estimated from survey data"). Where scenes differ much the false ones come in bursts, which a few dozen blocks
underrate, whatever the test: on synthetic scenes this bound alone was broken in up to 14 % of tunings where 10 % were allowed, a studentized
bootstrap over the blocks in up to 14 %, a t-test over them in up to 22 %. So only half of the allowed share of mistakes is spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from .curve import Counts, Curve, Floats
from .units import Units

LEVELS = 200
"""Thresholds in a sequence of tests, at most."""

FIRST_SHARE = 0.2
"""The sequence for precision begins where as many are accepted as this share of the objects."""

SPENT = 0.5
"""Of the share of tunings that may break a promise, this much is given to the tests; the rest is kept for what they underrate."""

_ENOUGH = 1.2
"""It begins with this many times the cases, all of them right, that could prove the target at all."""


class Aim(StrEnum):
    """What is promised."""

    PRECISION = "precision"
    RECALL = "recall"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What can be said of fresh data, and how surely."""

    aim: Aim
    """What is promised."""

    target: float
    """What was asked for."""

    confidence: float
    """In at least this share of tunings the promise is kept."""

    kept_at: tuple[int, ...]
    """Places on the curve, rising, where the target can be promised; empty where it can't be at all."""

    most: float
    """Where it can't be: the most that can, at the first place tested."""

    first: int
    """That place."""

    blocks: int
    """Blocks that the test rests on."""

    @property
    def is_given(self) -> bool:
        """Whether the target can be promised."""
        return bool(self.kept_at)


def promise(units: Units, curve: Curve, aim: Aim, target: float, confidence: float) -> Promise:
    """Where on the curve of these units a target can be promised for fresh data of their kind."""
    cautious = 1.0 - SPENT * (1.0 - confidence)
    if aim is Aim.PRECISION:
        places = _falling_places(curve, target, cautious)
        accepted = counts_by_level(units, curve, places)
        right, judged = accepted.true, accepted.true + accepted.false
    else:
        places = _spread(np.arange(len(curve)))
        accepted = counts_by_level(units, curve, places)
        right = accepted.found if aim is Aim.RECALL else accepted.true
        judged = np.broadcast_to(units.positives.sum(axis=1) if aim is Aim.RECALL else accepted.true[0], right.shape)
    bounds = lower_bounds(right, judged, cautious)
    cleared = int(np.argmin(np.append(bounds >= target, False)))  # tests passed before the first that was not
    return Promise(
        aim=aim,
        target=target,
        confidence=confidence,
        kept_at=tuple(sorted(places[:cleared].tolist())),
        most=float(bounds[0]),
        first=int(places[0]),
        blocks=int(np.count_nonzero(judged[0])),
    )


def lower_bounds(right: Counts, judged: Counts, confidence: float) -> Floats:
    """(L,) for each of L levels the share that is right on fresh data, at least, from counts (L, B) in each of B blocks.

    0 where there is nothing to judge, or but one block.
    """
    blocks = np.count_nonzero(judged, axis=1).astype(np.float64)
    cases = judged.sum(axis=1).astype(np.float64)
    share = np.divide(right.sum(axis=1), cases, out=np.zeros(len(cases)), where=cases > 0)
    worth = _independent_cases(right, judged, share, blocks, cases, confidence)
    known = (blocks > 1) & (share > 0)
    hits = share * worth
    bounds = np.zeros(len(cases))
    bounds[known] = betaincinv(hits[known], (worth - hits)[known] + 1.0, 1.0 - confidence)
    return bounds


def _independent_cases(
    right: Counts, judged: Counts, share: Floats, blocks: Floats, cases: Floats, confidence: float
) -> Floats:
    """(L,) how many independent cases are worth as much as these, which come in blocks: cases / design effect, less for few blocks."""
    known = (blocks > 1) & (cases > 1)
    residuals = right - share[:, None] * judged
    squares = np.square(residuals).sum(axis=1) * blocks
    of_blocks = np.divide(squares, (blocks - 1.0) * np.square(cases), out=np.zeros(len(cases)), where=known)
    alone = np.divide(share * (1.0 - share), cases, out=np.zeros(len(cases)), where=known)
    effect = np.maximum(np.divide(of_blocks, alone, out=np.ones(len(cases)), where=alone > 0), 1.0)
    worth: Floats = cases / effect
    few = stdtrit(cases[known] - 1.0, confidence) / stdtrit(blocks[known] - 1.0, confidence)
    worth[known] *= np.minimum(np.square(few), 1.0)
    return worth


@dataclass(frozen=True, slots=True, eq=False)
class LevelCounts:
    """Counts in each of B blocks at each of L places of a curve: (L, B) each."""

    true: Counts
    false: Counts
    found: Counts


def counts_by_level(units: Units, curve: Curve, places: NDArray[np.int64]) -> LevelCounts:
    """Counts in each block of what is accepted at these places."""
    rising = np.sort(places)
    # The highest of the places at which each change is in already; -1: at none.
    levels = np.searchsorted(curve.thresholds[rising], units.scores, side="right") - 1
    back = np.searchsorted(rising, places)
    shape = (len(rising), len(units.positives))
    keys = levels * shape[1] + units.blocks

    def counts(changes: NDArray[np.int8]) -> Counts:
        inside = levels >= 0
        sums = np.bincount(keys[inside], weights=changes[inside], minlength=shape[0] * shape[1]).reshape(shape)
        from_above = np.cumsum(sums[::-1], axis=0)[::-1]
        return np.asarray(np.rint(from_above)[back], np.int64)

    return LevelCounts(counts(units.true), counts(units.false), counts(units.found))


def _falling_places(curve: Curve, target: float, confidence: float) -> NDArray[np.int64]:
    """Places for the tests of precision, from few accepted to all."""
    needed = _ENOUGH * np.log(1.0 - confidence) / np.log(target) if target < 1.0 else np.inf
    first = min(max(FIRST_SHARE * curve.positives, needed), float(curve.accepted[0]))
    highest = int(np.flatnonzero(curve.accepted >= first)[-1])
    return _spread(np.arange(highest, -1, -1), curve.accepted)


def _spread(places: NDArray[np.int64], accepted: Counts | None = None) -> NDArray[np.int64]:
    """LEVELS of these at most, the first among them; evenly by how many are accepted, where that is given."""
    if len(places) <= LEVELS:
        return places
    if accepted is None:
        return places[np.unique(np.linspace(0, len(places) - 1, LEVELS).astype(np.int64))]
    at = accepted[places]
    return places[np.unique(np.searchsorted(at, np.linspace(at[0], at[-1], LEVELS)))]
