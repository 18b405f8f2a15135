"""Labelled sequences to measure on: built from rows, or drawn by seed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tertium_server.tuning.readers import Labelled, Sequence, Truth

NAMES = {0: "car", 1: "person", 2: "tree"}


def sequence(
    boxes: ArrayLike, scores: ArrayLike, frames: ArrayLike = (), classes: ArrayLike = (), **fields: Any
) -> Sequence:
    """Detections: (N, 4) corners, (N,) scores, frames (all 1 where left out) and class ids (all 0)."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    count = len(corners)
    values: dict[str, Any] = {
        "name": "scene",
        "fps": 25.0,
        "first_frame": 1,
        "length": int(np.max(frames, initial=1)),
        "class_names": NAMES,
        "frames": np.asarray(frames, np.int64) if np.size(frames) else np.ones(count, np.int64),
        "boxes": corners.astype(np.float32),
        "xywh": np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
        "scores": np.asarray(scores, np.float64),
        "class_ids": np.asarray(classes, np.uint32) if np.size(classes) else np.zeros(count, np.uint32),
        "track_ids": np.full(count, -1, np.int64),
        "rows": np.arange(1, count + 1),
        "source": Path("det.txt"),
    }
    return Sequence(**(values | fields))


def truth(
    boxes: ArrayLike, frames: ArrayLike = (), classes: ArrayLike = (), kinds: ArrayLike = (), **fields: Any
) -> Truth:
    """Truth: (M, 4) corners, frames (all 1 where left out), class ids (all 0) and kinds (all to evaluate)."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    count = len(corners)
    values: dict[str, Any] = {
        "name": "scene",
        "first_frame": 1,
        "length": int(np.max(frames, initial=1)),
        "class_names": NAMES,
        "frames": np.asarray(frames, np.int64) if np.size(frames) else np.ones(count, np.int64),
        "boxes": corners,
        "class_ids": np.asarray(classes, np.uint32) if np.size(classes) else np.zeros(count, np.uint32),
        "track_ids": np.arange(count),
        "kinds": np.asarray(kinds, np.uint8) if np.size(kinds) else np.zeros(count, np.uint8),
        "rows": np.arange(1, count + 1),
        "source": Path("gt.txt"),
    }
    return Truth(**(values | fields))


def crowd(
    seed: int, frames: int = 12, objects: int = 6, classes: int = 2, decimals: int = 1, *, ignored: bool = False
) -> Labelled:
    """Overlapping objects with several detections each, some of another class, and clutter; scores with few decimals, so that many are equal."""
    random = np.random.default_rng(seed)
    boxes, places, kinds = [], [], []
    for frame in range(1, frames + 1):
        count = random.integers(0, objects + 1)
        corner = np.round(random.uniform(0, 60, (count, 2)))
        boxes.append(np.hstack([corner, corner + np.round(random.uniform(20, 50, (count, 2)))]))
        places.append(np.full(count, frame))
        kinds.append(random.choice([0, 0, 0, 1, 2], count) if ignored else np.zeros(count, np.int64))
    true_boxes, true_frames, true_kinds = np.vstack(boxes), np.concatenate(places), np.concatenate(kinds)
    true_classes = random.integers(0, classes, len(true_boxes))
    copies = random.integers(0, 4, len(true_boxes))
    near = np.repeat(true_boxes, copies, axis=0)
    near = near + np.round(random.normal(0, 4, near.shape))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 5)
    clutter = _clutter(random, 3 * frames)
    found = np.concatenate([np.repeat(true_classes, copies), random.integers(0, classes, len(clutter))])
    confused = random.random(len(found)) < 0.15
    found = np.where(confused, random.integers(0, classes, len(found)), found)
    scores = np.round(random.random(len(found)), decimals)
    seen = np.concatenate([np.repeat(true_frames, copies), random.integers(1, frames + 1, len(clutter))])
    order = random.permutation(len(found))
    detections = sequence(np.vstack([near, clutter])[order], scores[order], seen[order], found[order], length=frames)
    every = np.where((true_kinds > 0) & (random.random(len(true_kinds)) < 0.5), 0xFFFF_FFFF, true_classes)
    return Labelled(
        detections,
        truth(true_boxes, true_frames, every, true_kinds, length=frames, min_height=12.0 if ignored else 0.0),
    )


def _clutter(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    corner = np.round(random.uniform(0, 90, (count, 2)))
    return np.hstack([corner, corner + np.round(random.uniform(8, 40, (count, 2)))])
