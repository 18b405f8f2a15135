"""Two thresholds, exactly: YES from the upper on, NO under the lower, MAYBE between, which people see.

Whatever the objective, the two are chosen among all pairs of distinct scores (and "nothing is YES"), in O(N log N). People are taken to
answer rightly; so with both thresholds together true are all that are not NO and true, false are those that are YES and false.
Of pairs that are equally good the one with fewer cases for people is chosen, then the one with the higher thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .curve import SMOOTHING, Counts, Curve, Floats, Point, f1_of, last_top, quotients
from .kernels.windows import smallest_in_windows
from .objectives import DEFAULT_SHARE, F1, Budget, Cost, Objective, Targets

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoThresholds:
    """A pair of thresholds and what comes of it on the data it was chosen on."""

    yes: Point
    """The upper threshold: counts of what is YES."""

    no: Point
    """The lower: counts of what is not NO, that is YES or MAYBE."""

    total: int
    """Cases in all, those that are NO included."""

    warnings: tuple[str, ...] = ()
    """What people should know before they trust it."""

    @property
    def reviewed(self) -> int:
        """Cases that are MAYBE: people see them."""
        return self.no.tp + self.no.fp - self.yes.tp - self.yes.fp

    @property
    def share(self) -> float:
        """The same as a share of all cases; NaN where there are none."""
        return self.reviewed / self.total if self.total else float("nan")

    @property
    def together(self) -> Point:
        """Counts after people have answered every MAYBE rightly. The threshold is that of NO."""
        return replace(self.no, fp=self.yes.fp)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """All that choosing needs of a curve, with "nothing is accepted" as its last column: K + 1 of each."""

    curve: Curve
    tp: Counts
    fp: Counts
    found: Counts

    @classmethod
    def of(cls, curve: Curve) -> Pairs:
        """Those of a curve."""
        return cls(curve, *(np.append(column, 0) for column in (curve.tp, curve.fp, curve.found)))

    @property
    def accepted(self) -> Counts:
        """(K + 1,) accepted, true or false; never rising."""
        return self.tp + self.fp

    def f1(self, yes: Counts, no: Counts) -> Floats:
        """F1 of people and machine together, for pairs of indices."""
        return f1_of(self.tp[no], self.fp[yes], self.found[no], self.curve.positives)

    def chosen(self, yes: int, no: int, total: int | None, warnings: tuple[str, ...] = ()) -> TwoThresholds:
        """The pair of these indices."""
        counted = int(self.accepted[0]) if total is None else total
        if yes == len(self.curve) and self.curve.nothing > 1.0:
            warnings = (*warnings, "scores of 1 can't be kept from YES by a threshold that is a probability")
        return TwoThresholds(yes=self.curve.point(yes), no=self.curve.point(no), total=counted, warnings=warnings)


def choose(
    curve: Curve, objective: Objective, *, total: int | None = None, hours: float | None = None
) -> TwoThresholds:
    """The two thresholds that serve the objective best on these data.

    ``total``: cases in all, where it is more than what the curve accepts at its lowest threshold; ``hours``: the length of the recordings,
    needed for a budget by the hour. A confidence is not looked at: see `promise`.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one.
        ValueError: a budget by the hour without hours.
    """
    curve.require()
    chosen = _chosen(Pairs.of(curve), objective, total, hours)
    return replace(chosen, warnings=(*_doubts(curve), *chosen.warnings))


def _chosen(pairs: Pairs, objective: Objective, total: int | None, hours: float | None) -> TwoThresholds:
    match objective:
        case Cost():
            return by_cost(pairs, objective, total)
        case Budget():
            return by_budget(
                pairs, cases_of(objective, int(pairs.accepted[0]) if total is None else total, hours), total
            )
        case Targets():
            return by_targets(pairs, objective, total)
        case F1():
            return by_f1(pairs, objective, total)


def cases_of(budget: Budget, total: int, hours: float | None) -> int:
    """How many cases a budget lets people see, of so many in so many hours of recording."""
    if budget.share is not None:
        return _whole(budget.share * total)
    if hours is None:
        raise ValueError("a budget of cases_per_hour needs the hours of the recordings")
    return _whole((budget.cases_per_hour or 0.0) * hours)


def by_cost(pairs: Pairs, cost: Cost, total: int | None = None) -> TwoThresholds:
    """The cheapest pair: what YES costs and what NO costs are told apart, so one pass from the top is enough.

    Prices are taken to nine digits of the dearest, as whole numbers: so equal costs are equal, however they come about.
    """
    digit = max(cost.fp, cost.fn, cost.review) * 1e-9 or 1.0
    false, missed, seen = (round(price / digit) for price in (cost.fp, cost.fn, cost.review))
    of_yes = false * pairs.fp - seen * pairs.accepted
    of_no = missed * (pairs.curve.positives - pairs.found) + seen * pairs.accepted
    # From the top down: the cheapest place of YES at or above each place of NO; of equal ones the lowest, which leaves people least.
    falling = of_yes[::-1]
    is_new = falling <= np.minimum.accumulate(falling)
    cheapest = len(falling) - 1 - np.maximum.accumulate(np.where(is_new, np.arange(len(falling)), 0))[::-1]
    no = _first_choice(-(of_yes[cheapest] + of_no), pairs.accepted - pairs.accepted[cheapest])
    return pairs.chosen(int(cheapest[no]), no, total)


def by_budget(pairs: Pairs, cases: int, total: int | None = None) -> TwoThresholds:
    """The best F1 together with people who see no more than so many cases: two ends of a window that slide one way."""
    places = np.arange(len(pairs.accepted))
    return _best_band(pairs, places, places, cases, total)


def by_f1(pairs: Pairs, objective: F1, total: int | None = None, smoothing: float = SMOOTHING) -> TwoThresholds:
    """The recommended single threshold, and the best band around it within the share, or the band that targets take."""
    single = last_top(pairs.curve.smoothed(smoothing))
    if objective.precision is None and objective.recall is None:
        counted = int(pairs.accepted[0]) if total is None else total
        share = DEFAULT_SHARE if objective.share is None else objective.share
        no = np.arange(single + 1)
        return _best_band(pairs, no, np.full(len(no), single), _whole(share * counted), total)
    precise, kept, warnings = _reaching(pairs, Targets(precision=objective.precision, recall=objective.recall))
    yes = single if objective.precision is None else int(precise[np.searchsorted(precise, single)])
    no_place = single if objective.recall is None else int(kept[kept <= single].max(initial=0))
    return pairs.chosen(yes, no_place, total, warnings)


def by_targets(pairs: Pairs, targets: Targets, total: int | None = None) -> TwoThresholds:
    """The fewest MAYBE with which YES is precise enough and enough is not NO; of equally few the best F1 together."""
    precise, kept, warnings = _reaching(pairs, targets)
    yes = precise[np.searchsorted(precise, kept)]  # the lowest that is precise enough, not under NO
    reviewed = pairs.accepted[kept] - pairs.accepted[yes]
    fewest = np.flatnonzero(reviewed == reviewed.min())
    best = fewest[last_top(pairs.f1(yes[fewest], kept[fewest]))]
    return pairs.chosen(int(yes[best]), int(kept[best]), total, warnings)


def _reaching(pairs: Pairs, targets: Targets) -> tuple[Counts, Counts, tuple[str, ...]]:
    """The places where YES is precise enough (with "nothing is YES") and those where enough is not NO, rising; and what can't be had."""
    curve, everywhere = pairs.curve, np.arange(len(pairs.accepted))
    precise, kept, warnings = everywhere, everywhere, []
    if targets.precision is not None:
        precision = curve.precision
        precise = np.append(np.flatnonzero(precision >= targets.precision), len(curve))
        if len(precise) == 1:
            best = f"the best is {np.nanmax(precision):.3f}" if curve.accepted.any() else "they accept nothing"
            warnings.append(f"no threshold reaches a precision of {targets.precision:g} ({best}): nothing is YES")
    for wanted, shares, what in (
        (targets.recall, curve.recall, "a recall"),
        (targets.kept, quotients(curve.tp, np.full(len(curve), curve.tp.max())), "a share of right detections"),
    ):
        if wanted is None:
            continue
        kept = np.flatnonzero(shares >= wanted)
        if not len(kept):
            kept = np.zeros(1, np.int64)
            best = "they accept nothing right" if np.isnan(shares).any() else f"the best is {shares.max():.3f}"
            warnings.append(f"no threshold reaches {what} of {wanted:g} ({best}): nothing that was seen is NO")
    return precise, kept, tuple(warnings)


