"""Cross-validation: what a policy fitted on the other sequences says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.policy import Policy
from tertium_server.tuning.matching import Matches
from tertium_server.tuning.readers import Labelled

from .folds import Folds
from .logistic import Floats, sigmoid
from .model import Effort, Material, fit_policy
from .observation import observe

_INNER_GROUPS = 4
"""Groups of inner cross-validation that sequences are dealt into; of fewer, each is cut into this many blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What policies say of detections they were not fitted on: N detections of one sequence."""

    probabilities: Floats
    """(N,) of the boxes, fused."""

    calibrated: Floats
    """(N,) of the boxes, by the calibrated score alone."""

    track_probabilities: Floats
    """(N,) of the tracks."""

    track_ids: NDArray[np.int64]
    """(N,) tracks; of different folds where the sequence was cut into blocks."""


def make_materials(
    labelled: Sequence[Labelled], matches: Sequence[Matches], folds: Folds, held_out: int | None
) -> list[Material]:
    """The sequences as learning material, without the detections that a fold holds out (None: all of them)."""
    materials = []
    for index, (one, found) in enumerate(zip(labelled, matches, strict=True)):
        out = np.zeros(len(one.sequence), np.bool_) if held_out is None else folds.held_out(index, held_out)
        if len(labelled) > _INNER_GROUPS:
            groups = np.full(len(one.sequence), index % _INNER_GROUPS, np.int64)
        else:
            position = one.sequence.frames - one.sequence.first_frame
            groups = (index + position * _INNER_GROUPS // max(one.sequence.length, 1)) % _INNER_GROUPS
        materials.append(Material(one, found, ~out, groups))
    return materials


def cross_validate(
    labelled: Sequence[Labelled],
    matches: Sequence[Matches],
    folds: Folds,
    start: Policy,
    effort: Effort,
    *,
    guarded: frozenset[str] = frozenset(),
    jobs: int = 1,
    told: Callable[[int], None] = lambda _: None,
) -> list[HeldOut]:
    """Fits a policy without each fold and asks it about the fold. ``told`` hears how many folds are done. The same whatever ``jobs``."""
    results = [_nothing(len(one.sequence)) for one in labelled]
    course = _Course(tuple(labelled), tuple(matches), folds, start, effort, guarded)
    tasks = (delayed(_one_fold)(course, fold) for fold in range(folds.count))
    done: Iterator[Any] = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    for number, answers in enumerate(done):
        for index, (chosen, answer) in answers.items():
            for whole, part in zip(_columns(results[index]), _columns(answer), strict=True):
                whole[chosen] = part
        told(number + 1)
    return results


def _columns(held: HeldOut) -> tuple[NDArray[Any], ...]:
    return held.probabilities, held.calibrated, held.track_probabilities, held.track_ids


def _nothing(count: int) -> HeldOut:
    return HeldOut(np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """What all folds of a cross-validation have in common."""

    labelled: tuple[Labelled, ...]
    matches: tuple[Matches, ...]
    folds: Folds
    start: Policy
    effort: Effort
    guarded: frozenset[str]


def _one_fold(course: _Course, fold: int) -> dict[int, tuple[NDArray[np.bool_], HeldOut]]:
    """For each sequence with detections in the fold: which they are, and what the policy fitted without them says."""
    folds = course.folds
    materials = make_materials(course.labelled, course.matches, folds, fold)
    learned = [one for one in materials if one.usable.any()]
    policy = fit_policy(learned, course.start, course.effort, guarded=course.guarded).policy
    workspace = Workspace()
    answers = {}
    for index, one in enumerate(course.labelled):
        chosen = folds.held_out(index, fold)
        if not chosen.any():
            continue
        seen = observe(one, course.matches[index], policy, workspace)
        box, track, calibrated = read_out(seen.box_features, seen.track_features, one, policy)
        # Track numbers of different folds must not meet where blocks of one sequence are put together.
        track_ids = seen.track_ids[chosen] + (fold << 40 if folds.unit == "block" else 0)
        answers[index] = (chosen, HeldOut(box[chosen], calibrated[chosen], track[chosen], track_ids))
    return answers


def read_out(
    box_features: Floats, track_features: Floats, labelled: Labelled, policy: Policy
) -> tuple[Floats, Floats, Floats]:
    """Probabilities (N,) of box and track by the policy's read-outs, and by the calibrated score alone."""
    sequence = labelled.sequence
    box, track = np.zeros(len(sequence)), np.zeros(len(sequence))
    for class_id, name in sequence.class_names.items():
        chosen = sequence.class_ids == class_id
        judgement = policy.judgement(name)
        box_weights = np.array(list(judgement.box.weights.model_dump().values()))
        track_weights = np.array(list(judgement.track.weights.model_dump().values()))
        box[chosen] = sigmoid(box_features[chosen] @ box_weights)
        track[chosen] = sigmoid(track_features[chosen] @ track_weights)
    # As on the wire and in the engine: what is compared with thresholds has the precision of float32.
    return (
        box.astype(np.float32).astype(np.float64),
        track.astype(np.float32).astype(np.float64),
        sigmoid(box_features[:, 1]),
    )
