"""Single records of the engine's memory, as its kernels take them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tertium_server.engine.layout import CLASS, TRACK, TRACKER
from tertium_server.engine.motion import unit_process_noise

CLASS_DEFAULTS: dict[str, npt.ArrayLike] = {
    "gain": 1.0,
    "clip": 7.0,
    "birth_mean": -2.0,
    "birth_variance": 4.0,
    "fast_drift": 6.0,
    "slow_drift": 0.3,
    "noise": 1.0,
    "correlation_time": 0.05,
    "miss": -3.0,
    "miss_noise": 2.0,
    "box_weights": [0.1, 0.5, 0.25, 0.25, 0.1, -0.1, -1.0, 0.6, 0.35, -0.5, -0.1, 0.2, -0.1],
    "size_least": -2.3,
    "size_most": 2.3,
    "track_weights": [-0.1, 0.7, 0.2, -0.3, 0.2, -0.2, 0.1, -0.1],
    "box_yes": 0.6,
    "box_no": 0.2,
    "track_yes": 0.7,
    "track_no": 0.2,
    "margin": 0.05,
    "hold": 0.5,
}

TRACKER_DEFAULTS: dict[str, npt.ArrayLike] = {
    "measurement_noise": 0.06,
    "acceleration": 1.5,
    "size_acceleration": 0.5,
    "initial_speed": 1.5,
    "gate_high": 0.2,
    "gate_low": 0.3,
    "gate_candidate": 0.3,
    "coast": 1.5,
    "candidate_coast": 0.2,
    "hidden_cover": 0.5,
    "inside": 0.5,
    "max_gap": 10.0,
    "class_aware": 1,
    "max_detections": 1000,
    "max_tracks": 2000,
}


def _record(layout: np.dtype[np.void], values: Mapping[str, npt.ArrayLike]) -> np.void:
    record: np.void = np.zeros(1, layout)[0]
    for name, value in values.items():
        record[name] = value
    return record


def judge(**changes: npt.ArrayLike) -> np.void:
    """What one class is judged by."""
    return _record(CLASS, {**CLASS_DEFAULTS, **changes})


def tracker(**changes: npt.ArrayLike) -> np.void:
    """What a stream is tracked by."""
    unit = unit_process_noise()
    noise = {"noise_position": unit[0, 0], "noise_cross": unit[0, 1], "noise_velocity": unit[1, 1]}
    return _record(TRACKER, {**TRACKER_DEFAULTS, **noise, **changes})


def track(**changes: npt.ArrayLike) -> np.void:
    """A track of which nothing is known but what is said here."""
    return _record(TRACK, changes)
