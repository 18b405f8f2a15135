"""Tuning: from labelled recordings to a policy, and what it is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from tertium_server.engine import Workspace
from tertium_server.policy import Policy, default_policy

from .choosing import Choice, choose_thresholds
from .curve import UndeterminedError
from .figures import Matching, Scored, describe
from .fit.crossvalidation import HeldOut, combine, cross_validate, make_materials
from .fit.folds import make_folds
from .fit.model import Effort, fit_policy
from .fit.observation import Observation, match_by_score, observe
from .guarding import guard
from .matching import Rule, match
from .objectives import F1, Objective, write_objective
from .readers import Labelled
from .tracks import track_units
from .units import Place, Units, merge

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """How a policy is tuned."""

    objective: Objective = field(default_factory=F1)
    """What the two thresholds are chosen for."""

    matching: Matching = field(default_factory=Matching)
    """How figures pair detections with truth."""

    folds: int | None = None
    """Folds of cross-validation; None: one for each sequence, five at most."""

    seed: int = 0
    """Of the deal of sequences into folds."""

    jobs: int = 1
    """Processes at a time. The result is the same whatever their number."""

    effort: Effort = field(default_factory=lambda: Effort(1))
    """How hard evidence parameters are searched for."""

    name: str = "tuned"
    """The policy's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What tuning came to."""

    policy: Policy
    summary: dict[str, Any]
    """Figures under plain names, unrounded; ready for JSON."""

    options: TuneOptions
    """How it was done."""

    labelled: tuple[Labelled, ...] = field(repr=False)
    """What it was done on."""

    held_out: tuple[HeldOut, ...] = field(repr=False)
    """What the folds' policies say of each sequence, for reports."""


def tune(labelled: Sequence[Labelled], options: TuneOptions = TuneOptions(), told: Told = lambda _: None) -> Tuning:
    """Fits a policy to labelled sequences and chooses its thresholds. ``told`` hears what is being done.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one.
        ReplayError: the engine refused a frame.
    """
    start = default_policy()
    matches = [match_by_score(one, options.matching.iou) for one in labelled]
    folds = make_folds(
        [one.sequence.frames for one in labelled],
        [one.sequence.length for one in labelled],
        [one.sequence.first_frame for one in labelled],
        options.folds,
        options.seed,
    )
    told(f"cross-validation, 0 of {folds.count} folds")
    by_rung = cross_validate(
        labelled, matches, folds, start, options.effort, jobs=options.jobs,
        told=lambda done: told(f"cross-validation, {done} of {folds.count} folds"),
    )  # fmt: skip
    guarded = guard(labelled, by_rung, folds, options.matching)
    held = combine(labelled, by_rung, guarded.rungs)
    told("the policy of all sequences")
    fitted = fit_policy(make_materials(labelled, matches, folds, None), start, options.effort, rungs=guarded.rungs)
    workspace = Workspace()
    seen = [observe(one, found, fitted.policy, workspace) for one, found in zip(labelled, matches, strict=True)]
    told("thresholds")
    boxes = Scored.of(labelled, [one.probabilities for one in seen], options.matching)
    places = Place.of_all(labelled)
    doubts = []
    tracks: Units | None = None
    try:
        tracks = _track_units(seen, places, options.matching)
    except UndeterminedError as error:  # many a format's truth does not say which box is whose
        doubts.append(f"track, all classes: {error}; the thresholds of the built-in policy are kept")
    hours = sum(one.sequence.length / one.sequence.fps for one in labelled) / 3600.0
    units = {"box": boxes.units(places)} | ({} if tracks is None else {"track": tracks})
    policy, chosen, warnings = _with_thresholds(fitted.policy, labelled, units, options, hours)
    summary = {
        "objective": write_objective(options.objective),
        "matching": options.matching.as_json(),
        "sequences": [one.name for one in labelled],
        "frames": sum(one.sequence.length for one in labelled),
        **_figures(labelled, held, boxes, options.matching),
        "folds": {"count": folds.count, "unit": folds.unit, "seed": options.seed},
        "fusion_does_not_help": guarded.without_fusion(),
        "guard": guarded.as_json(),
        "thresholds": chosen,
        "warnings": [*doubts, *warnings, *(text for one in labelled for text in one.warnings)],
    }
    policy = Policy.model_validate(
        {**policy.model_dump(mode="json"), "name": options.name, "provenance": _provenance(labelled, options, summary)}
    )
    summary = {"policy": {"name": policy.name, "version": policy.version}, **summary}
    return Tuning(policy, summary, options, tuple(labelled), tuple(held))


