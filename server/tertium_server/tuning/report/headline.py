"""What a person in a hurry reads: what fusion gained, on data no policy was fitted on, and how sure that is.

Figures of boxes are the summary's own. Those of tracks and frames are made in the same way: the best F1 at one threshold for all that is
counted, and intervals from resamples of the same blocks, each of which is swept anew.
"""

from __future__ import annotations

import numpy as np

from tertium_server.tuning.curve import Floats, UndeterminedError
from tertium_server.tuning.figures import reliability
from tertium_server.tuning.intervals import LEVEL, curve_draws, interval
from tertium_server.tuning.units import Units

from .packing import Json, number
from .views import Views, Which


def headline(views: Views) -> Json:
    """``{unit: {"raw", "held_out", "fused", "gain"}}``, each with its interval; of boxes also "calibrated" and "gain_by_fold"."""
    units = {which: view.units() for which, view in views.views.items()}
    found: Json = {"box": _boxes(views.tuning.summary)}
    for unit in units[Which.FUSED]:
        if unit != "box":
            found[unit] = _others({which: by_unit[unit] for which, by_unit in units.items()}, views.tuning.options.seed)
    for which, view in views.views.items():
        found["box"][which.value]["calibration_error"] = _error(views, which, *view.scored.judged(None))
    return found


def _error(views: Views, which: Which, scores: Floats, labels: Floats) -> float | None:
    is_share = which is not Which.RAW or not any(one.sequence.logits for one in views.tuning.labelled)
    return reliability(scores, labels).error if len(labels) and is_share else None


def _boxes(summary: Json) -> Json:
    """The summary's figures of boxes, under the page's names. Gains are over the calibrated score, which is pooled over folds alike."""
    held, names = summary["held_out"], ("raw", "calibrated", "held_out")
    sides = dict(zip(names, (held["raw"], held["calibrated"], held["fused"]), strict=True))
    sides["fused"] = summary["all_data"]["fused"]
    over = held["gain_over_calibrated"]["overall"]
    found: Json = {name: _of_summary(one["overall"]) for name, one in sides.items()}
    found["gain"] = None if over["best_f1"] is None else {"f1": over["best_f1"], "interval": over["best_f1_interval"]}
    found["gain_by_fold"] = held["gain"]["overall"]["best_f1_by_fold"]
    return found


def _of_summary(one: Json) -> Json:
    if one["best_f1"] is None:
        return {"best_f1": None, "undetermined": one["undetermined"]}
    names = ("best_f1", "threshold", "precision", "recall", "average_precision")
    figures = {name: one[name] for name in names}
    return {**figures, "interval": one["intervals"]["best_f1"], "by_fold": one.get("best_f1_by_fold")}


def _others(by_view: dict[Which, Units], seed: int) -> Json:
    """Figures of each view and the gain of the held-out one over the raw score."""
    draws = {which: curve_draws(units, seed)["best_f1"] for which, units in by_view.items()}
    found: Json = {which.value: _figures(units, draws[which]) for which, units in by_view.items()}
    raw, held = (found[which.value]["best_f1"] for which in (Which.RAW, Which.HELD_OUT))
    difference = draws[Which.HELD_OUT] - draws[Which.RAW]
    blocks = by_view[Which.RAW].filled
    found["gain"] = None if raw is None or held is None else {"f1": held - raw, "interval": _ends(difference, blocks)}
    return found


def _figures(units: Units, draws: Floats) -> Json:
    curve = units.curve()
    try:
        best = curve.best()
    except UndeterminedError as error:
        return {"best_f1": None, "undetermined": error.reason}
    return {
        "best_f1": best.f1,
        "threshold": best.threshold,
        "precision": number(best.precision),
        "recall": number(best.recall),
        "average_precision": number(curve.average_precision),
        "interval": _ends(draws, units.filled),
    }


def _ends(values: Floats, blocks: int) -> list[float] | None:
    found = interval(values, LEVEL, blocks)
    return None if np.isnan(found.low) else [found.low, found.high]
