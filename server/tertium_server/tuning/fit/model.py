"""Fitting a policy's judgement: calibration of scores, evidence parameters, read-outs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.engine.evidence import SCORE_MARGIN
from tertium_server.policy import Policy, box_weights, track_weights
from tertium_server.policy.values import BoxWeights, TrackWeights
from tertium_server.tuning.matching import Matches
from tertium_server.tuning.readers import Labelled

from .logistic import Floats, Ridge, fit_logistic, log_loss, predict
from .observation import Observation, observe
from .readouts import (
    BOX_NAMES,
    BOX_PRIOR,
    BOX_RISING,
    SCORE_ALONE,
    TRACK_NAMES,
    TRACKS_OF_PRIOR,
    Examples,
    Readout,
    fit_box,
    fit_track,
    halved,
    rescale,
)
from .rungs import Rung
from .search import search

Tree = dict[str, Any]

_CALIBRATION_STRENGTH = 10.0
_LEAST_GAIN = 0.05
_SEARCH_ROWS = 20_000
_HEIGHTS = (0.005, 0.995)
_LEAST_HEIGHTS = 20
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
    rungs: Mapping[str, Rung] = MappingProxyType({}),
    told: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """A policy for these sequences, starting from another. Each class is fitted on its rung, on the first where none is named.

    ``told`` hears of each replay, by what it is for. The same materials give the same policy.
    """
    fit = _Fit.of(materials, start)
    searched = fit.search(effort, told)
    on = {class_id: rungs.get(name, Rung.FITTED) for class_id, name in fit.names.items()}
    searched = fit.with_heights(searched, list(fit.names))
    judgements = {
        class_id: fit.base if rung.is_start else fit.with_heights(searched, [class_id]) for class_id, rung in on.items()
    }
    readouts: dict[int, tuple[Readout, Readout]] = {}
    common: tuple[Readout, Readout] | None = None
    # Read-outs say which tracks are established, and those are matched first: fitted twice, on what the first fit tracks.
    for _ in range(2):
        observations = fit.observe(fit.assemble(searched, judgements, readouts, common))
        told("read-outs")
        everything = fit.readouts(observations, list(fit.names), searched)
        alone = len(fit.names) == 1  # then all classes together are that class
        readouts = {
            class_id: everything
            if alone and on[class_id] is Rung.FITTED
            else fit.readouts(observations, [class_id], judgements[class_id], on[class_id])
            for class_id in fit.names
            if fit.true_count(class_id) >= _LEAST_TRUE or on[class_id].is_start
        }
        common = everything
    policy = fit.assemble(searched, judgements, readouts, common)
    return Fitted(policy, {fit.names[class_id]: pair for class_id, pair in readouts.items()})


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """What all steps of a fit have in common."""

    materials: Sequence[Material]
    start: Policy
    names: dict[int, str]
    calibrations: dict[int, Tree]
    base: Tree
    """The defaults of the start, with scores calibrated over all classes."""

    workspace: Workspace

    @classmethod
    def of(cls, materials: Sequence[Material], start: Policy) -> _Fit:
        names = dict(materials[0].labelled.sequence.class_names)
        defaults: Tree = start.model_dump(mode="json")["defaults"]
        base = {**defaults, "scores": {**defaults["scores"], **_calibrate(materials, list(names))}}
        calibrations = {class_id: _calibrate(materials, [class_id]) for class_id in names}
        return cls(materials, start, names, calibrations, base, Workspace())

    def search(self, effort: Effort, told: Callable[[str], None]) -> Tree:
        """The defaults with the evidence parameters that serve these materials best."""
        if not effort.sweeps:
            return self.base

        def loss(judgement: Tree) -> float:
            observations = self.observe(self.assemble(judgement, {}, {}, None))
            return _search_loss(observations, self.materials, list(self.names))

        return search(self.base, loss, sweeps=effort.sweeps, told=lambda: told("evidence"))[0]

    def observe(self, policy: Policy) -> list[Observation]:
        return [observe(one.labelled, one.matches, policy, self.workspace) for one in self.materials]

    def with_heights(self, judgement: Tree, class_ids: list[int]) -> Tree:
        """The judgement with the heights of boxes that these classes show: all but the outermost, which are too few to learn from."""
        found = []
        for one in self.materials:
            boxes = one.labelled.sequence.boxes[_judged(one, class_ids)]
            found.append(boxes[:, 3] - boxes[:, 1])
        heights = np.concatenate(found).astype(np.float64)
        if len(heights) < _LEAST_HEIGHTS:
            return judgement
        least, most = np.quantile(np.maximum(heights, 1.0), _HEIGHTS)
        bounds = {"least": float(f"{least:.4g}"), "most": float(f"{most:.4g}")}
        return {**judgement, "box": {**judgement["box"], "heights": bounds}}

    def true_count(self, class_id: int) -> int:
        return sum(int((one.matches.labels[_judged(one, [class_id])] == 1).sum()) for one in self.materials)

    def readouts(
        self, observations: Sequence[Observation], class_ids: list[int], judgement: Tree, rung: Rung = Rung.FITTED
    ) -> tuple[Readout, Readout]:
        """Those of box and track for these classes together."""
        boxes = _examples(observations, self.materials, class_ids, tracks=False)
        tracks = _examples(observations, self.materials, class_ids, tracks=True)
        if rung.is_start:
            box, track = rescale(boxes, _box_centre(judgement)), rescale(tracks, _track_centre(judgement))
        else:
            box = SCORE_ALONE if rung is Rung.SCORE else fit_box(boxes)
            track = fit_track(tracks, _track_centre(judgement))
        return (halved(box) if rung.is_half else box), track

    def assemble(
        self,
        base: Tree,
        judgements: Mapping[int, Tree],
        readouts: Mapping[int, tuple[Readout, Readout]],
        common: tuple[Readout, Readout] | None,
    ) -> Policy:
        """The policy of these parts: the defaults are what is right for all classes together, and each class has its own."""
        tree = self.start.model_dump(mode="json")
        classes = {}
        for class_id, name in self.names.items():
            judgement = judgements.get(class_id, base)
            judgement = self._on_scale({**judgement, "scores": {**judgement["scores"], **self.calibrations[class_id]}})
            classes[name] = _with_readouts(judgement, readouts.get(class_id, common))
        tree |= {"defaults": _with_readouts(self._on_scale(base), common), "classes": classes, "provenance": {}}
        return Policy.model_validate(tree)

    def _on_scale(self, judgement: Tree) -> Tree:
        """The judgement with what a miss measures put on the scale of its scores, as the detections are that it is weighed against.

        Where calibration spreads scores far apart, weak detections would else say more against a track than none at all do.
        """
        scores, own, evidence = judgement["scores"], self.start.defaults.scores, judgement["evidence"]
        value = evidence["miss"]["value"]
        moved = scores["offset"] + scores["gain"] * (value - own.offset) / own.gain
        miss = {**evidence["miss"], "value": float(f"{min(max(moved, -scores['clip']), value):.9g}")}
        return {**judgement, "evidence": {**evidence, "miss": miss}}


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


def _examples(
    observations: Sequence[Observation], materials: Sequence[Material], class_ids: list[int], *, tracks: bool
) -> Examples:
    features, labels, groups, lengths = [], [], [], []
    for seen, one in zip(observations, materials, strict=True):
        chosen = _judged(one, class_ids)
        lengths.append(np.unique(seen.track_ids[chosen], return_counts=True)[1])
        features.append((seen.track_features if tracks else seen.box_features)[chosen])
        labels.append((seen.real if tracks else seen.matches.labels == 1)[chosen].astype(np.float64))
        groups.append(one.groups[chosen])
    of_track = np.concatenate(lengths).astype(np.float64)
    repeats = float((of_track**2).sum() / max(of_track.sum(), 1.0))
    return Examples(np.concatenate(features), np.concatenate(labels), np.concatenate(groups), max(repeats, 1.0))


def _search_loss(observations: Sequence[Observation], materials: Sequence[Material], class_ids: list[int]) -> float:
    """Held-out log loss of full box read-outs, each class for itself, over all detections."""
    total, count = 0.0, 0
    for class_id in class_ids:
        examples = _examples(observations, materials, [class_id], tracks=False)
        stride = max(1, -(-len(examples.labels) // _SEARCH_ROWS))
        examples = Examples(
            examples.features[::stride], examples.labels[::stride], examples.groups[::stride], examples.repeats
        )
        ridge = Ridge(BOX_PRIOR, TRACKS_OF_PRIOR * examples.repeats / stride)
        probabilities = np.empty(len(examples.labels))
        for group in np.unique(examples.groups):
            out = examples.groups == group
            fitted = fit_logistic(examples.features[~out], examples.labels[~out], BOX_RISING, ridge)
            probabilities[out] = predict(examples.features[out], fitted)
        total += stride * len(examples.labels) * log_loss(probabilities, examples.labels)
        count += stride * len(examples.labels)
    return total / max(count, 1)


def _box_centre(judgement: Tree) -> Floats:
    return np.array(box_weights(BoxWeights.model_validate(judgement["box"]["weights"])))


def _track_centre(judgement: Tree) -> Floats:
    return np.array(track_weights(TrackWeights.model_validate(judgement["track"]["weights"])))


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
