"""Boxes given as shares of the image, in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ASSUMED = (1000, 1000)
"""Width and height of an image whose size nobody tells. IoU, and so matching, are the same for any."""


def scaled(
    xywh: NDArray[np.float64], sizes: list[tuple[int, int]], file: Path
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """(N, 4) boxes times the size of the image each is on, and a warning where such a size is not known (0)."""
    known = np.array(sizes, np.float64).reshape(-1, 2)
    unknown = (known == 0).any(axis=1)
    known[unknown] = ASSUMED
    if not unknown.any():
        return xywh * np.hstack([known, known]), ()
    width, height = ASSUMED
    warning = (
        f"{file}: {np.count_nonzero(unknown)} of {len(known)} boxes are on images whose size is not known; taken as "
        f"{width} x {height} pixels, which changes sizes and speeds, but no IoU"
    )
    return xywh * np.hstack([known, known]), (warning,)
