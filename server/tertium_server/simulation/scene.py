"""What happens before a camera: objects that come in, move along smooth paths, cover each other and leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .world import World

SCENE = 0
"""The part of a world's randomness that scenes are drawn from: other detectors see the same scenes."""

FURTHEST = 1 / 3
"""Size of an object at the back, in shares of one that is near."""

_HORIZON, _NEAREST = 0.3, 0.97
"""Where feet are at the back and in front, in shares of the picture's height."""

_VISIBLE = 0.25
"""An object is seen when this share of its box, or more, lies in the picture."""

_LEAST_PAUSE = 2.0
"""Seconds in which one who stops slows down and speeds up again."""

_LEAST = 4.0
"""Pixels that are seen of it, either way."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All objects of a camera as M boxes, in order of objects, each over consecutive frames but for those it is hidden in."""

    frames: NDArray[np.int64]
    """(M,) from 0."""

    boxes: NDArray[np.float64]
    """(M, 4) corners x1, y1, x2, y2 in pixels, cut off at the picture's edges."""

    heights: NDArray[np.float64]
    """(M,) of the whole object, in pixels."""

    class_ids: NDArray[np.uint32]
    """(M,)"""

    objects: NDArray[np.int64]
    """(M,) which object it is, from 0."""

    cover: NDArray[np.float64]
    """(M,) share of the box that the nearer object covers which covers most of it, 0 to 1."""


def make_scene(world: World, camera: int) -> Scene:
    """The scene of a camera, from 0: always the same one."""
    parts = [_nothing()] + [_seen(world, number, path) for number, path in enumerate(_paths(world, camera))]
    rows = _Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Rows.__slots__))
    cover = _cover(rows.frames, rows.boxes, rows.feet)
    return Scene(rows.frames, rows.boxes, rows.heights, rows.class_ids, rows.objects, cover)


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """The way of an object through the picture, n frames."""

    class_id: int
    first: int
    """Its first frame."""
    middles: NDArray[np.float64]
    """(n,) pixels from the left."""
    depths: NDArray[np.float64]
    """(n,) FURTHEST to 1, where it is near."""
    size: float
    """Its height in pixels where it is near."""
    aspect: float
    """Width over height."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Boxes of an object, or of several: the columns of Scene, and how far down its feet are."""

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    heights: NDArray[np.float64]
    class_ids: NDArray[np.uint32]
    objects: NDArray[np.int64]
    feet: NDArray[np.float64]


def _nothing() -> _Rows:
    return _Rows(
        np.empty(0, np.int64), np.empty((0, 4)), np.empty(0), np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0)
    )


def _paths(world: World, camera: int) -> Iterator[_Path]:
    for class_id, kind in enumerate(world.classes):
        for number in range(kind.parked):
            random = np.random.default_rng((world.seed, SCENE, camera, class_id, 1, number))
            yield _standing(world, class_id, random)
        arrivals = np.random.default_rng((world.seed, SCENE, camera, class_id, 0))
        rate, seconds, number = kind.arrivals_per_minute / 60.0, 0.0, 0
        while rate > 0:
            seconds += arrivals.exponential(1 / rate)
            first = int(seconds * world.fps)
            if first >= world.frames:
                break
            random = np.random.default_rng((world.seed, SCENE, camera, class_id, 2, number))
            yield _crossing(world, class_id, random, first)
            number += 1


def _standing(world: World, class_id: int, random: np.random.Generator) -> _Path:
    kind = world.classes[class_id]
    middle, depth = random.uniform(0.08, 0.92) * world.frame_size[0], random.uniform(FURTHEST, 1.0)
    size, aspect = kind.height * random.uniform(0.9, 1.1), kind.aspect * random.uniform(0.85, 1.15)
    return _Path(class_id, 0, np.full(world.frames, middle), np.full(world.frames, depth), size, aspect)


def _crossing(world: World, class_id: int, random: np.random.Generator, first: int) -> _Path:
    """From one side to the other, nearer or further away on the way, swaying, perhaps with a pause."""
    kind = world.classes[class_id]
    width = world.frame_size[0]
    depth, to = random.uniform(FURTHEST, 1.0, 2)
    to = depth + 0.5 * (to - depth)
    size, aspect = kind.height * random.uniform(0.85, 1.15), kind.aspect * random.uniform(0.85, 1.15)
    margin = 0.5 * size * aspect
    speed = kind.speed * 0.5 * (depth + to) * random.uniform(0.6, 1.5)
    walking = max(2, int(np.ceil((width + 2 * margin) / speed * world.fps)))
    pace = np.ones(walking)
    if random.random() < kind.pauses:
        start, length = (
            random.uniform(0.2, 0.7),
            max(int(_LEAST_PAUSE * world.fps), int(walking * random.uniform(0.05, 0.33))),
        )
        pace = np.insert(pace, int(start * walking), 0.5 + 0.5 * np.cos(np.linspace(0, 2 * np.pi, length)))
    share = np.concatenate([[0.0], np.cumsum(pace)])
    share /= share[-1]
    sway = random.uniform(0, 0.02) * np.sin(2 * np.pi * (share * random.uniform(1, 4) + random.random()))
    way = -margin + share * (width + 2 * margin)
    middles = width - way if random.random() < 0.5 else way  # noqa: PLR2004  # either side
    depths = np.clip(depth + (to - depth) * share + sway, FURTHEST, 1.05)
    left = world.frames - first
    return _Path(class_id, first, middles[:left], depths[:left], size, aspect)


def _seen(world: World, number: int, path: _Path) -> _Rows:
    """Where an object is seen, frame by frame."""
    width, height = world.frame_size
    tall = path.size * path.depths
    feet = height * (_HORIZON + (_NEAREST - _HORIZON) * (path.depths - FURTHEST) / (1 - FURTHEST))
    half = 0.5 * path.aspect * tall
    whole = np.stack([path.middles - half, feet - tall, path.middles + half, feet], 1)
    boxes = np.clip(whole, 0, (width, height, width, height))
    sides = boxes[:, 2:] - boxes[:, :2]
    seen = (sides >= _LEAST).all(1) & (sides.prod(1) >= _VISIBLE * 2 * half * tall)
    count = int(seen.sum())
    return _Rows(
        frames=path.first + np.flatnonzero(seen).astype(np.int64),
        boxes=boxes[seen],
        heights=tall[seen],
        class_ids=np.full(count, path.class_id, np.uint32),
        objects=np.full(count, number, np.int64),
        feet=feet[seen],
    )


def _cover(frames: NDArray[np.int64], boxes: NDArray[np.float64], feet: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) the largest share of each box that one with feet further down, which is nearer, covers."""
    cover = np.zeros(len(frames))
    order = np.argsort(frames, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1):
        if len(here) > 1:
            mine = boxes[here]
            sides = np.minimum(mine[:, None, 2:], mine[None, :, 2:]) - np.maximum(mine[:, None, :2], mine[None, :, :2])
            common = np.clip(sides, 0, None).prod(2)
            nearer = feet[here][None, :] > feet[here][:, None]
            cover[here] = np.where(nearer, common, 0).max(1) / (mine[:, 2:] - mine[:, :2]).prod(1)
    return cover
