"""What is measured with: detections of objects that cross each other at constant velocity, by seed alone."""

import numpy as np
import numpy.typing as npt

from tertium_server.engine import FrameColumns

WIDTH, HEIGHT = 1920, 1080
FPS = 30.0
_NANOSECONDS = 1_000_000_000
_JITTER = 1.0  # pixels: a detector's boxes tremble


def crossing(detections: int, frames: int, seed: int = 0) -> FrameColumns:
    """``frames`` frames at 30 a second in full HD, each with ``detections`` boxes.

    Every object moves straight on at up to 200 pixels a second, turns at the picture's edge, and is seen in every frame. At 500 objects half of the
    picture is covered. Scores are what a good detector gives: 0.7 on average, now and then a low one.
    """
    random = np.random.default_rng(seed)
    height = random.uniform(40, 100, detections)
    size = np.column_stack([0.4 * height, height])
    room = np.array([WIDTH, HEIGHT]) - size
    start = random.uniform(0, 1, (detections, 2)) * room
    velocity = random.uniform(-200, 200, (detections, 2))
    seconds = np.arange(frames)[:, None, None] / FPS
    corner = _reflected(start + seconds * velocity, room) + random.normal(0, _JITTER, (frames, detections, 2))
    boxes = np.concatenate([corner, corner + size], axis=2)
    scores = np.clip(random.normal(0.7, 0.15, (frames, detections)), 0.02, 0.99)
    return FrameColumns.of(
        np.arange(frames),
        np.round(np.arange(frames) * (_NANOSECONDS / FPS)).astype(np.int64),
        np.full(frames, detections),
        boxes.reshape(-1, 4),
        scores.ravel(),
    )


def _reflected(position: npt.NDArray[np.float64], room: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positions on an endless line folded into ``[0, room]``."""
    folded = np.mod(position, 2 * room)
    return np.asarray(np.minimum(folded, 2 * room - folded), np.float64)


def split(columns: FrameColumns, frames_a_message: int) -> list[FrameColumns]:
    """The same frames as messages of ``frames_a_message`` each; the last one may hold fewer."""
    first = np.concatenate([[0], np.cumsum(columns.counts, dtype=np.int64)])
    messages = []
    for start in range(0, len(columns.indices), frames_a_message):
        frames = slice(start, min(start + frames_a_message, len(columns.indices)))
        detections = slice(first[frames.start], first[frames.stop])
        messages.append(
            FrameColumns.of(
                columns.indices[frames],
                columns.times[frames],
                columns.counts[frames],
                columns.boxes[detections],
                columns.scores[detections],
            )
        )
    return messages
