"""What `tertium evaluate` does, for notebooks too: from labelled sequences and policies to one tree of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tertium_server.policy import Policy
from tertium_server.policy.resolution import matching

from .cache import ReplayCache
from .decisions import Decisions, ReplayError
from .evaluate import EvaluateOptions, Evaluation, compare, evaluate
from .evaluate_decisions import read_decisions
from .evaluate_metrics import Metric
from .evaluate_slices import slices
from .evaluate_tables import Tables
from .intervals import LEVEL
from .judged import judge
from .readers import Labelled
from .replay import ReplayOptions
from .replaying import replay_all
from .spread import Spread

DEFAULT_GROUP = "default"
_MOST_NAMED = 5

Json = dict[str, Any]
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """How policies are evaluated."""

    options: EvaluateOptions
    replay: ReplayOptions
    metrics: tuple[Metric, ...] = ()
    spread: Spread = field(default_factory=Spread)
    cache: ReplayCache | None = None
    tables: Tables | None = None
    """Where rows of the first policy are written; None: nowhere."""

    def of_policies(
        self,
        labelled: Sequence[Labelled],
        policy: Policy,
        against: Policy | None,
        failed: Mapping[str, str],
        told: Told = lambda _what, _done, _all: None,
    ) -> Json:
        """Figures of a policy; with a second one its figures, too, and the differences.

        Raises:
            ReplayError: the engine refused a frame of every sequence.
        """
        policies = [policy] if against is None else [policy, against]
        kept, bad, by_policy = list(labelled), dict(failed), []
        steps = len(policies) * len(labelled)
        for place, one in enumerate(policies):
            hears = partial(_tell, told, place * len(labelled), steps)
            done = replay_all(kept, one, self.replay, spread=self.spread, cache=self.cache, told=hears)
            bad |= done.failed
            by_policy.append({decisions.sequence.name: decisions for decisions in done.decisions})
        kept = [one for one in kept if all(one.name in found for found in by_policy)]
        if not kept:
            name, why = next(iter(bad.items()))
            raise ReplayError(name, why)
        told("figures and their intervals", steps, steps)
        evaluations = [
            self._evaluate(kept, one, [found[labelled_one.name] for labelled_one in kept])
            for one, found in zip(policies, by_policy, strict=True)
        ]
        return self._tree(evaluations, policies, bad)

    def of_file(self, labelled: Sequence[Labelled], policy: Policy, file: Path, failed: Mapping[str, str]) -> Json:
        """Figures of the decisions that `tertium replay` wrote; the policy says what is YES of a track.

        Raises:
            ReadError: the file does not belong to these recordings.
        """
        decisions = read_decisions(file, labelled, policy.version)
        return self._tree([self._evaluate(labelled, policy, decisions)], [policy], failed)

    def _evaluate(self, labelled: Sequence[Labelled], policy: Policy, decisions: Sequence[Decisions]) -> Evaluation:
        judged = [
            judge(one, said, policy, self.options.matching) for one, said in zip(labelled, decisions, strict=True)
        ]
        return evaluate(judged, self.options)

    def _tree(self, evaluations: Sequence[Evaluation], policies: Sequence[Policy], failed: Mapping[str, str]) -> Json:
        first, places = evaluations[0], evaluations[0].places()
        if self.tables is not None:
            self.tables.write(first.judged)
        tree: Json = {
            "version": version("tertium"),
            "matching": self.options.matching.as_json(),
            "intervals": {
                "level": LEVEL,
                "blocks": places[0].count,
                "of": str(places[0].unit),
                "seed": self.options.seed,
            },
            "sequences": [one.name for one in first.judged],
            "failed_sequences": dict(failed),
            "policy": _name(policies[0]),
            **self._figures(first),
            "warnings": [
                *first.warnings,
                *(text for one in policies for text in _unused(one)),
                *(text for one in first.judged for text in one.labelled.warnings),
            ],
        }
        if len(evaluations) > 1:
            second = evaluations[1]
            tree["against"] = {"policy": _name(policies[1]), **self._figures(second)}
            tree["difference"] = compare(first, second)
        return tree

    def _figures(self, evaluation: Evaluation) -> Json:
        return {
            **evaluation.describe(),
            "slices": slices(evaluation.judged, evaluation.places(), self.options.seed),
            "metrics": {metric.name: metric.of(evaluation.judged) for metric in self.metrics},
        }


def _tell(told: Told, before: int, steps: int, done: int) -> None:
    told("replaying", before + done, steps)


def _unused(policy: Policy) -> list[str]:
    """What is not looked at, in words: recordings say nothing of the group and the name that their streams had."""
    found = matching(policy.groups, DEFAULT_GROUP)
    own = "" if found is None else found[0]
    names = [
        *(f"group {name}" for name in policy.groups if name != own),
        *(f"stream {name}" for name in policy.streams),
    ]
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    left_out = ", ".join(names[:_MOST_NAMED]) + more
    judged = f"recordings are judged as a stream without a name in the group {DEFAULT_GROUP}"
    return [f"policy {policy.name}: what it says of {left_out} is not looked at; {judged}"]


def _name(policy: Policy) -> Json:
    return {"name": policy.name, "version": policy.version}
