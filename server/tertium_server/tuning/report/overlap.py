"""Overlap of boxes, all with all."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def overlap(these: Floats, those: Floats) -> Floats:
    """(A, B) intersection over union of boxes (A, 4) and (B, 4), corners x1, y1, x2, y2."""
    low = np.maximum(these[:, None, :2], those[None, :, :2])
    high = np.minimum(these[:, None, 2:], those[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (these, those)]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None, :] - shared))
