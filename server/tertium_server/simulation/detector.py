"""What the detector says of a scene."""

from __future__ import annotations

import numpy as np

from .boxes import DETECTOR, Boxes
from .calibrating import Scale
from .looking import look
from .scene import Scene
from .world import World

_SURELY = 700.0
"""Log-odds that no score can tell from more, and of which the exponential is still a number."""


def detect(world: World, camera: int, scene: Scene) -> Boxes:
    """What the detector says of a scene: always the same."""
    raw = look(world, camera, scene)
    logits = raw.logits
    if world.detector.calibrate:
        logits = Scale.of(world)(logits)
    scores = 1 / (1 + np.exp(np.minimum(-world.detector.sharpness * logits, _SURELY)))
    kept = np.flatnonzero(scores >= world.detector.floor)
    raw, scores = raw.take(kept), scores[kept]
    random = np.random.default_rng((world.seed, DETECTOR, camera, 3))
    order = np.lexsort((random.random(len(scores)), raw.frames))
    raw, scores = raw.take(order), scores[order]
    return Boxes(
        raw.frames, raw.boxes.astype(np.float32), np.clip(scores, 0, 1).astype(np.float32), raw.class_ids, raw.origins,
        raw.duplicates,
    )  # fmt: skip
