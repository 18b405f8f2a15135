"""Boxes that a detector gives, and which of them are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import Scene
from .world import World

DETECTOR = 1
"""The part of a world's randomness that detections are drawn from."""

FLASH = -1
"""The origin of a false alarm of one frame; phantoms are -2, -3 and so on."""

RIGHT_IOU = 0.5
"""IoU from which a box is right."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What the detector says: N boxes in order of frames, shuffled within each."""

    frames: NDArray[np.int64]
    """(N,) from 0."""

    boxes: NDArray[np.float32]
    """(N, 4) corners x1, y1, x2, y2 in pixels."""

    scores: NDArray[np.float32]
    """(N,) 0 to 1."""

    class_ids: NDArray[np.uint32]
    """(N,)"""

    origins: NDArray[np.int64]
    """(N,) the object it is a box of, as the scene numbers them; FLASH, or less: a phantom."""

    duplicates: NDArray[np.bool_]
    """(N,) whether it is the second box of its object in this frame."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Boxes before their scores are put on the world's scale: the columns of Boxes, with log-odds for scores."""

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    logits: NDArray[np.float64]
    class_ids: NDArray[np.uint32]
    origins: NDArray[np.int64]
    duplicates: NDArray[np.bool_]

    @classmethod
    def join(cls, parts: list[Raw]) -> Raw:
        """All boxes of some, one after another."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def take(self, places: NDArray[np.int64]) -> Raw:
        """Some of the boxes."""
        return Raw(*(getattr(self, name)[places] for name in self.__slots__))


def nothing() -> Raw:
    """No boxes."""
    return Raw(
        np.empty(0, np.int64), np.empty((0, 4)), np.empty(0), np.empty(0, np.uint32), np.empty(0, np.int64),
        np.empty(0, np.bool_),
    )  # fmt: skip


def jittered(world: World, boxes: NDArray[np.float64], off: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes with middles moved by ``off[:, :2]`` and sides longer by ``off[:, 2:]``, pixels."""
    moved = boxes + np.hstack([off[:, :2] - off[:, 2:] / 2, off[:, :2] + off[:, 2:] / 2])
    return clipped(world, moved)


def clipped(world: World, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes cut off at the picture's edges."""
    width, height = world.frame_size
    return np.clip(boxes, 0, (width, height, width, height))


def right(scene: Scene, raw: Boxes | Raw) -> NDArray[np.bool_]:
    """(N,) whether a box is the first one of an object, of its class, and where it is."""
    places = rows_of(scene, raw.frames, raw.origins)
    known = places >= 0
    found = np.zeros(len(raw.frames), np.bool_)
    mine, its = raw.boxes[known].astype(np.float64), scene.boxes[places[known]]
    common = np.clip(np.minimum(mine[:, 2:], its[:, 2:]) - np.maximum(mine[:, :2], its[:, :2]), 0, None).prod(1)
    both = (mine[:, 2:] - mine[:, :2]).prod(1) + (its[:, 2:] - its[:, :2]).prod(1)
    same = raw.class_ids[known] == scene.class_ids[places[known]]
    found[known] = (common / (both - common) >= RIGHT_IOU) & same & ~raw.duplicates[known]
    return found


def rows_of(scene: Scene, frames: NDArray[np.int64], objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) where in the scene an object is in a frame; -1: nowhere."""
    if not len(scene.frames):
        return np.full(len(frames), -1, np.int64)
    step = int(scene.frames.max()) + 1
    keys = scene.objects * step + scene.frames
    order = np.argsort(keys)
    wanted = objects * step + frames
    at = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
    return np.where((objects >= 0) & (keys[at] == wanted), at, -1)
