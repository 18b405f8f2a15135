"""Tuning: from labelled recordings to a policy, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tertium_server.engine import Workspace
from tertium_server.policy import Policy, default_policy

from .assigning import Assigned, Task, assign_thresholds, members_of
from .cache import ReplayCache
from .comparing import Sides, by_group, by_iou, compare_sides, on_grid
from .curve import UndeterminedError
from .decisions import ReplayError
from .evaluate import EvaluateOptions, Evaluation, evaluate
from .figures import Matching, Scored
from .fit.crossvalidation import HeldOut, combine, cross_validate, make_materials
from .fit.folds import Folds, make_folds
from .fit.model import Effort, fit_policy
from .fit.observation import Observation, match_by_score, observe
from .guarding import Guarded, guard
from .judged import judge
from .limits import Limits
from .matching import Matches, Rule, match
from .objectives import F1, Objective, write_objective
from .policy_names import check_names
from .provenance import provenance
from .readers import Labelled
from .reference import DecidedScores
from .replay import replay
from .spread import Spread
from .tracks import track_units
from .units import Place, Unit, Units, frame_units, merge

Told = Callable[[str, int, int], None]
"""Hears what is being done, and how many of how many steps are done."""

_UNITS = (Unit.BOX, Unit.TRACK, Unit.FRAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """How a policy is tuned."""

    objective: Objective = field(default_factory=F1)
    """What the two thresholds are chosen for."""

    matching: Matching = field(default_factory=Matching)
    """How figures pair detections with truth. Fits always learn from matches by score."""

    limits: Limits = field(default_factory=Limits)
    """Which thresholds may be chosen."""

    units: tuple[Unit, ...] = _UNITS
    """What thresholds are chosen for. Those of boxes and tracks go into the policy; those of frames are told."""

    iou_grid: tuple[float, ...] = ()
    """IoUs at which figures are given, besides that of the matching."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Patterns of sequence names by group: each gets figures and thresholds of its own."""

    folds: int | None = None
    """Folds of cross-validation; None: one for each sequence, ten at most; of one sequence five blocks."""

    seed: int = 0
    """Of the deal of sequences into folds, and of the resamples behind intervals."""

    jobs: int = 1
    """Processes at a time. The result is the same whatever their number."""

    backend: str = "loky"
    """joblib's name of who does the work."""

    cache: ReplayCache | None = None
    """Where folds that were replayed are kept; None: nowhere."""

    effort: Effort = field(default_factory=lambda: Effort(0))
    """How hard evidence parameters are searched for. Not at all, unless asked: read-outs make up for them, and what is found on one footage does no
    better on other (docs/evidence.md)."""

    name: str = "tuned"
    """The policy's name."""

    decision_lag: int = 0
    """Frames that answers wait for, by the policy. All figures are of answers that did."""


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
    """What the folds' policies say of each sequence, each class on its rung; for reports."""


