"""From the Policy value to the records that kernels read."""

import math
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tertium_server.engine import EngineParameters, StreamSettings
from tertium_server.engine.columns import Records
from tertium_server.engine.layout import CLASS, TRACKER
from tertium_server.engine.motion import unit_process_noise
from tertium_server.engine.readout import SIZE_UNIT
from tertium_server.policy.model import Policy
from tertium_server.policy.overrides import Zone
from tertium_server.policy.resolution import (
    Situation,
    effective_judgement,
    effective_tracker,
    open_profiles,
    profile_for,
    profiles_of,
    unplaced_zones,
    zones_of,
)
from tertium_server.policy.schedule import constant_around
from tertium_server.policy.values import BoxWeights, Judgement, Tracker, TrackWeights

_LEAST_PROBABILITY = 1e-9
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
"""Capture times from the first there is to the last."""


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _LEAST_PROBABILITY), 1.0 - _LEAST_PROBABILITY)
    return math.log(bounded / (1.0 - bounded))


def box_weights(weights: BoxWeights) -> list[float]:
    """A box read-out's weights in the order of its features."""
    return [
        weights.constant, weights.score, weights.fast, weights.slow, weights.hits, weights.fit, weights.overlap,
        weights.score if weights.score_high is None else weights.score_high,
        weights.slow if weights.slow_large is None else weights.slow_large,
        weights.cover, weights.neighbours, weights.size, weights.size_squared,
    ]  # fmt: skip


def _looks_around(weights: BoxWeights) -> bool:
    return weights.overlap != 0.0 or weights.cover != 0.0 or weights.neighbours != 0.0


def track_weights(weights: TrackWeights) -> list[float]:
    """A track read-out's weights in the order of its features."""
    return [
        weights.constant, weights.slow, weights.fast, weights.spread, weights.hits, weights.misses,
        weights.size, weights.size_squared,
    ]  # fmt: skip


def _fill_class(record: np.void, class_id: int, judgement: Judgement, dismissed_hits: int) -> None:
    scores, evidence, box, track = judgement.scores, judgement.evidence, judgement.box, judgement.track
    values: dict[str, npt.ArrayLike] = {
        "id": class_id,
        "offset": scores.offset,
        "gain": scores.gain,
        "clip": scores.clip,
        "birth_mean": evidence.birth.mean,
        "birth_variance": evidence.birth.variance,
        "fast_drift": evidence.fast_drift,
        "slow_drift": evidence.slow_drift,
        "noise": evidence.noise,
        "correlation_time": evidence.correlation_time,
        "miss": evidence.miss.value,
        "miss_noise": evidence.miss.noise,
        "box_weights": box_weights(box.weights),
        "size_least": math.log(box.heights.least * SIZE_UNIT),
        "size_most": math.log(box.heights.most * SIZE_UNIT),
        "track_weights": track_weights(track.weights),
        "box_yes": box.thresholds.yes,
        "box_no": box.thresholds.no,
        "track_yes": track.thresholds.yes,
        "track_no": track.thresholds.no,
        "margin": track.thresholds.margin,
        "hold": track.thresholds.hold,
        "dismissed_hits": dismissed_hits,
    }
    for name, value in values.items():
        record[name] = value
    by = np.concatenate(
        [record["track_weights"], [record[name] for name in ("track_yes", "track_no", "size_least", "size_most")]]
    )
    record["fingerprint"] = zlib.crc32(by.tobytes())


def _fill_tracker(record: np.void, tracker: Tracker, judgements: Iterable[Judgement], settings: StreamSettings) -> None:
    motion, association, lifetime = tracker.motion, tracker.association, tracker.lifetime
    unit = unit_process_noise()
    values: dict[str, npt.ArrayLike] = {
        "measurement_noise": motion.measurement_noise,
        "acceleration": motion.acceleration,
        "size_acceleration": motion.size_acceleration,
        "initial_speed": motion.initial_speed,
        "noise_position": unit[0, 0],
        "noise_cross": unit[0, 1],
        "noise_velocity": unit[1, 1],
        "established": association.established,
        "high": _log_odds(association.high),
        "gate_high": association.gate_high,
        "gate_low": association.gate_low,
        "gate_candidate": association.gate_candidate,
        "buffer": association.buffer,
        "class_aware": association.class_aware,
        "coast": lifetime.coast,
        "candidate_coast": lifetime.candidate_coast,
        "hidden_cover": lifetime.hidden_cover,
        "inside": lifetime.inside,
        "max_gap": lifetime.max_gap,
        "frame_width": settings.frame_width,
        "frame_height": settings.frame_height,
        "frame_interval": 1.0 / settings.nominal_fps if settings.nominal_fps > 0.0 else 0.0,
        "client_tracks": settings.client_tracks,
        "logits": settings.logits,
        "max_detections": settings.max_detections,
        "max_tracks": settings.max_tracks,
        "want_boxes": settings.include_boxes,
        "want_tracks": settings.include_tracks,
        "want_coasted": settings.include_coasted,
        "decision_lag": tracker.decision_lag,
        "want_features": settings.include_features,
        # Overlaps cost time that grows with the square of the detections: only where somebody weighs them.
        "want_overlap": settings.include_features
        or any(_looks_around(judgement.box.weights) for judgement in judgements),
    }
    for name, value in values.items():
        record[name] = value


