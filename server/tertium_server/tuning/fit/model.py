"""Fitting a policy's judgement: calibration of scores, evidence parameters, read-outs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.engine.evidence import SCORE_MARGIN
from tertium_server.policy import Policy
from tertium_server.tuning.matching import Matches
from tertium_server.tuning.readers import Labelled

from .logistic import Floats, Ridge, fit_logistic, log_loss, sigmoid
from .observation import Observation, observe
from .readouts import BOX_CAPACITIES, BOX_NAMES, BOX_RISING, TRACK_NAMES, Examples, Readout, fit_box, fit_track
from .search import search

Tree = dict[str, Any]

_CALIBRATION_STRENGTH = 10.0
_LEAST_GAIN = 0.05
_SEARCH_ROWS = 20_000
_SEARCH_STRENGTH = 30.0
_LEAST_TRUE = 5
"""A class with fewer true detections than this keeps the read-outs of all classes together."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A labelled sequence, and which of its detections may be learned from."""

    labelled: Labelled
    matches: Matches
    usable: NDArray[np.bool_]
    """(N,) not held out. The engine runs over the others too, for they lie in between."""

    groups: NDArray[np.int64]
    """(N,) what is held out together in inner cross-validation; different in each sequence."""

    def logits(self) -> Floats:
        """(N,) the detector's scores as log-odds, uncalibrated."""
        sequence = self.labelled.sequence
        if sequence.logits:
            return sequence.scores
        bounded = np.clip(sequence.scores, SCORE_MARGIN, 1.0 - SCORE_MARGIN)
        return np.asarray(np.log(bounded / (1.0 - bounded)))


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard the evidence parameters are searched for."""

    sweeps: int = 2
    """Times through all parameters at most; 0 keeps those of the start."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A policy that was fitted, and how."""

    policy: Policy
    """Without thresholds of its own: those of the start."""

    readouts: dict[str, tuple[Readout, Readout]]
    """Read-outs of box and track by class name."""


