r"""Motion of a box: a constant-velocity Kalman filter in closed form.

The state of an axis (centre x, centre y, width, height) is its position and velocity, and the four axes are independent, so an eight-state
filter falls apart into four 2×2 ones that need no matrix. For a step of :math:`\Delta t` seconds, with
:math:`F = \begin{pmatrix}1 & \Delta t\\ 0 & 1\end{pmatrix}` and white-noise acceleration of spectral density :math:`q`,

.. math:: x \leftarrow F x, \quad P \leftarrow F P F^T + q \begin{pmatrix}\Delta t^3/3 & \Delta t^2/2\\ \Delta t^2/2 & \Delta t\end{pmatrix}

(Bar-Shalom, Li, Kirubarajan 2001, eq. 6.2.2-12), and an observed position updates with gain :math:`K = P H^T / (P_{11} + r)`. Noise is
proportional to the box's size, so that a near and a far object are followed alike.
"""

import math
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import AXES


@cache
def unit_process_noise() -> npt.NDArray[np.float64]:
    """Process noise (2, 2) of a position-velocity pair over one second at spectral density 1, as filterpy builds it."""
    return np.asarray(_continuous_white_noise()(dim=2, dt=1.0, spectral_density=1.0), dtype=np.float64)


def _continuous_white_noise() -> Callable[..., Any]:
    """filterpy.common.Q_continuous_white_noise, from its own module alone: its package imports all of scipy.stats, a third of a server's start."""
    package = find_spec("filterpy")
    if package is None or package.submodule_search_locations is None:
        raise ModuleNotFoundError("filterpy is not installed: pip install 'tertium[server]'")
    file = Path(package.submodule_search_locations[0]) / "common" / "discretization.py"
    spec = spec_from_file_location("tertium_server.engine._filterpy_discretization", file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{file} is missing: install filterpy anew")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    build: Callable[..., Any] = module.Q_continuous_white_noise
    return build


@kernel
def box_scale(width, height):
    """The length (pixels) that noise is proportional to: the side of a square of the box's area, at least one pixel."""
    return math.sqrt(max(width, 1.0) * max(height, 1.0))


@kernel
def start(track, tracker, centre_x, centre_y, width, height):
    """Begins a track at an observed box (pixels), at rest, unsure of its speed."""
    scale = box_scale(width, height)
    noise = tracker.measurement_noise * scale
    speed = tracker.initial_speed * scale
    observed = (centre_x, centre_y, width, height)
    for axis in range(AXES):
        track.position[axis] = observed[axis]
        track.velocity[axis] = 0.0
        track.variance[axis] = noise * noise
        track.covariance[axis] = 0.0
        track.velocity_variance[axis] = speed * speed


@kernel
def predict(track, tracker, seconds):
    """Moves a track forward by ``seconds`` (≥ 0)."""
    # What is the same for all axes is worked out once: the compiler can't know that a track's fields are none of the tracker's.
    scale = box_scale(track.position[2], track.position[3])
    along, across = tracker.acceleration * scale, tracker.size_acceleration * scale
    noise_position = tracker.noise_position * seconds * seconds * seconds
    noise_cross = tracker.noise_cross * seconds * seconds
    noise_velocity = tracker.noise_velocity * seconds
    for axis in range(AXES):
        strength = along if axis < 2 else across
        density = strength * strength
        velocity_variance = track.velocity_variance[axis]
        covariance = track.covariance[axis]
        track.position[axis] += seconds * track.velocity[axis]
        track.variance[axis] += seconds * (2.0 * covariance + seconds * velocity_variance) + density * noise_position
        track.covariance[axis] = covariance + seconds * velocity_variance + density * noise_cross
        track.velocity_variance[axis] = velocity_variance + density * noise_velocity


@kernel
def update(track, tracker, centre_x, centre_y, width, height):
    """Fuses an observed box (pixels) into a predicted track.

    Returns the normalized innovation squared by degree of freedom: about 1 for a box where the filter expected it, larger for a worse fit.
    """
    scale = box_scale(track.position[2], track.position[3])
    noise = tracker.measurement_noise * scale
    noise_variance = noise * noise
    observed = (centre_x, centre_y, width, height)
    distance = 0.0
    for axis in range(AXES):
        variance = track.variance[axis]
        covariance = track.covariance[axis]
        innovation = observed[axis] - track.position[axis]
        innovation_variance = variance + noise_variance
        gain = variance / innovation_variance
        velocity_gain = covariance / innovation_variance
        track.position[axis] += gain * innovation
        track.velocity[axis] += velocity_gain * innovation
        track.variance[axis] = (1.0 - gain) * variance
        track.covariance[axis] = (1.0 - gain) * covariance
        track.velocity_variance[axis] -= velocity_gain * covariance
        distance += innovation * innovation / innovation_variance
    # A size can't fall to nothing, whatever the velocity said.
    track.position[2] = max(track.position[2], 1.0)
    track.position[3] = max(track.position[3], 1.0)
    return distance / AXES