def tune(
    labelled: Sequence[Labelled],
    options: TuneOptions = TuneOptions(),
    told: Told = lambda _what, _done, _all: None,
    *,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> Tuning:
    """Fits a policy to labelled sequences and chooses its thresholds. ``told`` hears what is being done.

    ``failed``: sequences that could not be read, with the reason; those that the engine refuses join them, and the rest goes on.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one.
        ReplayError: the engine refused a frame of every sequence.
        PolicyNameError: no policy can be called so, or have such a group.
    """
    check_names(options.name, options.groups)
    start = default_policy()
    start = start.model_copy(
        update={"tracker": start.tracker.model_copy(update={"decision_lag": options.decision_lag})}
    )
    labelled, failed = _playable(labelled, start, failed)
    members_of(options.groups, labelled)  # refused now, not after minutes
    _require(labelled, options.matching)
    matches = [match_by_score(one, options.matching.iou) for one in labelled]
    folds = _folds(labelled, options)
    steps = folds.count + 3
    told("cross-validation", 0, steps)
    by_rung = cross_validate(
        labelled, matches, folds, start, options.effort,
        spread=Spread(options.jobs, options.backend), cache=options.cache,
        told=lambda done: told("cross-validation", done, steps),
    )  # fmt: skip
    guarded = guard(labelled, by_rung, folds, options.matching)
    held = combine(labelled, by_rung, guarded.rungs)
    told("the policy of all sequences", folds.count, steps)
    fitted = fit_policy(make_materials(labelled, matches, folds, None), start, options.effort, rungs=guarded.rungs)
    told("thresholds", folds.count + 1, steps)
    work = _Work(labelled, matches, options, folds, guarded, tuple(held))
    boxes, assigned, doubts = work.thresholds(fitted.policy)
    told("figures and their intervals", folds.count + 2, steps)
    return work.finish(boxes, assigned, doubts, failed)


def _playable(
    labelled: Sequence[Labelled], start: Policy, failed: Mapping[str, str]
) -> tuple[tuple[Labelled, ...], dict[str, str]]:
    """Sequences that the engine takes, and those that failed, with the reason."""
    workspace, good, bad = Workspace(), [], dict(failed)
    last: ReplayError | None = None
    for one in labelled:
        try:
            replay(one.sequence, start, workspace=workspace)
        except ReplayError as error:
            bad[one.name], last = error.problem, error
        else:
            good.append(one)
    if last is not None and not good:
        raise last
    return tuple(good), bad


def _require(labelled: Sequence[Labelled], matching: Matching) -> None:
    """Says so at once where nothing can be told.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one.
    """
    Scored.of(labelled, [one.sequence.scores for one in labelled], matching).units().curve().require()


def _folds(labelled: Sequence[Labelled], options: TuneOptions) -> Folds:
    return make_folds(
        [one.sequence.frames for one in labelled],
        [one.sequence.length for one in labelled],
        [one.sequence.first_frame for one in labelled],
        options.folds,
        options.seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What is known once folds are done."""

    labelled: tuple[Labelled, ...]
    matches: list[Matches]
    options: TuneOptions
    folds: Folds
    guarded: Guarded
    held: tuple[HeldOut, ...]

    def thresholds(self, policy: Policy) -> tuple[Scored, Assigned, list[str]]:
        """Boxes as the policy scores them, the policy with its thresholds, and doubts."""
        workspace, options = Workspace(), self.options
        seen = [observe(one, found, policy, workspace) for one, found in zip(self.labelled, self.matches, strict=True)]
        boxes = Scored.of(self.labelled, [one.probabilities for one in seen], options.matching)
        places = Place.of_all(self.labelled)
        units, doubts = dict[Unit, Units](), []
        for unit in options.units:
            try:
                units[unit] = boxes.units(places) if unit is Unit.BOX else self._units(seen, places, unit)
            except UndeterminedError as error:  # many a format's truth does not say which box is whose
                doubts.append(f"{unit}, all classes: {error}; the thresholds of the built-in policy are kept")
        task = Task(objective=options.objective, limits=options.limits, groups=options.groups)
        raw = Scored.of(self.labelled, [one.sequence.scores for one in self.labelled], options.matching)
        return boxes, assign_thresholds(policy, raw, places, units, task), doubts

    def _units(self, seen: Sequence[Observation], places: Sequence[Place], unit: Unit) -> Units:
        parts = []
        for one, place in zip(seen, places, strict=True):
            found = match(one.labelled, one.probabilities, self.options.matching.iou, Rule.SCORE)
            if unit is Unit.TRACK:
                parts.append(track_units(one.labelled, found, one.track_ids, one.track_probabilities, place))
            else:
                parts.append(frame_units(one.labelled, found, one.probabilities, place))
        return merge(parts)

    def finish(self, boxes: Scored, assigned: Assigned, doubts: Sequence[str], failed: Mapping[str, str]) -> Tuning:
        """The summary, and the policy with its provenance."""
        options, places = self.options, Place.of_all(self.labelled)
        sides = Sides.of(self.held, boxes, options.matching)
        scores = DecidedScores(assigned.policy)
        evaluation = self._evaluate(assigned.policy, scores)
        summary: dict[str, Any] = {
            "objective": write_objective(options.objective),
            "matching": options.matching.as_json(),
            "limits": options.limits.as_json(),
            "intervals": {"level": 0.95, "blocks": places[0].count, "of": str(places[0].unit), "seed": options.seed},
            "sequences": [one.name for one in self.labelled],
            "failed_sequences": dict(failed),
            "frames": sum(one.sequence.length for one in self.labelled),
            **compare_sides(sides, self.folds, places, options.seed),
            "groups": by_group(sides, members_of(options.groups, self.labelled)),
            "grid": on_grid(sides, options.limits),
            "iou_grid": by_iou(sides, options.matching, options.iou_grid),
            "folds": {"count": self.folds.count, "unit": self.folds.unit, "seed": options.seed},
            "fusion_does_not_help": self.guarded.without_fusion(),
            "guard": self.guarded.as_json(),
            "thresholds": assigned.chosen,
            "at_thresholds": evaluation.describe(),
            "warnings": [
                *(f"sequence {name} was left out: {why}" for name, why in failed.items()),
                *doubts,
                *assigned.warnings,
                *(text for one in self.labelled for text in one.warnings),
            ],
        }
        tree = assigned.policy.model_dump(mode="json")
        tree |= {"name": options.name, "provenance": provenance(self.labelled, summary)}
        policy = Policy.model_validate({**tree, "reference": scores.reference().model_dump()})
        summary = {"policy": {"name": policy.name, "version": policy.version}, **summary}
        return Tuning(policy, summary, options, self.labelled, self.held)

    def _evaluate(self, policy: Policy, scores: DecidedScores) -> Evaluation:
        """What the server itself says by this policy: the figures that `evaluate` gives."""
        options, workspace = self.options, Workspace()
        judged = [
            judge(one, replay(one.sequence, policy, workspace=workspace, scores=scores), policy, options.matching)
            for one in self.labelled
        ]
        return evaluate(judged, EvaluateOptions(seed=options.seed, matching=options.matching))
