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
    """``{unit: {"raw", "held_out", "fused", "gain"}}``, each with its interval; all classes together."""
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
    """The summary's figures of boxes, under the page's names."""
    sides = {
        Which.RAW: summary["all_data"]["raw"],
        Which.HELD_OUT: summary["held_out"]["fused"],
        Which.FUSED: summary["all_data"]["fused"],
    }
    gain = summary["held_out"]["gain"]["overall"]
    found: Json = {which.value: _of_summary(one["overall"]) for which, one in sides.items()}
    found["gain"] = None if gain["best_f1"] is None else {"f1": gain["best_f1"], "interval": gain["best_f1_interval"]}
    return found


def _of_summary(one: Json) -> Json:
    if one["best_f1"] is None:
        return {"best_f1": None, "undetermined": one["undetermined"]}
    names = ("best_f1", "threshold", "precision", "recall", "average_precision")
    return {**{name: one[name] for name in names}, "interval": one["intervals"]["best_f1"]}


def _others(by_view: dict[Which, Units], seed: int) -> Json:
    """Figures of each view and the gain of the held-out one over the raw score."""
    draws = {which: curve_draws(units, seed)["best_f1"] for which, units in by_view.items()}
    found: Json = {which.value: _figures(units, draws[which]) for which, units in by_view.items()}
    raw, held = (found[which.value]["best_f1"] for which in (Which.RAW, Which.HELD_OUT))
    difference = draws[Which.HELD_OUT] - draws[Which.RAW]
    blocks = len(by_view[Which.RAW].positives)
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
        "interval": _ends(draws, len(units.positives)),
    }


def _ends(values: Floats, blocks: int) -> list[float] | None:
    found = interval(values, LEVEL, blocks)
    return None if np.isnan(found.low) else [found.low, found.high]
