"""What a person in a hurry reads: what fusion gained, on data no policy was fitted on, and how sure that is."""

from __future__ import annotations

from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.figures import reliability
from tertium_server.tuning.intervals import Interval, difference_intervals, figure_intervals
from tertium_server.tuning.units import Units

from .packing import Json, number
from .views import Views, Which


def headline(views: Views) -> Json:
    """``{unit: {"raw", "held_out", "fused", "gain", "gain_in_sample"}}``, each figure with its interval; all classes together."""
    seed = views.tuning.options.seed
    units = {which: view.units() for which, view in views.views.items()}
    found: Json = {}
    for unit in units[Which.FUSED]:
        by_view = {which: by_unit[unit] for which, by_unit in units.items()}
        found[unit] = {which.value: _figures(one, seed) for which, one in by_view.items()}
        for name, which in (("gain", Which.HELD_OUT), ("gain_in_sample", Which.FUSED)):
            found[unit][name] = _gain(by_view[which], by_view[Which.RAW], seed)
    for which, view in views.views.items():
        scores, labels = view.scored.judged(None)
        is_share = which is not Which.RAW or not any(one.sequence.logits for one in views.tuning.labelled)
        found["box"][which.value]["calibration_error"] = (
            reliability(scores, labels).error if len(labels) and is_share else None
        )
    return found


def _figures(units: Units, seed: int) -> Json:
    """The best F1, where it lies, and its interval at that threshold."""
    curve = units.curve()
    try:
        best = curve.best()
    except UndeterminedError as error:
        return {"undetermined": error.reason, "best_f1": None}
    around = figure_intervals(units.counts_by_block(best.threshold), seed)
    return {
        "best_f1": best.f1,
        "threshold": best.threshold,
        "precision": number(best.precision),
        "recall": number(best.recall),
        "average_precision": number(curve.average_precision),
        "interval": _ends(around.f1),
    }


def _gain(ours: Units, theirs: Units, seed: int) -> Json:
    """The first's best F1 less the second's, and the interval of the difference at their two thresholds."""
    try:
        first, second = ours.curve().best(), theirs.curve().best()
    except UndeterminedError:
        return None
    around = difference_intervals(ours.counts_by_block(first.threshold), theirs.counts_by_block(second.threshold), seed)
    return {"f1": first.f1 - second.f1, "interval": _ends(around.f1)}


def _ends(interval: Interval) -> list[float] | None:
    low, high = number(interval.low), number(interval.high)
    return None if low is None or high is None else [low, high]