def _track_units(seen: Sequence[Observation], places: Sequence[Place], matching: Matching) -> Units:
    parts = []
    for one, place in zip(seen, places, strict=True):
        matches = match(one.labelled, one.probabilities, matching.iou, Rule.SCORE)
        parts.append(track_units(one.labelled, matches, one.track_ids, one.track_probabilities, place))
    return merge(parts)


def _with_thresholds(
    policy: Policy, labelled: Sequence[Labelled], units: Mapping[str, Units], options: TuneOptions, hours: float
) -> tuple[Policy, dict[str, Any], list[str]]:
    """The policy with thresholds for boxes and tracks, over all classes and by class; what they are; and what to know about them."""
    tree = policy.model_dump(mode="json")
    chosen: dict[str, Any] = {"overall": {}, "classes": {}}
    warnings: list[str] = []
    common: dict[str, Choice] = {}
    for unit, changes in units.items():
        common[unit] = choose_thresholds(changes, options.objective, hours=hours)
        tree["defaults"][unit]["thresholds"] |= _pair(common[unit])
        chosen["overall"][unit] = _chosen(common[unit])
        warnings += [f"{unit}, all classes: {text}" for text in common[unit].thresholds.warnings]
    for class_id, name in labelled[0].sequence.class_names.items():
        chosen["classes"][name] = {}
        for unit, changes in units.items():
            try:
                choice = choose_thresholds(changes.of_class(class_id), options.objective, hours=hours)
            except UndeterminedError as error:
                warnings.append(f"{unit}, {name}: {error}; the thresholds of all classes are used")
                choice = common[unit]
            else:
                warnings += [f"{unit}, {name}: {text}" for text in choice.thresholds.warnings]
            tree["classes"][name][unit]["thresholds"] |= _pair(choice)
            chosen["classes"][name][unit] = _chosen(choice)
    return Policy.model_validate(tree), chosen, warnings


def _pair(choice: Choice) -> dict[str, float]:
    """Thresholds as probabilities: what accepts nothing, or everything, is 1 or 0."""
    yes = min(choice.thresholds.yes.threshold, 1.0)
    return {"yes": yes, "no": min(max(choice.thresholds.no.threshold, 0.0), yes)}


def _chosen(choice: Choice) -> dict[str, Any]:
    pair = choice.thresholds
    return {
        **_pair(choice),
        "precision_of_yes": _number(pair.yes.precision),
        "recall_of_yes": _number(pair.yes.recall),
        "recall_of_yes_and_maybe": _number(pair.no.recall),
        "maybe": pair.reviewed,
        "maybe_share": _number(pair.share),
        "f1_with_people": _number(pair.together.f1),
        "promises": [
            {"of": str(one.aim), "target": one.target, "confidence": one.confidence, "given": one.is_given}
            for one in choice.promises
        ],
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _figures(
    labelled: Sequence[Labelled], held: Sequence[HeldOut], boxes: Scored, matching: Matching
) -> dict[str, Any]:
    """Figures of the raw score and of the fused probability, on all data and held out."""
    raw = describe(Scored.of(labelled, [one.sequence.scores for one in labelled], matching), probabilities=False)
    calibrated = Scored.of(labelled, [one.calibrated for one in held], matching)
    fused = Scored.of(labelled, [one.probabilities for one in held], matching)
    return {
        "all_data": {"raw": raw, "fused": describe(boxes, probabilities=True)},
        "held_out": {
            "raw": raw,
            "calibrated": describe(calibrated, probabilities=True),
            "fused": describe(fused, probabilities=True),
            "pooled": "the probabilities that each fold's own policy gives, without any adjustment between folds",
        },
    }


def _provenance(labelled: Sequence[Labelled], options: TuneOptions, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Where the numbers of a policy came from."""
    held = {which: summary["held_out"][which]["overall"] for which in ("raw", "fused")}
    return {
        "made_by": f"tertium tune {version('tertium')}",
        "date": datetime.now(UTC).date().isoformat(),
        "objective": summary["objective"],
        "matching": dict(summary["matching"]),
        "seed": options.seed,
        "data": {one.name: {"frames": one.sequence.length, "sha256": _digest(one)} for one in labelled},
        "held_out": {
            which: {key: figures.get(key) for key in ("best_f1", "average_precision", "log_loss")}
            for which, figures in held.items()
        },
        "fusion_does_not_help": list(summary["fusion_does_not_help"]),
    }


def _digest(one: Labelled) -> str:
    digest = hashlib.sha256(one.sequence.source.read_bytes())
    digest.update(one.truth.source.read_bytes())
    return digest.hexdigest()