def compile_parameters(policy: Policy, settings: StreamSettings, stream_id: str = "") -> EngineParameters:
    """The engine's parameters for a stream judged by a policy.

    Where profiles go by the clock, they hold at no time at all: the engine asks for those of its first frame's time, and again from then on.
    Relative zones of a stream whose frame size nobody knows are left out.
    """
    plan = _StreamPlan(policy, settings, stream_id)
    return plan.at_no_time() if plan.profiles else plan.parameters((), _FIRST, _LAST)


class _StreamPlan:
    """What a policy says of one stream, at any time."""

    def __init__(self, policy: Policy, settings: StreamSettings, stream_id: str) -> None:
        self._policy = policy
        self._settings = settings
        self._stream_id = stream_id
        size_known = settings.frame_width > 0 and settings.frame_height > 0
        unplaced = unplaced_zones(policy, settings.group, stream_id, size_known=size_known)
        zones = zones_of(policy, settings.group, stream_id)
        self._zones = {name: zone for name, zone in zones.items() if name not in unplaced}
        self.profiles = profiles_of(policy, settings.group, stream_id)
        self._corners = _corners(self._zones.values(), settings)
        counts = [0, *(len(zone.polygon) for zone in self._zones.values())]
        self._starts = np.cumsum(counts, dtype=np.int64)
        self._rows: dict[tuple[str, ...], tuple[Records, Records]] = {}

    def at(self, time: int) -> EngineParameters:
        """The parameters that hold at a capture time, and for how long."""
        return self.parameters(open_profiles(self.profiles, time), *constant_around(time))

    def at_no_time(self) -> EngineParameters:
        """Parameters that the engine changes for others at its first frame."""
        return self.parameters((), _FIRST, _FIRST)

    def parameters(self, opened: tuple[str, ...], valid_from: int, valid_until: int) -> EngineParameters:
        """The parameters with some profiles open, said to hold from a time until another (nanoseconds)."""
        if opened not in self._rows:
            self._rows[opened] = self._compile(opened)
        judges, tracker = self._rows[opened]
        tracker = tracker.copy()
        tracker["valid_from"], tracker["valid_until"] = valid_from, valid_until
        return EngineParameters(
            judges,
            tracker,
            self._policy.version,
            self._corners,
            self._starts,
            self.at if self.profiles else None,
        )

    def _compile(self, opened: tuple[str, ...]) -> tuple[Records, Records]:
        class_ids, group = self._settings.class_ids, self._settings.group
        judgements = [
            effective_judgement(
                self._policy,
                Situation(
                    class_name=self._settings.class_names[class_id],
                    group=group,
                    stream=self._stream_id,
                    zone=zone,
                    profile=profile_for(self.profiles, opened, zone),
                ),
            )
            for zone in (None, *self._zones)
            for class_id in class_ids
        ]
        judges: Records = np.zeros(len(judgements), CLASS)
        for row, judgement in enumerate(judgements):
            class_id = class_ids[row % len(class_ids)]
            rules = self._policy.review.for_class(self._settings.class_names[class_id])
            _fill_class(judges[row], class_id, judgement, rules.audit_no_hits)
        tracker: Records = np.zeros(1, TRACKER)
        _fill_tracker(tracker[0], effective_tracker(self._policy, group, self._stream_id), judgements, self._settings)
        return judges, tracker


def _corners(zones: Iterable[Zone], settings: StreamSettings) -> npt.NDArray[np.float64]:
    """(corners, 2) in pixels."""
    size = np.array([settings.frame_width, settings.frame_height], np.float64)
    parts = [np.array(zone.polygon) * (size if zone.units == "relative" else 1.0) for zone in zones]
    return np.concatenate([np.zeros((0, 2)), *parts])
