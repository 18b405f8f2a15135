"""Thresholds into a policy: over all classes, by class, and by group of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tertium_server.errors import TertiumError
from tertium_server.policy import Policy

from .choosing import Choice, choose_thresholds
from .curve import Curve, UndeterminedError
from .figures import Scored
from .limits import Limits
from .objectives import F1, Objective
from .plain_scenes import YesRange, are_of_its_scale, yes_ranges
from .readers import Labelled
from .thresholds import TwoThresholds
from .units import Place, Unit, Units

IN_POLICY = (Unit.BOX, Unit.TRACK)
"""Units that a policy has thresholds for; those of frames are only told."""


_ALL = ""
"""In place of a class's name: all classes together, and those that the policy does not name."""


class GroupError(TertiumError):
    """A group of sequences that holds none, or has no name. The message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What thresholds are chosen for."""

    objective: Objective
    limits: Limits
    groups: Mapping[str, tuple[str, ...]]
    """Patterns of sequence names by the name of the group."""

    @property
    def leaves_yes_open(self) -> bool:
        """Whether nobody has said where YES must begin, by a precision, a price or bounds: then plain scenes may say so."""
        free = isinstance(self.objective, F1) and self.objective.precision is None
        return free and self.limits.bounds is None and self.limits.grid is None


@dataclass(frozen=True, slots=True)
class Assigned:
    """A policy with its thresholds."""

    policy: Policy
    chosen: dict[str, Any]
    """What they are and what comes of them: "overall", "classes" and "groups"."""

    warnings: tuple[str, ...]


