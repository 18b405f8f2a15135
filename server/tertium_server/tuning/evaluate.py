"""What a policy is worth on labelled recordings: figures by verdict and by probability, each with its interval.

All figures of one unit come from two values: its units scored by verdict (counts of YES, and of YES and MAYBE) and its units scored by probability
(curves). `tune` and reports make theirs from the same, so that they agree to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blocks import BlockUnit
from .confusion import confusion
from .curve import Floats, Point, UndeterminedError, quotients
from .evaluate_delays import delays
from .evaluate_losses import Losses
from .figures import Matching, Scored
from .intervals import (
    LEVEL,
    Interval,
    curve_draws,
    draw,
    figure_draws,
    interval,
)
from .judged import MAYBE, YES, Judged, scored_by_probability, units_by_probability, units_by_verdict
from .units import BlockCounts, Place, Unit, Units

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """How figures are made."""

    units: tuple[Unit, ...] = (Unit.BOX, Unit.TRACK, Unit.FRAME)
    """What is counted."""

    seed: int = 0
    """Of the resamples behind intervals."""

    blocks: BlockUnit | None = None
    """What is resampled as a whole; None: sequences where they are enough, else blocks of frames."""

    matching: Matching = field(default_factory=Matching)
    """How boxes are paired with truth."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one unit of one class, or of all, is described from. Everything is resampled by the same seed, so that two parts can be compared."""

    verdicts: Units
    probabilities: Units
    losses: Losses | None
    """Of boxes; None for other units."""

    def figures(self) -> Json:
        """Plain figures, unrounded."""
        return {**at_verdicts(self.verdicts), **_of_curve(self.probabilities), **(_of_losses(self.losses))}

    def draws(self, seed: int) -> dict[str, Floats]:
        """(draws,) of each figure that gets an interval, by its path such as "yes.f1"; resample k is of the same blocks in every part."""
        blocks = len(self.verdicts.positives)
        resamples = draw(blocks, seed)
        drawn: dict[str, Floats] = {}
        for name, counts in _levels(self.verdicts).items():
            drawn |= {f"{name}.{key}": values for key, values in figure_draws(counts, seed).items()}
        maybe, cases = (np.asarray(resamples @ column) for column in _maybe_by_block(self.verdicts))
        drawn["maybe_share"] = quotients(maybe, cases)
        of_curve = curve_draws(self.probabilities, seed, recommended=False)
        drawn |= {name: of_curve[name] for name in ("best_f1", "average_precision")}
        if self.losses is not None:
            drawn |= self.losses.draws(seed)
        return drawn

    @property
    def blocks(self) -> int:
        """Blocks that intervals rest on."""
        return self.verdicts.filled


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A policy's decisions on labelled sequences, ready to be described."""

    judged: tuple[Judged, ...]
    options: EvaluateOptions
    parts: Mapping[Unit, Mapping[str, Part]]
    """By unit, then by class name; "" is all classes."""

    warnings: tuple[str, ...]

    def describe(self) -> Json:
        """Figures with intervals, by unit and class; delays; the confusion matrix."""
        seed = self.options.seed
        units: Json = {}
        for unit, by_class in self.parts.items():
            overall = _with_intervals(by_class[""], seed)
            classes = {
                name: overall if part is by_class[""] else _with_intervals(part, seed)
                for name, part in by_class.items()
                if name
            }
            units[str(unit)] = {"overall": overall, "classes": classes}
        frames = sum(one.labelled.sequence.length for one in self.judged)
        seconds = sum(one.labelled.sequence.seconds for one in self.judged)
        return {
            "frames": frames,
            "hours": seconds / 3600.0,
            "units": units,
            "delay": delays(self.judged, self.places(), seed),
            "confusion": confusion(self.judged).as_json(),
        }

    def places(self) -> tuple[Place, ...]:
        """Where each sequence stands among the blocks."""
        return Place.of_all([one.labelled for one in self.judged], self.options.blocks)


def evaluate(judged: Sequence[Judged], options: EvaluateOptions = EvaluateOptions()) -> Evaluation:
    """Gathers what is described of decisions on one sequence or more."""
    places = Place.of_all([one.labelled for one in judged], options.blocks)
    names = judged[0].labelled.sequence.class_names
    scored = scored_by_probability(judged)
    parts: dict[Unit, dict[str, Part]] = {}
    warnings = []
    for unit in options.units:
        try:
            verdicts, probabilities = (make(judged, places, unit) for make in (units_by_verdict, units_by_probability))
        except UndeterminedError as error:  # many a format's truth does not say which box is whose
            warnings.append(f"{unit}: {error}")
            continue
        whole = Part(verdicts, probabilities, _losses(scored, places, unit, None))
        parts[unit] = {"": whole}
        for class_id, name in names.items():
            parts[unit][name] = (
                whole  # the only class is all of them
                if len(names) == 1
                else Part(
                    verdicts.of_class(class_id),
                    probabilities.of_class(class_id),
                    _losses(scored, places, unit, class_id),
                )
            )
    return Evaluation(tuple(judged), options, parts, tuple(warnings))


