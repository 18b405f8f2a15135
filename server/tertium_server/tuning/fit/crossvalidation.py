"""Cross-validation: what a policy fitted on the other sequences says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    probabilities: NDArray[np.float32]
    """(N,) of the boxes, fused."""

    calibrated: Floats
    """(N,) of the boxes, by the calibrated score alone."""

    track_probabilities: NDArray[np.float32]
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
    done: Any = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    for number, answers in enumerate(done):
        for index, (chosen, answer) in answers.items():
            for whole, part in zip(_columns(results[index]), _columns(answer), strict=True):
                whole[chosen] = part
        told(number + 1)
    return results


def _columns(held: HeldOut) -> tuple[NDArray[Any], ...]:
    return held.probabilities, held.calibrated, held.track_probabilities, held.track_ids


def _nothing(count: int) -> HeldOut:
    return HeldOut(np.zeros(count, np.float32), np.zeros(count), np.zeros(count, np.float32), np.zeros(count, np.int64))


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
        # Track numbers of different folds must not meet where blocks of one sequence are put together.
        track_ids = seen.track_ids[chosen] + (fold << 40 if folds.unit == "block" else 0)
        calibrated = sigmoid(seen.box_features[chosen, 1])
        held = HeldOut(seen.probabilities[chosen], calibrated, seen.track_probabilities[chosen], track_ids)
        answers[index] = (chosen, held)
    return answers
