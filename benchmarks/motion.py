"""The motion filter alone, predict and update of every track of a frame: the engine's kernel, filterpy, and numpy over all tracks at once.

All three compute the same thing (the tests hold the kernel to filterpy within 1e-9); the price differs.
"""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from filterpy.kalman import KalmanFilter
from harness.report import median, print_table
from harness.scenes import FPS

from tertium_server.engine import StreamSettings
from tertium_server.engine import motion as kernels
from tertium_server.engine.layout import TRACK
from tertium_server.policy import compile_parameters, default_policy

Floats = npt.NDArray[np.float64]
_SIZES = (20, 100, 500)
_AXES = 4
_MICROSECOND = 1e-3


@numba.njit(error_model="numpy")
def _step(tracks: Any, tracker: Any, observed: Floats, seconds: float) -> None:  # noqa: ANN401 - records, typed by numba
    for slot in range(tracks.shape[0]):
        kernels.predict(tracks[slot], tracker, seconds)
        kernels.update(
            tracks[slot], tracker, observed[slot, 0], observed[slot, 1], observed[slot, 2], observed[slot, 3]
        )


def measure(*, quick: bool) -> list[dict[str, float]]:
    """Microseconds a frame of each way, by number of tracks."""
    rounds = 3 if quick else 9
    results = []
    for tracks in _SIZES:
        ways = {"kernel": _kernel(tracks), "numpy": _numpy(tracks), "filterpy": _filterpy(tracks)}
        repeats = {"kernel": 1000, "numpy": 20, "filterpy": max(1, 100 // tracks)}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, step in ways.items():
                times[name].append(_time(step, repeats[name]))
        results.append({"tracks": tracks} | {name: median(values) for name, values in times.items()})
    return results


def show(results: list[dict[str, float]]) -> None:
    """Prints the table."""
    rows = [(r["tracks"], r["kernel"], r["numpy"], r["filterpy"], r["filterpy"] / r["kernel"]) for r in results]
    print_table(
        "Motion, predict and update, µs a frame", ("tracks", "kernel", "numpy", "filterpy", "filterpy / kernel"), rows
    )


def _time(step: Callable[[], None], repeats: int) -> float:
    started = perf_counter_ns()
    for _ in range(repeats):
        step()
    return (perf_counter_ns() - started) / repeats * _MICROSECOND


def _boxes(tracks: int) -> Floats:
    """(tracks, 4) centres and sizes."""
    random = np.random.default_rng(1)
    return np.column_stack([random.uniform(100, 900, (tracks, 2)), random.uniform(30, 90, (tracks, 2))])


def _kernel(tracks: int) -> Callable[[], None]:
    tracker = compile_parameters(default_policy(), StreamSettings(class_names={0: "object"})).tracker[0]
    records = np.zeros(tracks, TRACK)
    boxes = _boxes(tracks)
    for slot in range(tracks):
        kernels.start(records[slot], tracker, *boxes[slot])
    _step(records, tracker, boxes, 1 / FPS)
    return lambda: _step(records, tracker, boxes, 1 / FPS)


def _matrices() -> tuple[Floats, Floats, Floats]:
    """F (8, 8), H (4, 8) and Q (8, 8) at 30 frames a second."""
    seconds = 1 / FPS
    transition = np.kron(np.eye(_AXES), [[1.0, seconds], [0.0, 1.0]])
    noise = np.kron(np.eye(_AXES), [[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
    observation = np.kron(np.eye(_AXES), [[1.0, 0.0]])
    return np.asarray(transition, np.float64), np.asarray(observation, np.float64), np.asarray(noise, np.float64)


def _filterpy(tracks: int) -> Callable[[], None]:
    transition, observation, noise = _matrices()
    filters = []
    for box in _boxes(tracks):
        one = KalmanFilter(dim_x=8, dim_z=4)
        one.F, one.H, one.Q, one.R = transition, observation, noise, np.eye(_AXES)
        one.x[::2, 0] = box
        filters.append((one, box.reshape(4, 1)))

    def step() -> None:
        for one, box in filters:
            one.predict()
            one.update(box)

    return step


def _numpy(tracks: int) -> Callable[[], None]:
    transition, observation, noise = _matrices()
    boxes = _boxes(tracks)
    state = np.zeros((tracks, 8, 1))
    state[:, ::2, 0] = boxes
    covariance = np.tile(np.eye(8), (tracks, 1, 1))
    measured = boxes[:, :, None]
    measurement_noise = np.eye(_AXES)
    identity = np.eye(8)

    def step() -> None:
        predicted = transition @ state
        spread = transition @ covariance @ transition.T + noise
        gain = spread @ observation.T @ np.linalg.inv(observation @ spread @ observation.T + measurement_noise)
        state[:] = predicted + gain @ (measured - observation @ predicted)
        covariance[:] = (identity - gain @ observation) @ spread

    return step