def compare(first: Evaluation, second: Evaluation) -> Json:
    """The first's figures less the second's on the same recordings, each with the interval of the difference, by unit and class."""
    seed = first.options.seed
    units: Json = {}
    for unit, by_class in first.parts.items():
        if unit not in second.parts:
            continue
        theirs = second.parts[unit]
        overall = _difference(by_class[""], theirs[""], seed)
        classes = {
            name: overall if part is by_class[""] else _difference(part, theirs[name], seed)
            for name, part in by_class.items()
            if name
        }
        units[str(unit)] = {"overall": overall, "classes": classes}
    return {"units": units}


def _levels(units: Units) -> dict[str, BlockCounts]:
    return {"yes": units.counts_by_block(YES), "yes_and_maybe": units.counts_by_block(MAYBE)}


def at_verdicts(units: Units) -> Json:
    """Counts and figures of YES, and of YES and MAYBE together, from units scored by verdict."""
    negatives = None if units.negatives is None else int(units.negatives.sum())
    described: Json = {"objects": int(units.positives.sum())}
    points = {}
    for name, counts in _levels(units).items():
        tp, fp, found = (int(column.sum()) for column in (counts.tp, counts.fp, counts.found))
        points[name] = Point(
            threshold=math.nan, tp=tp, fp=fp, found=found, positives=described["objects"], negatives=negatives
        )
    maybe, cases = (int(column.sum()) for column in _maybe_by_block(units))
    yes, kept = points["yes"], points["yes_and_maybe"]
    together = Point(threshold=math.nan, tp=kept.tp, fp=yes.fp, found=kept.found, positives=kept.positives)
    return {
        **described,
        "cases": cases,
        "maybe": maybe,
        "maybe_share": number(maybe / cases if cases else math.nan),
        **{name: _point(point) for name, point in points.items()},
        "f1_with_people": number(together.f1),
    }


def _point(point: Point) -> Json:
    return {
        "true_positives": point.tp,
        "false_positives": point.fp,
        "misses": point.fn,
        "true_negatives": point.tn,
        "precision": number(point.precision),
        "recall": number(point.recall),
        "f1": number(point.f1),
    }


def _maybe_by_block(units: Units) -> tuple[Any, Any]:
    """(B,) cases that are MAYBE, and all cases."""
    yes, kept, every = (units.counts_by_block(level) for level in (YES, MAYBE, -math.inf))
    return kept.tp + kept.fp - yes.tp - yes.fp, every.tp + every.fp


def _of_curve(units: Units) -> Json:
    curve = units.curve()
    if curve.obstacle:
        return {"best_f1": None, "threshold": None, "average_precision": None, "undetermined": curve.obstacle}
    best = curve.best()
    return {"best_f1": best.f1, "threshold": best.threshold, "average_precision": number(curve.average_precision)}


def _losses(scored: Scored, places: Sequence[Place], unit: Unit, class_id: int | None) -> Losses | None:
    return Losses.of(scored, places, class_id) if unit is Unit.BOX else None


def _of_losses(losses: Losses | None) -> Json:
    return {} if losses is None else losses.figures()


def _with_intervals(part: Part, seed: int) -> Json:
    intervals = {name: ends(interval(values, LEVEL, part.blocks)) for name, values in part.draws(seed).items()}
    return {**part.figures(), "intervals": intervals}


def _difference(first: Part, second: Part, seed: int) -> Json:
    ours, theirs = first.draws(seed), second.draws(seed)
    figures = [_flat(part.figures()) for part in (first, second)]
    found: Json = {}
    for name, values in ours.items():
        here, there = (one.get(name) for one in figures)
        found[name] = {
            "difference": None if here is None or there is None else here - there,
            "interval": ends(interval(values - theirs[name], LEVEL, first.blocks)),
        }
    return found


def _flat(tree: Mapping[str, Any], path: str = "") -> Json:
    flat: Json = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, Mapping) else {f"{path}{key}": value}
    return flat


def ends(found: Interval) -> list[float] | None:
    """The ends of an interval for JSON; None where it could not be told."""
    return None if math.isnan(found.low) else [found.low, found.high]


def number(value: float) -> float | None:
    """A number for JSON: none where there is nothing to divide by."""
    return value if math.isfinite(value) else None
