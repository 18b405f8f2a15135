"""Leave-one-sequence-out on one data set: every rule's scores of every judged box, by policies and calibrations fitted without its sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scoring import rules
from scoring.figures import Floats, Judged, Ranked, Ranking, calibration_error, log_loss, summarize

from tertium_server.engine import Workspace
from tertium_server.policy import Policy, default_policy
from tertium_server.tuning.figures import Matching
from tertium_server.tuning.fit.crossvalidation import HeldOut, cross_validate, make_materials
from tertium_server.tuning.fit.folds import Folds, make_folds
from tertium_server.tuning.fit.logistic import Ridge, fit_logistic, log_odds, sigmoid
from tertium_server.tuning.fit.model import Effort as FitEffort
from tertium_server.tuning.fit.model import fit_policy
from tertium_server.tuning.fit.observation import match_by_score, observe
from tertium_server.tuning.fit.rungs import Rung
from tertium_server.tuning.guarding import guard
from tertium_server.tuning.matching import Matches
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.spread import Spread

RAW, CALIBRATED, FUSED = "raw score", "calibrated score", "fused"
_LEAST = 1e-4  # scores are kept this far from 0 and 1 before their logit is taken, as the engine does
_CALIBRATION_STRENGTH = 10.0
_BLOCKS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The judged boxes of one class in one fold of one sequence, in the order of the file."""

    fold: int
    judged: Judged
    raw: Floats
    """(N,) scores of the detector, as probabilities."""
    calibrated: Floats
    fused: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a rule says of each part's boxes: to rank them by, and as a probability."""

    ranks: tuple[Floats, ...]
    probabilities: tuple[Floats, ...]
    variants: tuple[str, ...] = ()
    """Which variant of the rule each fold took."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How policies are fitted."""

    sweeps: int = 0
    """Times through the evidence parameters; 0, as ``tertium tune`` does."""
    guarded: bool = True
    """Let classes down the ladder of fallbacks where folds of the training sequences say so, as ``tertium tune`` does."""
    jobs: int = 1
    """Processes at a time."""
    lag: int = 0
    """Frames that answers wait for: the policy's decision_lag."""

    @property
    def start(self) -> Policy:
        """The policy that fits start from: the built-in one, with the lag."""
        policy = default_policy()
        return policy.model_copy(update={"tracker": policy.tracker.model_copy(update={"decision_lag": self.lag})})


def measure(labelled: Sequence[Labelled], effort: Effort, told: Callable[[str], None]) -> dict[str, Any]:
    """Figures of the data set by class and rule. Blocks of frames are held out where there is one sequence."""
    matches = [match_by_score(one, iou=0.5) for one in labelled]
    folds = _folds(labelled, len(labelled) if len(labelled) > 1 else _BLOCKS)
    if len(labelled) > 1:
        held, rungs = _hold_out_sequences(labelled, matches, effort, told)
    else:
        held, rungs = _hold_out_blocks(labelled, matches, folds, effort)
    classes = {}
    for class_id, name in labelled[0].sequence.class_names.items():
        parts = _parts(labelled, matches, folds, held, class_id)
        if parts and sum(one.judged.true.sum() for one in parts):
            told(f"rules of thumb, {name}")
            classes[name] = {"rungs": [rung[name] for rung in rungs], **_by_rule(parts)}
    return {
        "sequences": [one.name for one in labelled],
        "folds": {"count": folds.count, "unit": folds.unit},
        "classes": classes,
    }


def _folds(labelled: Sequence[Labelled], count: int | None) -> Folds:
    return make_folds(
        [one.sequence.frames for one in labelled],
        [one.sequence.length for one in labelled],
        [one.sequence.first_frame for one in labelled],
        count,
        0,
    )


def _hold_out_sequences(
    labelled: Sequence[Labelled], matches: Sequence[Matches], effort: Effort, told: Callable[[str], None]
) -> tuple[list[HeldOut], list[dict[str, str]]]:
    """What policies that are tuned without each sequence say of it, and on which rungs they are."""
    workspace, held, rungs = Workspace(), [], []
    for place, one in enumerate(labelled):
        told(f"{place + 1} of {len(labelled)}: without {one.name}")
        rest = [other for other in labelled if other is not one]
        found = [matches[index] for index, other in enumerate(labelled) if other is not one]
        chosen, policy = tuned(rest, found, effort)
        seen = observe(one, matches[place], policy, workspace)
        rungs.append({name: str(rung) for name, rung in chosen.items()})
        held.append(
            HeldOut(
                seen.probabilities,
                sigmoid(seen.measurements()),
                log_odds(seen.probabilities.astype(np.float64)),
                seen.track_probabilities,
                seen.track_ids,
            )
        )
    return held, rungs


def tuned(
    labelled: Sequence[Labelled], matches: Sequence[Matches], effort: Effort
) -> tuple[Mapping[str, Rung], Policy]:
    """The policy that tuning comes to, thresholds apart."""
    start, folds = effort.start, _folds(labelled, None)
    rungs: Mapping[str, Rung] = dict.fromkeys(labelled[0].sequence.class_names.values(), Rung.FITTED)
    if effort.guarded:
        by_rung = cross_validate(labelled, matches, folds, start, FitEffort(effort.sweeps), spread=Spread(effort.jobs))
        rungs = guard(labelled, by_rung, folds, Matching()).rungs
    materials = make_materials(labelled, matches, folds, None)
    return rungs, fit_policy(materials, start, FitEffort(effort.sweeps), rungs=rungs).policy


