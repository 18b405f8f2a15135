"""Scores that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from .boxes import right
from .looking import look
from .scene import make_scene
from .world import Drift, Reviewers, World

_TRIALS = tuple(range(1_000_000, 1_000_016))
"""Cameras that are nobody's own, on whose footage scores are calibrated."""

_TRIAL_FRAMES = 1000

_BINS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """From what the detector would say to what it is right in saying, both log-odds: never falling, measured on cameras of their own."""

    said: NDArray[np.float64]
    meant: NDArray[np.float64]

    def __call__(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) calibrated log-odds."""
        return np.interp(logits, self.said, self.meant)

    @classmethod
    def of(cls, world: World) -> Scale:
        """The scale of a world's detector, as it is before any drift."""
        calm = world.model_copy(
            update={
                "drift": Drift(),
                "frames": _TRIAL_FRAMES,
                "reviewers": Reviewers(),
                "name": "trial",
                "description": "",
            }
        )
        return _measured(calm.model_dump_json())


@lru_cache(maxsize=8)
def _measured(numbers: str) -> Scale:
    world = World.model_validate_json(numbers)
    said, truths = [], []
    for camera in _TRIALS:
        scene = make_scene(world, camera)
        raw = look(world, camera, scene)
        said.append(raw.logits)
        truths.append(right(scene, raw))
    order = np.argsort(np.concatenate(said), kind="stable")
    logits, hits = np.concatenate(said)[order], np.concatenate(truths)[order].astype(np.float64)
    parts = [part for part in np.array_split(np.arange(len(order)), _BINS) if len(part)]
    shares = np.array([(hits[part].sum() + 0.5) / (len(part) + 1) for part in parts])
    rising = np.asarray(isotonic_regression(shares, weights=[len(part) for part in parts]).x)
    middles = np.array([logits[part].mean() for part in parts])
    return Scale(middles, np.log(rising / (1 - rising)))
