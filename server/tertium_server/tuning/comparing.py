"""Figures of the raw score beside those of the fused probability: on all data, on held-out folds, by group, on a grid, and by IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .curve import Floats
from .figures import Matching, Scored, describe
from .fit.crossvalidation import HeldOut
from .fit.folds import Folds
from .guarding import f1_by_fold
from .intervals import LEVEL, curve_draws, interval
from .limits import Limits
from .units import Place, Units

Json = dict[str, Any]

_DRAWN = {"best_f1": "best_f1", "threshold": "best_threshold", "average_precision": "average_precision"}


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The same detections by three sets of scores, and by a fourth on all data."""

    raw: Scored
    """By the detector's scores."""

    calibrated: Scored
    """Held out, by the calibrated score alone."""

    held_out: Scored
    """Held out, fused."""

    fused: Scored
    """By the policy of all data."""

    @classmethod
    def of(cls, held: Sequence[HeldOut], fused: Scored, matching: Matching) -> Sides:
        """Matches them."""
        labelled = fused.labelled
        return cls(
            Scored.of(labelled, [one.sequence.scores for one in labelled], matching),
            Scored.of(labelled, [one.calibrated for one in held], matching),
            Scored.of(labelled, [one.probabilities for one in held], matching),
            fused,
        )

    def only(self, members: Sequence[int]) -> Sides:
        """Some of the sequences."""
        return Sides(*(one.only(members) for one in (self.raw, self.calibrated, self.held_out, self.fused)))

    def by_iou(self, matching: Matching, iou: float) -> Sides:
        """The same matched at another IoU."""
        other = replace(matching, iou=iou)
        sides = (self.raw, self.calibrated, self.held_out, self.fused)
        return Sides(*(Scored.of(one.labelled, one.scores, other) for one in sides))


def compare_sides(sides: Sides, folds: Folds, places: Sequence[Place], seed: int) -> Json:
    """``{"all_data": {"raw", "fused"}, "held_out": {"raw", "calibrated", "fused", "gain", …}}``, with intervals."""
    raw, raw_draws, filled = _with_intervals(sides.raw, folds, places, seed, probabilities=False)
    held, held_draws, _ = _with_intervals(sides.held_out, folds, places, seed, probabilities=True)
    calibrated, calibrated_draws, _ = _with_intervals(sides.calibrated, folds, places, seed, probabilities=True)
    fused, _, _ = _with_intervals(sides.fused, None, places, seed, probabilities=True)
    gains = {
        which: {
            name: _gain(_part(held, name), _part(theirs, name), held_draws[name], draws[name], filled[name])
            for name in held_draws
        }
        for which, theirs, draws in (("gain", raw, raw_draws), ("gain_over_calibrated", calibrated, calibrated_draws))
    }
    return {
        "all_data": {"raw": raw, "fused": fused},
        "held_out": {
            "raw": raw,
            "calibrated": calibrated,
            "fused": held,
            **{which: {"overall": gain.pop(""), "classes": gain} for which, gain in gains.items()},
            "pooled": "best_f1, threshold and average_precision are of all folds' probabilities together, each by its own fold's policy, without "
            "any adjustment between folds: to be compared with calibrated, which is pooled alike; best_f1_by_fold is the mean of each "
            "fold's own best, to be compared with raw",
        },
    }


def by_group(sides: Sides, members: Mapping[str, Sequence[int]]) -> Json:
    """The same without intervals, for each group of sequences."""
    described = {}
    for name, places in members.items():
        part = sides.only(places)
        raw = describe(part.raw, probabilities=False)
        described[name] = {
            "sequences": [one.name for one in part.raw.labelled],
            "all_data": {"raw": raw, "fused": describe(part.fused, probabilities=True)},
            "held_out": {"raw": raw, "fused": describe(part.held_out, probabilities=True)},
        }
    return described


def by_iou(sides: Sides, matching: Matching, ious: Sequence[float]) -> list[Json]:
    """Figures at each IoU, by raw score and held out: best F1, its threshold, average precision and more, over all classes and by class."""
    rows = []
    for iou in ious:
        other = sides.by_iou(matching, iou)
        found = {"raw": other.raw, "held_out": other.held_out}
        rows.append({"iou": iou, **{name: describe(one, probabilities=False) for name, one in found.items()}})
    return rows


def on_grid(sides: Sides, limits: Limits) -> Json:
    """Counts and figures at each threshold of the grid: by raw score and fused, over all classes and by class."""
    if limits.grid is None:
        return {}
    tables = {}
    for name, scored in (("raw", sides.raw), ("fused", sides.fused)):
        units = scored.units()
        classes = scored.labelled[0].sequence.class_names.items()
        tables[name] = {
            "overall": _rows(units, limits),
            "classes": {class_name: _rows(units.of_class(class_id), limits) for class_id, class_name in classes},
        }
    return tables


def _rows(units: Units, limits: Limits) -> list[Json]:
    curve = units.curve()
    low, high = limits.bounds or (0.0, 1.0)
    points = [curve.at(value) for value in limits.grid or () if low <= value <= high]
    return [
        {
            "threshold": point.threshold,
            "true_positives": point.tp,
            "false_positives": point.fp,
            "misses": point.fn,
            "precision": _number(point.precision),
            "recall": _number(point.recall),
            "f1": _number(point.f1),
        }
        for point in points
    ]


def _with_intervals(
    scored: Scored, folds: Folds | None, places: Sequence[Place], seed: int, *, probabilities: bool
) -> tuple[Json, dict[str, dict[str, Floats]], dict[str, int]]:
    """Figures over all classes and by class; what resamples gave, and of how many blocks: by class name, "" for all of them."""
    described, units = describe(scored, probabilities=probabilities), scored.units(places)
    draws: dict[str, dict[str, Floats]] = {}
    filled: dict[str, int] = {}
    names = scored.labelled[0].sequence.class_names
    for class_id, name in [(None, ""), *names.items()]:
        part, mine = _part(described, name), units if class_id is None else units.of_class(class_id)
        filled[name] = mine.filled
        if class_id is not None and len(names) == 1:
            draws[name] = draws[""]  # the only class is all of them
        else:
            draws[name] = curve_draws(mine, seed, recommended=False)
        part["intervals"] = {key: _ends(draws[name][of], filled[name]) for key, of in _DRAWN.items()}
        if folds is not None:
            part["best_f1_by_fold"] = f1_by_fold(scored, folds, class_id)
    return described, draws, filled


def _part(described: Json, name: str) -> Json:
    part: Json = described["classes"][name] if name else described["overall"]
    return part


def _gain(
    ours: Json, theirs: Json, our_draws: Mapping[str, Floats], their_draws: Mapping[str, Floats], blocks: int
) -> Json:
    """What fusion adds, with the interval of the difference: both are drawn from the same blocks."""
    gained: Json = {}
    for name in ("best_f1", "average_precision"):
        here, there = ours.get(name), theirs.get(name)
        gained[name] = None if here is None or there is None else here - there
        gained[f"{name}_interval"] = _ends(our_draws[name] - their_draws[name], blocks)
    gained["best_f1_by_fold"] = ours["best_f1_by_fold"] - theirs["best_f1_by_fold"]
    return gained


def _ends(values: Floats, blocks: int) -> list[float] | None:
    found = interval(values, LEVEL, blocks)
    return None if np.isnan(found.low) else [found.low, found.high]


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
