"""What a camera of a world sees, and what its detector says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.readers import Kind, Labelled, Sequence, Truth

from .boxes import Boxes, right, rows_of
from .detector import detect
from .scene import Scene, make_scene
from .world import World

HIDDEN = 0.75
"""An object that another covers by more than this is not asked for: its row of truth says to ignore it."""

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class FrameTruth:
    """The truth about a frame, T objects."""

    boxes: NDArray[np.float32]
    """(T, 4) corners in pixels."""

    class_ids: NDArray[np.uint32]
    """(T,)"""

    object_ids: NDArray[np.int64]
    """(T,) from 1, the same in all frames of the camera."""

    ignored: NDArray[np.bool_]
    """(T,) too well hidden to be asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedFrame:
    """A frame as a pipeline would send it, N boxes, with its truth beside it."""

    frame_index: int
    """From 0."""

    capture_time: int
    """Nanoseconds since the camera's first frame."""

    boxes: NDArray[np.float32]
    """(N, 4) corners in pixels."""

    scores: NDArray[np.float32]
    """(N,)"""

    class_ids: NDArray[np.uint32]
    """(N,)"""

    origins: NDArray[np.int64]
    """(N,) the object each is a box of, from 1, as `truth.object_ids`; 0 or less: no object."""

    truth: FrameTruth


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """One camera of a world, from its first frame to its last."""

    world: World
    camera: int
    """Which one, from 0."""

    scene: Scene
    """All objects."""

    detections: Boxes
    """All boxes that the detector made of them."""

    @property
    def name(self) -> str:
        """That of its stream and sequence."""
        return self.world.camera_name(self.camera)

    def right(self) -> NDArray[np.bool_]:
        """(N,) whether a box is the first one of an object, of the right class, with an IoU of 0.5 or more."""
        return right(self.scene, self.detections)

    def hidden(self) -> NDArray[np.bool_]:
        """(N,) whether a box is of an object that is too well hidden in its frame to be asked for."""
        rows = rows_of(self.scene, self.detections.frames, self.detections.origins)
        found = np.zeros(len(rows), np.bool_)
        found[rows >= 0] = self.scene.cover[rows[rows >= 0]] > HIDDEN
        return found

    def capture_times(self) -> NDArray[np.int64]:
        """(frames,) nanoseconds since the first frame."""
        times: NDArray[np.float64] = np.rint(np.arange(self.world.frames) * (NANOSECONDS / self.world.fps))
        return times.astype(np.int64)

    def frames(self) -> Iterator[SimulatedFrame]:
        """Frame by frame, those without anything too."""
        said, scene, times = self.detections, self.scene, self.capture_times().tolist()
        order = np.argsort(scene.frames, kind="stable")
        edges = np.arange(self.world.frames + 1)
        ours, theirs = np.searchsorted(said.frames, edges), np.searchsorted(scene.frames[order], edges)
        for index in range(self.world.frames):
            here, there = slice(ours[index], ours[index + 1]), order[theirs[index] : theirs[index + 1]]
            truth = FrameTruth(
                scene.boxes[there].astype(np.float32),
                scene.class_ids[there],
                scene.objects[there] + 1,
                scene.cover[there] > HIDDEN,
            )
            yield SimulatedFrame(
                index,
                times[index],
                said.boxes[here],
                said.scores[here],
                said.class_ids[here],
                np.maximum(said.origins[here], -1) + 1,
                truth,
            )

    def labelled(self) -> Labelled:
        """Detections and truth as `tertium tune` and `tertium evaluate` would read them; frames from 0."""
        said, scene, world = self.detections, self.scene, self.world
        corners = said.boxes.astype(np.float64)
        names = world.class_names
        source = Path(f"simulated {self.name}")
        sequence = Sequence(
            name=self.name, fps=world.fps, frame_size=world.frame_size, first_frame=0, length=world.frames, class_names=names,
            frames=said.frames, boxes=said.boxes, xywh=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
            scores=said.scores.astype(np.float64), class_ids=said.class_ids, track_ids=np.full(len(said), -1, np.int64),
            rows=np.arange(1, len(said) + 1), source=source,
        )  # fmt: skip
        truth = Truth(
            name=self.name, first_frame=0, length=world.frames, class_names=names, frames=scene.frames, boxes=scene.boxes,
            class_ids=scene.class_ids, track_ids=scene.objects + 1,
            kinds=np.where(scene.cover > HIDDEN, Kind.IGNORE, Kind.EVALUATE).astype(np.uint8),
            rows=np.arange(1, len(scene.frames) + 1), source=source,
        )  # fmt: skip
        return Labelled(sequence, truth)


def film(world: World, camera: int) -> Footage:
    """What one camera sees, from 0: always the same, whatever other cameras there are."""
    scene = make_scene(world, camera)
    return Footage(world, camera, scene, detect(world, camera, scene))


def simulate(world: World) -> tuple[Footage, ...]:
    """What all cameras of a world see."""
    return tuple(film(world, camera) for camera in range(world.cameras))
