"""Boxes of things that are not there: flashes of one frame, and phantoms that stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .boxes import FLASH, Raw, clipped, jittered, nothing
from .conditions import darkness, drifted
from .scene import FURTHEST
from .seeing import wander
from .world import World


def make_flashes(world: World, random: np.random.Generator) -> Raw:
    """Boxes of one frame only, each somewhere else."""
    alarms = world.false_alarms
    rate = np.full(world.frames, alarms.flashes_per_second / world.fps)
    rate *= 1 + (world.light.night_alarms - 1) * darkness(world)
    rate *= 1 + (world.drift.alarm_factor - 1) * drifted(world)
    frames = np.repeat(np.arange(world.frames), random.poisson(rate))
    class_ids, boxes = _places(world, random, len(frames))
    logits = alarms.flash + alarms.flash_spread * random.normal(size=len(frames))
    logits += world.drift.alarm_shift * drifted(world)[frames]
    origins = np.full(len(frames), FLASH, np.int64)
    return Raw(frames.astype(np.int64), boxes, logits, class_ids, origins, np.zeros(len(frames), np.bool_))


def make_phantoms(world: World, random: np.random.Generator) -> Raw:
    """Things that stay where they are. As many as there are on average are there from the first frame on."""
    alarms, seconds = world.false_alarms, world.frames / world.fps
    calm = alarms.phantoms + alarms.phantoms * seconds / alarms.phantom_seconds
    more = (1 - world.drift.begins) * max(world.drift.alarm_factor - 1, 0.0)
    count, extra = int(random.poisson(calm)), int(random.poisson(calm * more))
    spans = _spans(world, random, count, extra)
    class_ids, boxes = _places(world, random, count + extra)
    own = alarms.phantom + alarms.phantom_spread * random.normal(size=count + extra)
    parts = [nothing()]
    for number, (start, stop) in enumerate(spans):
        frames = np.arange(start, stop)
        seen = random.random(len(frames)) < alarms.phantom_seen
        logits = own[number] + world.detector.flicker * wander(random, len(frames), world.detector.persistence)
        logits += world.drift.alarm_shift * drifted(world)[frames]
        side = np.tile(boxes[number, 2:] - boxes[number, :2], 2)
        off = world.detector.localisation * side * random.normal(size=(len(frames), 4))
        place = jittered(world, np.tile(boxes[number], (len(frames), 1)), off)
        whole = Raw(
            frames, place, logits, np.full(len(frames), class_ids[number], np.uint32),
            np.full(len(frames), FLASH - 1 - number, np.int64), np.zeros(len(frames), np.bool_),
        )  # fmt: skip
        parts.append(whole.take(np.flatnonzero(seen)))
    return Raw.join(parts)


def _spans(world: World, random: np.random.Generator, count: int, extra: int) -> list[tuple[int, int]]:
    """First frames of phantoms, and the frames after their last. Extra ones come after the drift began."""
    lasts = random.exponential(world.false_alarms.phantom_seconds, count + extra) * world.fps
    whole = world.false_alarms.phantom_seconds * world.fps
    begins = random.uniform(-whole, world.frames, count + extra)
    at = world.drift.begins * world.frames
    begins[count:] = random.uniform(at, world.frames, extra)
    spans = np.clip(np.stack([begins, begins + lasts], 1), 0, world.frames).astype(np.int64)
    return [(int(start), int(stop)) for start, stop in spans]


def _places(world: World, random: np.random.Generator, count: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Class ids and boxes of things that look like objects."""
    class_ids = random.integers(0, len(world.classes), count).astype(np.uint32)
    sizes = np.array([(one.height * one.aspect, one.height) for one in world.classes])[class_ids]
    sizes = sizes * random.uniform(FURTHEST, 1.0, (count, 1)) * random.uniform(0.8, 1.2, (count, 2))
    middles = random.uniform((0.03, 0.3), (0.97, 0.9), (count, 2)) * world.frame_size
    return class_ids, clipped(world, np.hstack([middles - sizes / 2, middles + sizes / 2]))
