"""Cross-validation: what a policy fitted on the other sequences says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.policy import Policy, box_weights
from tertium_server.tuning.cache import ReplayCache, key_of
from tertium_server.tuning.matching import Matches
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.spread import Spread

from .folds import Folds
from .logistic import Floats, log_odds, log_odds_of, sigmoid
from .model import Effort, Material, fit_policy
from .observation import Observation, observe
from .rungs import Rung

_ASKED = (Rung.FITTED, Rung.START)
"""Rungs that policies are fitted on."""

_INNER_GROUPS = 4
"""Groups of inner cross-validation that sequences are dealt into; of fewer, each is cut into this many blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What policies say of detections they were not fitted on: N detections of one sequence."""

    probabilities: NDArray[np.float32]
    """(N,) of the boxes, fused."""

    calibrated: Floats
    """(N,) of the boxes, by the calibrated score alone."""

    log_odds: Floats
    """(N,) of the boxes, fused: what `probabilities` are the logistic function of."""

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
    spread: Spread | None = None,
    cache: ReplayCache | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> dict[Rung, list[HeldOut]]:
    """Fits policies without each fold, on each rung, and asks them about the fold. ``told`` hears how many folds are done.

    Where the score has a say in the log-odds no policy of its own is needed. The same wherever the work is done. With a cache, folds that were
    done before are taken from it, and the others kept: what was interrupted goes on where it stood.
    """
    results = {rung: [_nothing(len(one.sequence)) for one in labelled] for rung in _ASKED}
    course = _Course(tuple(labelled), tuple(matches), folds, start, effort)
    for number, answers in enumerate(_all_folds(course, spread or Spread(), cache)):
        for (rung, index), (chosen, answer) in answers.items():
            for whole, part in zip(_columns(results[rung][index]), _columns(answer), strict=True):
                whole[chosen] = part
        told(number + 1)
    return {
        Rung.FITTED: results[Rung.FITTED],
        Rung.FITTED_HALF: [_with_score(one, 0.5) for one in results[Rung.FITTED]],
        Rung.START: results[Rung.START],
        Rung.START_HALF: [_with_score(one, 0.5) for one in results[Rung.START]],
        Rung.SCORE: [_with_score(one, 1.0) for one in results[Rung.FITTED]],
    }


def _with_score(held: HeldOut, share: float) -> HeldOut:
    """The same boxes judged by log-odds that come from their calibrated scores by this share: an engine tracks no differently for it."""
    mixed = share * log_odds(held.calibrated) + (1.0 - share) * held.log_odds
    return replace(held, probabilities=sigmoid(mixed).astype(np.float32), log_odds=mixed)


def combine(
    labelled: Sequence[Labelled], by_rung: Mapping[Rung, Sequence[HeldOut]], rungs: Mapping[str, Rung]
) -> list[HeldOut]:
    """What is said of each detection on the rung of its class."""
    combined = []
    for index, one in enumerate(labelled):
        result = _nothing(len(one.sequence))
        for number, (rung, held) in enumerate(by_rung.items()):
            ids = [class_id for class_id, name in one.sequence.class_names.items() if rungs[name] is rung]
            chosen = np.isin(one.sequence.class_ids, ids)
            for whole, part in zip(_columns(result), _columns(held[index]), strict=True):
                whole[chosen] = part[chosen]
            result.track_ids[chosen] += number << 50  # those of different policies must not meet
        combined.append(result)
    return combined


def _columns(held: HeldOut) -> tuple[NDArray[Any], ...]:
    return held.probabilities, held.calibrated, held.log_odds, held.track_probabilities, held.track_ids


def _nothing(count: int) -> HeldOut:
    floats = np.zeros(count, np.float32)
    return HeldOut(floats, np.zeros(count), np.zeros(count), floats.copy(), np.zeros(count, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """What all folds of a cross-validation have in common."""

    labelled: tuple[Labelled, ...]
    matches: tuple[Matches, ...]
    folds: Folds
    start: Policy
    effort: Effort


_Answers = dict[tuple[Rung, int], tuple[NDArray[np.bool_], HeldOut]]


def _all_folds(course: _Course, spread: Spread, cache: ReplayCache | None) -> Iterator[_Answers]:
    """Folds in order: from the cache, or else worked out and kept there by whoever does."""
    keys = [None if cache is None else _key(course, fold) for fold in range(course.folds.count)]
    known = {
        fold: _unpack(kept)
        for fold, key in enumerate(keys)
        if cache is not None and key is not None and (kept := cache.get(key)) is not None
    }
    tasks = [(fold, key) for fold, key in enumerate(keys) if fold not in known]
    done = spread.over(partial(_kept_fold, course, cache), tasks)
    for fold in range(course.folds.count):
        yield known[fold] if fold in known else next(done)


def _kept_fold(course: _Course, cache: ReplayCache | None, task: tuple[int, str | None]) -> _Answers:
    fold, key = task
    answers = _one_fold(course, fold)
    if cache is not None and key is not None:
        cache.put(key, _pack(answers))
    return answers


def _key(course: _Course, fold: int) -> str:
    settings = {
        "fold": fold,
        "folds": [_changes(one).tolist() for one in course.folds.of_sequence],
        "unit": course.folds.unit,
        "start": course.start.sha256,
        "sweeps": course.effort.sweeps,
        "iou": course.matches[0].iou,
    }
    return key_of("fold", course.labelled, settings)


def _changes(folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The folds of a sequence's detections in few numbers: places where they change, and what to."""
    places = np.flatnonzero(np.diff(folds, prepend=-1))
    return np.stack([places, folds[places]])


