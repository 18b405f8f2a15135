"""What the detector makes of a scene before its scores are put on the world's scale."""

from __future__ import annotations

import numpy as np

from .alarms import make_flashes, make_phantoms
from .boxes import DETECTOR, Raw
from .scene import Scene
from .seeing import see_objects
from .world import World

_LEAST = 2.0
"""Pixels that the picture's edge has to leave of a box, either way."""


def look(world: World, camera: int, scene: Scene) -> Raw:
    """All boxes, right and wrong, whatever their score."""
    random = np.random.default_rng((world.seed, DETECTOR, camera, 2))
    parts = [see_objects(world, camera, scene), make_flashes(world, random), make_phantoms(world, random)]
    raw = Raw.join(parts)
    sides = raw.boxes[:, 2:] - raw.boxes[:, :2]
    return raw.take(np.flatnonzero((sides >= _LEAST).all(1)))
