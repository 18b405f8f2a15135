"""From the Policy value to the records that kernels read."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tertium_server.engine import EngineParameters, StreamSettings
from tertium_server.engine.layout import CLASS, TRACKER
from tertium_server.engine.motion import unit_process_noise
from tertium_server.policy.model import Policy
from tertium_server.policy.resolution import Situation, effective_judgement, effective_tracker
from tertium_server.policy.values import BoxWeights, Judgement, Tracker, TrackWeights

_LEAST_PROBABILITY = 1e-9


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _LEAST_PROBABILITY), 1.0 - _LEAST_PROBABILITY)
    return math.log(bounded / (1.0 - bounded))


def _box_weights(weights: BoxWeights) -> list[float]:
    return [weights.constant, weights.score, weights.fast, weights.slow, weights.hits, weights.fit, weights.overlap]


def _track_weights(weights: TrackWeights) -> list[float]:
    return [weights.constant, weights.slow, weights.fast, weights.spread, weights.hits, weights.misses]


def _fill_class(record: np.void, class_id: int, judgement: Judgement) -> None:
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
        "box_weights": _box_weights(box.weights),
        "track_weights": _track_weights(track.weights),
        "box_yes": box.thresholds.yes,
        "box_no": box.thresholds.no,
        "track_yes": track.thresholds.yes,
        "track_no": track.thresholds.no,
        "margin": track.thresholds.margin,
        "hold": track.thresholds.hold,
    }
    for name, value in values.items():
        record[name] = value


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
        "want_features": settings.include_features,
        # Overlaps cost time that grows with the square of the detections: only where somebody weighs them.
        "want_overlap": settings.include_features
        or any(judgement.box.weights.overlap != 0.0 for judgement in judgements),
    }
    for name, value in values.items():
        record[name] = value


def compile_parameters(policy: Policy, settings: StreamSettings, stream_id: str = "") -> EngineParameters:
    """The engine's parameters for a stream judged by a policy: one record a class, by ascending class id."""
    class_ids = settings.class_ids
    situations = [
        Situation(class_name=settings.class_names[class_id], group=settings.group, stream=stream_id)
        for class_id in class_ids
    ]
    judgements = [effective_judgement(policy, situation) for situation in situations]
    judges = np.zeros(len(class_ids), CLASS)
    for row, (class_id, judgement) in enumerate(zip(class_ids, judgements, strict=True)):
        _fill_class(judges[row], class_id, judgement)
    tracker = np.zeros(1, TRACKER)
    _fill_tracker(tracker[0], effective_tracker(policy, settings.group, stream_id), judgements, settings)
    return EngineParameters(judges, tracker, policy.version)
