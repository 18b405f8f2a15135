"""Plays a camera: its frames go out at their pace, the answers go to the board."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_client import Client, Frame

from .board import Board, CameraBoard
from .drawing import draw_scene

_BATCH = 16
"""Frames a message where nobody waits for them."""

_DRAWN_EVERY = 5
"""Frames from one picture to the next."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast recordings are played."""

    speed: float | None
    """Times real time; None: as fast as the server answers."""

    stop: threading.Event
    """Ends the play, in order: streams are finished, not broken off."""

    def keep(self, start: float, seconds: float) -> bool:
        """Waits until a moment of the recording is due; False: the play is over."""
        if self.speed is None:
            return not self.stop.is_set()
        return not self.stop.wait(max(0.0, start + seconds / self.speed - time.monotonic()))


def play(client: Client, board: Board, camera: CameraBoard, pace: Pace) -> None:
    """Plays one camera to its end.

    Raises:
        tertium_client.TertiumError: the server refused the stream, or is gone for good.
    """
    source = camera.camera
    scores: deque[NDArray[np.float32]] = deque()
    live = pace.speed is not None
    with client.open(
        f"demo/{source.group}",
        batch=1 if live else _BATCH,
        group=source.group,
        class_names=source.sequence.class_names,
        frame_size=source.sequence.frame_size,
        nominal_fps=source.sequence.fps,
        include_tracks=True,
        include_coasted=True,
    ) as stream:
        for answer in stream.decide(_paced(camera, pace, scores), look_ahead=1 if live else None, finish=True):
            board.take(camera, answer, np.empty(0, np.float32) if answer.frame_index is None else scores.popleft())


def _picture(
    camera: CameraBoard, index: int, boxes: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.uint8] | None:
    """What people see who review a track of this frame; not of every frame, for drawing takes time."""
    size = camera.camera.sequence.frame_size
    return draw_scene(size, boxes, scores) if index % _DRAWN_EVERY == 0 and all(size) else None


def _paced(camera: CameraBoard, pace: Pace, scores: deque[NDArray[np.float32]]) -> Iterator[Frame]:
    """The frames when they are due; their scores are kept for the answers."""
    start = time.monotonic()
    for frame in camera.camera.frames().split(1):
        if not pace.keep(start, int(frame.times[0]) / 1e9):
            return
        scores.append(frame.scores)
        yield Frame(
            boxes=frame.boxes,
            scores=frame.scores,
            frame_index=int(frame.indices[0]),
            capture_time=int(frame.times[0]),
            picture=_picture(camera, int(frame.indices[0]), frame.boxes, frame.scores),
        )