def _hold_out_blocks(
    labelled: Sequence[Labelled], matches: Sequence[Matches], folds: Folds, effort: Effort
) -> tuple[list[HeldOut], list[dict[str, str]]]:
    """The same for blocks of the only sequence. Its classes stay on the first rung: there is nothing left to choose another by."""
    by_rung = cross_validate(
        labelled, matches, folds, effort.start, FitEffort(effort.sweeps), spread=Spread(effort.jobs)
    )
    names = labelled[0].sequence.class_names.values()
    return by_rung[Rung.FITTED], [dict.fromkeys(names, str(Rung.FITTED))] * folds.count


def _parts(
    labelled: Sequence[Labelled], matches: Sequence[Matches], folds: Folds, held: Sequence[HeldOut], class_id: int
) -> list[Part]:
    parts = []
    for place, (one, found, answer) in enumerate(zip(labelled, matches, held, strict=True)):
        sequence = one.sequence
        raw = sigmoid(sequence.scores) if sequence.logits else sequence.scores
        objects = int(found.objects[class_id]) if class_id < len(found.objects) else 0
        for fold in range(folds.count):
            chosen = (found.labels >= 0) & (sequence.class_ids == class_id) & folds.held_out(place, fold)
            if not chosen.any():
                continue
            tracks = np.unique(answer.track_ids[chosen], return_inverse=True)[1].astype(np.int64)
            true = (found.labels[chosen] == 1).astype(np.float64)
            # Objects of a block are its right boxes and its share of what no box was found for.
            share = (
                objects if folds.unit == "sequence" else round(objects * true.sum() / max((found.labels == 1).sum(), 1))
            )
            judged = Judged(true, tracks, sequence.frames[chosen], share)
            parts.append(
                Part(
                    fold,
                    judged,
                    raw[chosen],
                    answer.calibrated[chosen],
                    answer.probabilities[chosen].astype(np.float64),
                )
            )
    return parts


def _by_rule(parts: list[Part]) -> dict[str, Any]:
    scores = {
        RAW: Scores(tuple(one.raw for one in parts), tuple(one.raw for one in parts)),
        CALIBRATED: Scores(tuple(one.calibrated for one in parts), tuple(one.calibrated for one in parts)),
        **{name: _held_out(parts, variants) for name, variants in rules.RULES.items()},
        FUSED: Scores(tuple(one.fused for one in parts), tuple(one.fused for one in parts)),
    }
    judged = [one.judged for one in parts]
    return {
        "objects": sum(one.objects for one in judged),
        "detections": sum(len(one.true) for one in judged),
        "tracks": sum(len(np.unique(one.tracks)) for one in judged),
        "rules": {name: _figures(judged, found) for name, found in scores.items()},
    }


def _held_out(parts: list[Part], variants: Mapping[str, rules.Rule]) -> Scores:
    """A rule's scores, its variant chosen and its scale calibrated on the other folds."""
    tried = {
        name: [rules.apply(rule, one.judged.tracks, one.judged.frames, one.raw) for one in parts]
        for name, rule in variants.items()
    }
    worth = {
        name: [_worth(one.judged, ranks) for one, ranks in zip(parts, found, strict=True)]
        for name, found in tried.items()
    }
    weights = np.array([one.judged.objects for one in parts], float)
    ranks, probabilities, names = [], [], []
    for one, place in zip(parts, range(len(parts)), strict=True):
        others = np.array([other.fold != one.fold for other in parts])
        best = max(tried, key=lambda name: float((weights * others) @ np.array(worth[name])))
        learned = [tried[best][other] for other in np.flatnonzero(others)]
        true = [parts[other].judged.true for other in np.flatnonzero(others)]
        ranks.append(tried[best][place])
        probabilities.append(_calibrated(learned, true, tried[best][place]))
        names.append(best)
    return Scores(tuple(ranks), tuple(probabilities), tuple(names) if len(tried) > 1 else ())


def _worth(judged: Judged, ranks: Floats) -> float:
    return Ranking.of(ranks, judged.true).average_precision(judged.objects)


def _calibrated(learned: list[Floats], true: list[NDArray[np.float64]], asked: Floats) -> Floats:
    """What scores are worth by the logistic fit of others."""
    features = _features(np.concatenate(learned))
    ridge = Ridge(np.array([0.0, 1.0]), _CALIBRATION_STRENGTH)
    return sigmoid(_features(asked) @ fit_logistic(features, np.concatenate(true), (False, True), ridge))


def _features(scores: Floats) -> Floats:
    bounded = np.clip(scores, _LEAST, 1.0 - _LEAST)
    return np.column_stack((np.ones(len(bounded)), np.log(bounded / (1.0 - bounded))))


def _figures(judged: list[Judged], scores: Scores) -> dict[str, Any]:
    """By sequence, each at thresholds of its own; and pooled, one threshold for all."""
    ranked = [Ranked.of(one, ranks) for one, ranks in zip(judged, scores.ranks, strict=True)]
    pooled = _pool(judged)
    probabilities = np.concatenate(scores.probabilities)
    return {
        **summarize(ranked),
        "log_loss": log_loss(probabilities, pooled.true),
        "calibration_error": calibration_error(probabilities, pooled.true),
        "pooled": summarize([Ranked.of(pooled, np.concatenate(scores.ranks))]),
        **({"variants": list(scores.variants)} if scores.variants else {}),
    }


def _pool(judged: list[Judged]) -> Judged:
    offsets = np.cumsum([0, *(int(one.tracks.max(initial=-1)) + 1 for one in judged)])
    moved = [replace(one, tracks=one.tracks + offset) for one, offset in zip(judged, offsets[:-1], strict=True)]
    return Judged(
        np.concatenate([one.true for one in moved]),
        np.concatenate([one.tracks for one in moved]),
        np.concatenate([one.frames for one in moved]),
        sum(one.objects for one in moved),
    )
