"""Precision and recall from what people answered: stratified, weighted, with an interval that small samples deserve.

Strata are what the machine said: auto_yes, auto_no, maybe. Of each, some tracks were answered, each put before people with a known probability pi.
An answer stands for 1 / pi tracks (Horvitz and Thompson 1952), scaled so that the answers of a stratum stand for as many tracks as were decided in it
(Hájek 1971): pending cases stay in the denominator, and count as the answered ones of their stratum do.

A stratum's total is what was answered, which is known, and the rest, which is extrapolated; of a stratum that was wholly reviewed nothing is, and it
adds nothing to the interval. The share of real tracks in the rest has Jeffreys' Beta distribution on the effective number of answers, (Σw)² / Σw²
(Korn and Graubard 1998, with Kish's effective size); how many of the rest are real, a binomial one of that share. The interval is read off draws of
all strata, put through the ratio.

What is judged is the verdict that the system holds: the machine's own in auto strata (that an audit also mends the few tracks it looks at is left
out of account), people's on maybes. A maybe that nobody has answered holds as MAYBE, or as its default after the deadline; real ones among those that
are no YES are missed. A vote against the machine that waits for a second one counts as it stands: without it, what is answered would be what agrees.
So does a YES on a maybe that waits for a second one, which is missed as long as it waits. Tracks on which people can't tell are neither right nor
wrong, and their share in a stratum is taken off the rest, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tertium_server.quality.values import Estimate, Estimates, Reviews, Tally, Weighted

DRAWS = 4000
LEAST_SAMPLES = 30.0
"""Effective answers under which nothing is said."""
LEAST_COVERAGE = 0.2
"""Audit weight coverage of a stratum that matters under which nothing is said: who was not asked may be unlike who was."""
_MATTERS = 0.05
"""A stratum with a smaller share of the tracks in question can't spoil an estimate."""
_INTERVAL = (0.025, 0.975)
_JEFFREYS = 0.5

Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Totals:
    """Real and false tracks of a stratum: answered, and in the rest."""

    yes: int
    no: int
    rest_yes: float
    """Estimated."""
    rest_no: float
    drawn_yes: Draws
    """(draws,) as they may be."""
    drawn_no: Draws


def estimate(tally: Tally, *, seed: int = 0, draws: int = DRAWS) -> Estimates:
    """Precision and recall of a window. The same tally and seed give the same estimates."""
    rng = np.random.default_rng(seed)
    lone = tally.maybe.lone_yes.count
    looked = replace(tally, maybe=replace(tally.maybe, yes=tally.maybe.yes + tally.maybe.lone_yes))
    yes, no, maybe = (_totals(each, rng, draws) for each in (looked.auto_yes, looked.auto_no, looked.maybe))
    unanswered = looked.maybe.population - looked.maybe.answered.count
    accepted = min(tally.maybe.unanswered_yes / unanswered, 1.0) if unanswered > 0 else 0.0
    tp = yes.yes + yes.rest_yes + maybe.yes - lone + accepted * maybe.rest_yes
    fp = yes.no + yes.rest_no + accepted * maybe.rest_no
    fn = no.yes + no.rest_yes + lone + (1.0 - accepted) * maybe.rest_yes
    drawn_tp = yes.yes + yes.drawn_yes + maybe.yes - lone + accepted * maybe.drawn_yes
    drawn_fp = yes.no + yes.drawn_no + accepted * maybe.drawn_no
    drawn_fn = no.yes + no.drawn_yes + lone + (1.0 - accepted) * maybe.drawn_yes
    return Estimates(
        _estimate(tp, fp, drawn_tp, drawn_fp, _samples_of_precision(tally)),
        _estimate(tp, fn, drawn_tp, drawn_fn, _samples_of_recall(looked)),
    )


def _totals(reviews: Reviews, rng: np.random.Generator, draws: int) -> _Totals:
    answered = reviews.answered
    rest = max(reviews.population - answered.count, 0)
    if not rest:
        nothing = np.zeros(draws)
        return _Totals(reviews.yes.count, reviews.no.count, 0.0, 0.0, nothing, nothing)
    scale = reviews.population / answered.weight if answered.count else 0.0
    # An answered track stands for itself and for w - 1 others of the rest.
    yes, no, unknown = (
        max(scale * each.weight - each.count, 0.0) for each in (reviews.yes, reviews.no, reviews.cannot_tell)
    )
    effective = _effective(reviews, scale, rest)
    undecidable = unknown / (yes + no + unknown) if unknown else 0.0
    decidable = effective * (1.0 - undecidable)
    share = yes / (yes + no) if yes + no else reviews.probability / reviews.population
    observed = share if yes + no else 0.5
    left = np.full(draws, float(rest))
    if unknown:
        drawn = rng.beta(effective * undecidable + _JEFFREYS, decidable + _JEFFREYS, draws)
        left = rest - rng.binomial(rest, drawn)
    shares = rng.beta(decidable * observed + _JEFFREYS, decidable * (1.0 - observed) + _JEFFREYS, draws)
    real = rng.binomial(left.astype(np.int64), shares).astype(np.float64)
    expected = rest * (1.0 - undecidable)
    return _Totals(reviews.yes.count, reviews.no.count, expected * share, expected * (1.0 - share), real, left - real)


def _effective(reviews: Reviews, scale: float, rest: int) -> float:
    """Kish's effective number of answers, by the weights with which they stand for the rest."""
    answered = reviews.answered
    squares = scale**2 * answered.squares - 2.0 * scale * answered.weight + answered.count
    return min(rest**2 / squares, float(answered.count)) if squares > 0.0 else 0.0


def _samples_of_precision(tally: Tally) -> float:
    """Effective answers on tracks that hold as YES."""
    yes, maybe = tally.auto_yes, tally.maybe
    accepted = yes.population + maybe.yes.count + maybe.unanswered_yes
    if yes.population > _MATTERS * accepted and not yes.coverage >= LEAST_COVERAGE:
        return 0.0
    return _pooled((yes, yes.yes + yes.no), (maybe, maybe.yes))


def _samples_of_recall(tally: Tally) -> float:
    """Effective answers on all tracks."""
    strata = (tally.auto_yes, tally.auto_no, tally.maybe)
    everything = sum(each.population for each in strata)
    if any(each.population > _MATTERS * everything and not each.coverage >= LEAST_COVERAGE for each in strata):
        return 0.0
    return _pooled(*((each, each.yes + each.no) for each in strata))


def _pooled(*parts: tuple[Reviews, Weighted]) -> float:
    """Kish's effective number of answers of several strata, each scaled to its population."""
    weight = squares = 0.0
    for reviews, answers in parts:
        if answers.count:
            scale = reviews.population / reviews.answered.weight
            weight += scale * answers.weight
            squares += scale**2 * answers.squares
    return weight**2 / squares if squares else 0.0


def _estimate(right: float, wrong: float, drawn_right: Draws, drawn_wrong: Draws, samples: float) -> Estimate:
    if samples < LEAST_SAMPLES or right + wrong <= 0.0:
        return Estimate(effective_samples=samples)
    together = drawn_right + drawn_wrong
    ratios = drawn_right[together > 0.0] / together[together > 0.0]
    lower, upper = np.quantile(ratios, _INTERVAL)
    return Estimate(right / (right + wrong), float(lower), float(upper), samples)
