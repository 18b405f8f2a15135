"""What changes over time for the whole picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .world import World


def darkness(world: World) -> NDArray[np.float64]:
    """(frames,) 0 at noon to 1 at midnight."""
    if not world.light.day_seconds:
        return np.zeros(world.frames)
    turns = np.arange(world.frames) / world.fps / world.light.day_seconds
    dark: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    return dark


def drifted(world: World) -> NDArray[np.float64]:
    """(frames,) 1 from the moment on when things change, 0 before."""
    return (np.arange(world.frames) >= world.drift.begins * world.frames).astype(np.float64)
