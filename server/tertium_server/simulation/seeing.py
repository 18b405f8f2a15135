"""Boxes of objects that are there: scores that flicker, boxes that jitter, duplicates."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from .boxes import DETECTOR, Raw, clipped, jittered
from .conditions import darkness, drifted
from .scene import Scene
from .world import World


def see_objects(world: World, camera: int, scene: Scene) -> Raw:
    """The boxes of all objects of a scene, but for those that are missed."""
    detector = world.detector
    starts = np.flatnonzero(np.diff(scene.objects, prepend=-1))
    logits, jitter = np.empty(len(scene.frames)), np.empty((len(scene.frames), 4))
    chance = np.empty((len(scene.frames), 4))
    for start, stop in pairwise([*starts.tolist(), len(scene.frames)]):
        random = np.random.default_rng((world.seed, DETECTOR, camera, 1, int(scene.objects[start])))
        chance[start:stop] = random.random((stop - start, 4))
        logits[start:stop] = _mood(world, random, stop - start)
        jitter[start:stop] = np.stack([wander(random, stop - start, detector.persistence) for _ in range(4)], 1)
    small = np.log2(np.maximum(detector.full_height / scene.heights, 1.0))
    logits += detector.sure - detector.size_effect * small - detector.cover_effect * scene.cover
    logits -= world.light.night_effect * darkness(world)[scene.frames]
    logits += world.drift.score_shift * drifted(world)[scene.frames]
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    classes = _confused(world, scene.class_ids, chance[:, 2])
    first = Raw(
        scene.frames, jittered(world, scene.boxes, jitter * detector.localisation * np.hstack([sides, sides])), logits,
        classes, scene.objects, np.zeros(len(logits), np.bool_),
    )  # fmt: skip
    second = first.take(np.flatnonzero(chance[:, 1] < detector.duplicates))
    sides = second.boxes[:, 2:] - second.boxes[:, :2]
    aside = np.hstack([sides, sides]) * (0.15, -0.1, 0.25, 0.05)
    second = Raw(
        second.frames, clipped(world, second.boxes + aside), second.logits - 1.5, second.class_ids, second.origins,
        np.ones(len(second.frames), np.bool_),
    )  # fmt: skip
    return Raw.join([first.take(np.flatnonzero(chance[:, 0] >= detector.missed)), second])


def _mood(world: World, random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count,) what is added to an object's score: its own part, flicker, dim spells."""
    detector = world.detector
    own = detector.object_spread * random.normal()
    flicker = detector.flicker * wander(random, count, detector.persistence)
    begins = random.random(count) < detector.spells_per_minute / 60 / world.fps
    lengths = 1 + random.exponential(detector.spell_seconds * world.fps, count).astype(np.int64)
    dim = np.zeros(count + 1)
    np.add.at(dim, np.flatnonzero(begins), 1)
    np.add.at(dim, np.minimum(np.flatnonzero(begins) + lengths[begins], count), -1)
    inside: NDArray[np.bool_] = np.cumsum(dim[:-1]) > 0
    changed: NDArray[np.float64] = own + flicker - detector.spell_depth * inside
    return changed


def wander(random: np.random.Generator, count: int, persistence: float) -> NDArray[np.float64]:
    """(count,) standard normal numbers, each with this correlation to the one before."""
    steps = random.normal(size=count)
    steps[1:] *= np.sqrt(1 - persistence**2)
    return np.asarray(lfilter([1.0], [1.0, -persistence], steps), np.float64)


def _confused(world: World, class_ids: NDArray[np.uint32], chance: NDArray[np.float64]) -> NDArray[np.uint32]:
    """(N,) class ids, some of them that of the next class."""
    other = (class_ids + 1) % len(world.classes)
    return np.where(chance < world.detector.confusion, other, class_ids).astype(np.uint32)