def _best_band(pairs: Pairs, no: Counts, least_yes: Counts, cases: int, total: int | None) -> TwoThresholds:
    """The best F1 over pairs of a place of NO and one of YES not under ``least_yes`` that leave people no more than ``cases``."""
    accepted = pairs.accepted
    # Accepted falls with the place: the last place where enough is still YES.
    stops = np.searchsorted(-accepted, cases - accepted[no], side="right")
    allowed = stops > least_yes
    no, least_yes, stops = no[allowed], least_yes[allowed], stops[allowed]
    yes = smallest_in_windows(pairs.fp, least_yes, stops)
    best = _first_choice(pairs.f1(yes, no), accepted[no] - accepted[yes])
    return pairs.chosen(int(yes[best]), int(no[best]), total)


def _whole(cases: float) -> int:
    """Whole cases within a number of them, which may have been rounded down a little on its way: 29 % of 100 are 29."""
    return int(cases + _ROUNDING)


def _first_choice(values: Floats | Counts, reviewed: Counts) -> int:
    """The index of the largest value; of equal ones that with the fewest reviewed, then the last."""
    best = np.flatnonzero(values == values.max())
    least = best[reviewed[best] == reviewed[best].min()]
    return int(least[-1])


def _doubts(curve: Curve) -> tuple[str, ...]:
    """What makes any choice from this curve doubtful."""
    best, rivals = curve.best(), curve.rivals()
    return tuple(
        f"two thresholds are nearly as good: {best.threshold:.4g} (F1 {best.f1:.3f}) and {rival.threshold:.4g} (F1 {rival.f1:.3f}), "
        "with worse ones between; the data may mix two kinds of scenes"
        for rival in rivals
    )