def _pack(answers: _Answers) -> dict[str, NDArray[Any]]:
    return {
        f"{rung.value} {index} {name}": column
        for (rung, index), (chosen, held) in answers.items()
        for name, column in zip(_PACKED, (chosen, *_columns(held)), strict=True)
    }


def _unpack(arrays: Mapping[str, NDArray[Any]]) -> _Answers:
    answers: _Answers = {}
    for rung, index in sorted({tuple(name.split(" ")[:2]) for name in arrays}):
        chosen, probabilities, calibrated, values, tracks, ids = (arrays[f"{rung} {index} {name}"] for name in _PACKED)
        answers[Rung(rung), int(index)] = (chosen, HeldOut(probabilities, calibrated, values, tracks, ids))
    return answers


_PACKED = ("chosen", "probabilities", "calibrated", "log_odds", "track_probabilities", "track_ids")


def _one_fold(course: _Course, fold: int) -> _Answers:
    """For each rung and sequence with detections in the fold: which they are, and what the policy fitted without them says."""
    folds = course.folds
    materials = make_materials(course.labelled, course.matches, folds, fold)
    # All that there is to learn from may be in this fold; then it is judged by what there is without any data.
    learned = [one for one in materials if one.usable.any()] or materials
    names = course.labelled[0].sequence.class_names.values()
    workspace = Workspace()
    answers: _Answers = {}
    for rung in _ASKED:
        # Only what is fitted is searched for.
        effort = course.effort if rung is Rung.FITTED else Effort(0)
        policy = fit_policy(learned, course.start, effort, rungs=dict.fromkeys(names, rung)).policy
        for index, one in enumerate(course.labelled):
            chosen = folds.held_out(index, fold)
            if not chosen.any():
                continue
            seen = observe(one, course.matches[index], policy, workspace)
            # Track numbers of different folds must not meet where blocks of one sequence are put together.
            track_ids = seen.track_ids[chosen] + (fold << 40 if folds.unit == "block" else 0)
            answers[rung, index] = (chosen, HeldOut(
                seen.probabilities[chosen],
                sigmoid(seen.measurements()[chosen]),
                _box_log_odds(seen, policy)[chosen],
                seen.track_probabilities[chosen],
                track_ids,
            ))  # fmt: skip
    return answers


def _box_log_odds(seen: Observation, policy: Policy) -> Floats:
    """(N,) what the box read-out of a policy makes of what the engine saw."""
    sequence = seen.labelled.sequence
    values = np.zeros(len(sequence))
    for class_id, name in sequence.class_names.items():
        chosen = sequence.class_ids == class_id
        weights = np.array(box_weights(policy.judgement(name).box.weights))
        values[chosen] = log_odds_of(seen.box_features[chosen], weights)
    return values