def parse_groups(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Groups written as "NAME=PATTERN", some of them more than once.

    Raises:
        GroupError: one is written otherwise.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, pattern = text.partition("=")
        if not sign or not name.strip() or not pattern.strip():
            raise GroupError(f"--group {text}: write it as NAME=PATTERN, as in yard='cam-0*'")
        groups[name.strip()] = (*groups.get(name.strip(), ()), pattern.strip())
    return groups


def members_of(groups: Mapping[str, tuple[str, ...]], labelled: Sequence[Labelled]) -> dict[str, list[int]]:
    """Places of the sequences of each group, whose names match one of its patterns.

    Raises:
        GroupError: no sequence does.
    """
    members = {}
    for name, patterns in groups.items():
        members[name] = [
            place for place, one in enumerate(labelled) if any(fnmatchcase(one.name, pattern) for pattern in patterns)
        ]
        if not members[name]:
            raise GroupError(f"--group {name}: no sequence has a name that matches {' or '.join(patterns)}")
    return members


def assign_thresholds(
    policy: Policy, scored: Scored, places: Sequence[Place], units: Mapping[Unit, Units], task: Task
) -> Assigned:
    """Chooses thresholds for each unit over all classes, by class, and by class within each group. ``scored``: sequences by the detector's scores.

    Where nobody has said where YES must begin, it begins where the policy judges plain scenes rightly. Where a class can't be judged it keeps
    those of all classes; in a group, its own of all sequences.

    Raises:
        UndeterminedError: there is no object, no detection, or no right one at all.
    """
    tree, labelled = policy.model_dump(mode="json"), scored.labelled
    hours = [one.sequence.seconds / 3600.0 for one in labelled]
    allowed = _allowed(policy, scored) if task.leaves_yes_open else {}
    everything = _Chooser(units, task, sum(hours), labelled[0].sequence.class_names, allowed)
    overall, by_class, warnings = everything.choose("")
    for unit, choice in overall.items():
        if unit in IN_POLICY:
            tree["defaults"][unit]["thresholds"] |= pair_of(choice)
    for name, choices in by_class.items():
        for unit, choice in choices.items():
            if unit in IN_POLICY:
                tree["classes"][name][unit]["thresholds"] |= pair_of(choice)
    chosen: dict[str, Any] = _told(overall, by_class)
    chosen["groups"] = {}
    for group, members in members_of(task.groups, labelled).items():
        part = {unit: changes.in_blocks(_blocks_of(places, members)) for unit, changes in units.items()}
        total = sum(hours[place] for place in members)
        chooser = _Chooser(part, task, total, labelled[0].sequence.class_names, allowed)
        common, classes, doubts = chooser.choose(f"group {group}, ", by_class)
        warnings += doubts
        chosen["groups"][group] = _told(common, classes)
        tree["groups"] = {**tree.get("groups", {}), group: {"classes": {
            name: {str(unit): {"thresholds": pair_of(one)} for unit, one in choices.items() if unit in IN_POLICY}
            for name, choices in classes.items()
        }}}  # fmt: skip
    return Assigned(Policy.model_validate(tree), chosen, tuple(warnings))


def pair_of(choice: Choice) -> dict[str, float]:
    """Thresholds as probabilities: what accepts nothing, or everything, is 1 or 0."""
    yes = min(choice.thresholds.yes.threshold, 1.0)
    return {"yes": yes, "no": min(max(choice.thresholds.no.threshold, 0.0), yes)}


_Choices = dict[Unit, Choice]


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses for some sequences."""

    units: Mapping[Unit, Units]
    task: Task
    hours: float
    class_names: Mapping[int, str]
    allowed: Mapping[str, Mapping[Unit, YesRange]]
    """Where YES may begin, by class and unit; of all classes together under ""."""

    def choose(
        self, where: str, instead: Mapping[str, _Choices] | None = None
    ) -> tuple[_Choices, dict[str, _Choices], list[str]]:
        """Choices over all classes and by class, with warnings that begin with ``where``; ``instead``: what classes have that can't be judged."""
        warnings: list[str] = []
        alone = len(self.class_names) == 1  # then what is said of all classes is said of that one
        overall: _Choices = {}
        for unit, changes in self.units.items():
            overall[unit] = self._of(changes, _ALL)
            warnings += [f"{where}{unit}, all classes: {text}" for text in overall[unit].thresholds.warnings]
        by_class: dict[str, _Choices] = {}
        for class_id, name in self.class_names.items():
            by_class[name] = {}
            for unit, changes in self.units.items():
                try:
                    choice = self._of(changes.of_class(class_id), name)
                except UndeterminedError as error:
                    kept = "all sequences" if instead else "all classes"
                    warnings.append(f"{where}{unit}, {name}: {error}; the thresholds of {kept} are used")
                    choice = instead[name][unit] if instead else overall[unit]
                else:
                    told = overall[unit].thresholds.warnings if alone else ()
                    warnings += [
                        f"{where}{unit}, {name}: {text}" for text in choice.thresholds.warnings if text not in told
                    ]
                by_class[name][unit] = choice
        return overall, by_class, warnings

    def _of(self, changes: Units, name: str) -> Choice:
        choice = choose_thresholds(changes, self.task.objective, hours=self.hours, limits=self.task.limits)
        allowed = self.allowed.get(name, {}).get(changes.unit)
        return choice if allowed is None else _within(choice, allowed, changes.curve())


def _within(choice: Choice, allowed: YesRange, curve: Curve) -> Choice:
    """The choice with YES, and NO where it would lie over it, moved to where YES may begin. Where the two ends cross, a flash is no YES."""
    pair = choice.thresholds
    if pair.yes.threshold < allowed.least:
        return _saying(
            replace(pair, yes=curve.at(allowed.least)), choice, "by the latter a box of 0.6 in one frame alone is YES"
        )
    most = max(allowed.least, allowed.most)
    if pair.yes.threshold > most:
        lower = curve.at(most)
        no = pair.no if pair.no.threshold <= most else lower
        return _saying(
            replace(pair, yes=lower, no=no),
            choice,
            "by the latter a track that was long sure at 0.9 is not when it is hidden",
        )
    return choice


def _saying(pair: TwoThresholds, before: Choice, why: str) -> Choice:
    """The choice with this pair, and a word on what it was before and why it is another."""
    old, new = before.thresholds.yes, pair.yes
    text = (
        f"YES begins at {new.threshold:.4g} (F1 {new.f1:.3f}) and not at {old.threshold:.4g} (F1 {old.f1:.3f}): {why}"
    )
    return replace(before, thresholds=replace(pair, warnings=(*pair.warnings, text)))


def _allowed(policy: Policy, scored: Scored) -> dict[str, dict[Unit, YesRange]]:
    """Where YES may begin, by class and unit; of classes that plain scenes say something of."""
    one = scored.labelled[0].sequence
    found = {}
    for class_id, name in [(None, _ALL), *one.class_names.items()]:
        scores, labels = scored.judged(class_id)
        if are_of_its_scale(scores, labels == 1.0, logits=one.logits):
            found[name] = yes_ranges(policy, name, logits=one.logits)
    return found


def _blocks_of(places: Sequence[Place], members: Sequence[int]) -> Any:  # noqa: ANN401  # numpy's own type says no more
    """(blocks,) those that these sequences lie in. A block never spans two sequences."""
    chosen = np.zeros(places[0].count, np.bool_)
    for place in members:
        chosen[places[place].of_frames] = True
    return chosen


def _told(overall: _Choices, by_class: Mapping[str, _Choices]) -> dict[str, Any]:
    return {
        "overall": {str(unit): _chosen(choice) for unit, choice in overall.items()},
        "classes": {
            name: {str(unit): _chosen(choice) for unit, choice in choices.items()} for name, choices in by_class.items()
        },
    }


def _chosen(choice: Choice) -> dict[str, Any]:
    pair = choice.thresholds
    return {
        **pair_of(choice),
        "precision_of_yes": _number(pair.yes.precision),
        "recall_of_yes": _number(pair.yes.recall),
        "f1_of_yes": _number(pair.yes.f1),
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