def fit_policy(
    materials: Sequence[Material],
    start: Policy,
    effort: Effort = Effort(),  # frozen
    *,
    guarded: frozenset[str] = frozenset(),
    told: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """A policy for these sequences, starting from another. Classes that are ``guarded`` are judged by their calibrated score alone.

    ``told`` hears of each replay, by what it is for. The same materials give the same policy.
    """
    workspace = Workspace()
    names = dict(materials[0].labelled.sequence.class_names)
    defaults: Tree = start.model_dump(mode="json")["defaults"]
    calibrations = {class_id: _calibrate(materials, [class_id]) for class_id in names}
    defaults = {**defaults, "scores": {**defaults["scores"], **_calibrate(materials, list(names))}}

    def assemble(
        judgement: Tree, readouts: dict[int, tuple[Readout, Readout]], common: tuple[Readout, Readout] | None
    ) -> Policy:
        return _assemble(start, judgement, names, calibrations, readouts, common)

    def run(judgement: Tree) -> list[Observation]:
        policy = assemble(judgement, {}, None)
        return [observe(one.labelled, one.matches, policy, workspace) for one in materials]

    def loss(judgement: Tree) -> float:
        return _search_loss(run(judgement), materials, list(names), _box_centre(judgement))

    if effort.sweeps:
        defaults, _ = search(defaults, loss, sweeps=effort.sweeps, told=lambda: told("evidence"))
    readouts: dict[int, tuple[Readout, Readout]] = {}
    common: tuple[Readout, Readout] | None = None
    # Read-outs say which tracks are established, and those are matched first: fitted twice, on what the first fit tracks.
    for _ in range(2):
        policy = assemble(defaults, readouts, common)
        observations = [observe(one.labelled, one.matches, policy, workspace) for one in materials]
        told("read-outs")
        common = _fit_readouts(observations, materials, list(names), defaults, score_only=False)
        readouts = {
            class_id: _fit_readouts(observations, materials, [class_id], defaults, score_only=name in guarded)
            for class_id, name in names.items()
            if _true_count(materials, class_id) >= _LEAST_TRUE
        }
    return Fitted(assemble(defaults, readouts, common), {names[class_id]: pair for class_id, pair in readouts.items()})


def _calibrate(materials: Sequence[Material], class_ids: list[int]) -> Tree:
    """Offset and gain that put scores of these classes on a calibrated log-odds scale."""
    values, labels = [], []
    for one in materials:
        chosen = _judged(one, class_ids)
        values.append(one.logits()[chosen])
        labels.append(one.matches.labels[chosen] == 1)
    logits, truth = np.concatenate(values), np.concatenate(labels).astype(np.float64)
    features = np.column_stack((np.ones(len(logits)), logits))
    offset, gain = fit_logistic(features, truth, (False, True), Ridge(np.array([0.0, 1.0]), _CALIBRATION_STRENGTH))
    return {"offset": float(np.clip(offset, -20.0, 20.0)), "gain": float(max(gain, _LEAST_GAIN))}


def _judged(one: Material, class_ids: list[int]) -> NDArray[np.bool_]:
    return np.asarray(one.usable & (one.matches.labels >= 0) & np.isin(one.labelled.sequence.class_ids, class_ids))


def _true_count(materials: Sequence[Material], class_id: int) -> int:
    return sum(int((one.matches.labels[_judged(one, [class_id])] == 1).sum()) for one in materials)


def _examples(
    observations: Sequence[Observation], materials: Sequence[Material], class_ids: list[int], *, tracks: bool
) -> Examples:
    features, labels, groups = [], [], []
    for seen, one in zip(observations, materials, strict=True):
        chosen = _judged(one, class_ids)
        features.append((seen.track_features if tracks else seen.box_features)[chosen])
        labels.append((seen.real if tracks else seen.matches.labels == 1)[chosen].astype(np.float64))
        groups.append(one.groups[chosen])
    return Examples(np.concatenate(features), np.concatenate(labels), np.concatenate(groups))


def _search_loss(
    observations: Sequence[Observation], materials: Sequence[Material], class_ids: list[int], centre: Floats
) -> float:
    """Held-out log loss of full box read-outs, each class for itself, over all detections."""
    total, count = 0.0, 0
    for class_id in class_ids:
        examples = _examples(observations, materials, [class_id], tracks=False)
        stride = max(1, -(-len(examples.labels) // _SEARCH_ROWS))
        examples = Examples(examples.features[::stride], examples.labels[::stride], examples.groups[::stride])
        probabilities = np.empty(len(examples.labels))
        for group in np.unique(examples.groups):
            out = examples.groups == group
            fitted = fit_logistic(
                examples.features[~out], examples.labels[~out], BOX_RISING, Ridge(centre, _SEARCH_STRENGTH)
            )
            probabilities[out] = sigmoid(examples.features[out] @ fitted)
        total += stride * len(examples.labels) * log_loss(probabilities, examples.labels)
        count += stride * len(examples.labels)
    return total / max(count, 1)


def _box_centre(judgement: Tree) -> Floats:
    return np.array([judgement["box"]["weights"][name] for name in BOX_NAMES])


def _track_centre(judgement: Tree) -> Floats:
    return np.array([judgement["track"]["weights"][name] for name in TRACK_NAMES])


def _fit_readouts(
    observations: Sequence[Observation],
    materials: Sequence[Material],
    class_ids: list[int],
    judgement: Tree,
    *,
    score_only: bool,
) -> tuple[Readout, Readout]:
    capacities = {"score": BOX_CAPACITIES["score"]} if score_only else BOX_CAPACITIES
    box = fit_box(_examples(observations, materials, class_ids, tracks=False), _box_centre(judgement), capacities)
    track = fit_track(_examples(observations, materials, class_ids, tracks=True), _track_centre(judgement))
    return box, track


def _with_readouts(judgement: Tree, readouts: tuple[Readout, Readout] | None) -> Tree:
    if readouts is None:
        return judgement
    box = {name: float(f"{weight:.9g}") for name, weight in zip(BOX_NAMES, readouts[0].weights, strict=True)}
    track = {name: float(f"{weight:.9g}") for name, weight in zip(TRACK_NAMES, readouts[1].weights, strict=True)}
    return {
        **judgement,
        "box": {**judgement["box"], "weights": box},
        "track": {**judgement["track"], "weights": track},
    }


def _assemble(
    start: Policy,
    judgement: Tree,
    names: dict[int, str],
    calibrations: dict[int, Tree],
    readouts: dict[int, tuple[Readout, Readout]],
    common: tuple[Readout, Readout] | None,
) -> Policy:
    """The policy of these parts: the defaults are what is right for all classes together, and each class has its own."""
    tree = start.model_dump(mode="json")
    base = _with_readouts(judgement, common)
    classes = {
        name: _with_readouts({**base, "scores": {**base["scores"], **calibrations[class_id]}}, readouts.get(class_id))
        for class_id, name in names.items()
    }
    return Policy.model_validate({**tree, "defaults": base, "classes": classes, "provenance": {}})
