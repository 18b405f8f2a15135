"""Which rung each class gets: never one that does worse on held-out folds than the detector's own score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .figures import Matching, Scored
from .fit.crossvalidation import HeldOut
from .fit.folds import Folds
from .fit.logistic import log_loss
from .fit.rungs import Rung
from .readers import Labelled
from .units import Units


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a class does on held-out folds, on one rung or by its raw score."""

    f1: float
    """The best F1 of each fold, averaged by its objects: folds are not pooled, for their intercepts differ."""

    log_loss: float
    """Of its probabilities, over all folds."""

    def as_json(self) -> dict[str, Any]:
        """For summaries."""
        return {"f1_by_fold": self.f1, "log_loss": self.log_loss}


@dataclass(frozen=True, slots=True)
class Guarded:
    """The rung of each class, and why."""

    rungs: dict[str, Rung]
    """By class name."""

    standings: dict[str, dict[str, Standing]]
    """By class name, then "raw" or rung. The log loss of "raw" is that of the calibrated score."""

    def without_fusion(self) -> list[str]:
        """Classes that fusion does not help."""
        return sorted(name for name, rung in self.rungs.items() if rung is Rung.SCORE)

    def as_json(self) -> dict[str, Any]:
        """For summaries: by class."""
        return {
            name: {"rung": str(rung), "held_out": {key: one.as_json() for key, one in self.standings[name].items()}}
            for name, rung in self.rungs.items()
        }


def guard(
    labelled: Sequence[Labelled], by_rung: Mapping[Rung, Sequence[HeldOut]], folds: Folds, matching: Matching
) -> Guarded:
    """For each class the highest rung with no lower F1 and no higher log loss on held-out folds than the score has.

    Not the one with the least loss: between rungs that all do well, folds of small data decide by chance (docs/evidence.md).
    """
    raw = Scored.of(labelled, [one.sequence.scores for one in labelled], matching)
    scored = {
        rung: Scored.of(labelled, [one.probabilities for one in held], matching) for rung, held in by_rung.items()
    }
    rungs, standings = {}, {}
    for class_id, name in labelled[0].sequence.class_names.items():
        found = {
            rung: Standing(f1=f1_by_fold(one, folds, class_id), log_loss=log_loss(*one.judged(class_id)))
            for rung, one in scored.items()
        }
        score = Standing(f1=f1_by_fold(raw, folds, class_id), log_loss=found[Rung.SCORE].log_loss)
        allowed = [rung for rung, one in found.items() if one.f1 >= score.f1 and one.log_loss <= score.log_loss]
        rungs[name] = next((rung for rung in Rung if rung in allowed), Rung.SCORE)
        standings[name] = {"raw": score, **{str(rung): one for rung, one in found.items()}}
    return Guarded(rungs, standings)


def f1_by_fold(scored: Scored, folds: Folds, class_id: int | None) -> float:
    """Mean over folds of the best F1 of each, weighted by its objects.

    Blocks of one sequence are pooled: none of them holds enough to be judged alone.
    """
    if folds.unit == "block":
        return _f1_or_zero(_of(scored.units(), class_id))
    total, weight = 0.0, 0
    for fold in range(folds.count):
        chosen = folds.sequences_of(fold)
        if chosen:
            units = _of(scored.only(chosen).units(), class_id)
            objects = int(units.positives.sum())
            total += objects * _f1_or_zero(units)
            weight += objects
    return total / weight if weight else 0.0


def _of(units: Units, class_id: int | None) -> Units:
    return units if class_id is None else units.of_class(class_id)


def _f1_or_zero(units: Units) -> float:
    curve = units.curve()
    return 0.0 if curve.obstacle else curve.best().f1
