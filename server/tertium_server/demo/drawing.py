"""Pictures for the recorded cameras, whose own may not be shipped: a plain scene, with a figure wherever the detector saw something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SKY, _GROUND = (96, 108, 116), (66, 72, 64)
_TONES = np.array([(170, 120, 170), (188, 120, 84), (172, 164, 92), (128, 176, 120), (96, 148, 190)], np.float32)
"""From the left of the picture to the right."""


def draw_scene(
    size: tuple[int, int], boxes: NDArray[np.float32], scores: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """(height, width, 3): a horizon, and a figure in each box, the paler the lower its score. ``size``: width and height in pixels."""
    width, height = size
    scene = np.empty((height, width, 3), np.uint8)
    scene[: height // 2] = _SKY
    scene[height // 2 :] = _GROUND
    strengths = np.ones(len(boxes), np.float32) if scores is None else np.clip(scores, 0.15, 1.0)
    for place in np.argsort(strengths):
        _figure(scene, boxes[place], _tone(boxes[place], width), float(strengths[place]))
    return scene


def _tone(box: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(3,): by where the figure stands, without steps, so that it looks in the next picture as it did in the last."""
    place = min(max(float(box[0] + box[2]) / (2 * width), 0.0), 1.0) * (len(_TONES) - 1)
    left = min(int(place), len(_TONES) - 2)
    tone: NDArray[np.float32] = _TONES[left] + np.float32(place - left) * (_TONES[left + 1] - _TONES[left])
    return tone


def _figure(scene: NDArray[np.uint8], box: NDArray[np.float32], tone: NDArray[np.float32], strength: float) -> None:
    """A head on a body, blended over what is there."""
    height, width = scene.shape[:2]
    x1, y1, x2, y2 = (float(corner) for corner in box)
    left, top, right, bottom = max(0, int(x1)), max(0, int(y1)), min(width, int(x2) + 1), min(height, int(y2) + 1)
    if left >= right or top >= bottom:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    u, v = (x - x1) / (x2 - x1) - 0.5, (y - y1) / (y2 - y1)
    head = (u / 0.17) ** 2 + ((v - 0.12) / 0.11) ** 2
    body = (u / 0.36) ** 2 + ((v - 0.62) / 0.38) ** 2
    area = scene[top:bottom, left:right]
    rim = np.minimum(head, body)
    inside = rim < 1.0
    # Darker towards the rim: figures that stand before one another can be told apart.
    shaded = tone * (1.0 - 0.4 * rim[inside, None])
    area[inside] = (area[inside] * (1.0 - strength) + shaded * strength).astype(np.uint8)
