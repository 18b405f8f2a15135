"""Boxes given as shares of the image, in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checks import Locate, check_finite, require

ASSUMED = (1000, 1000)
"""Width and height of an image whose size nobody tells. IoU, and so matching, are the same for any."""


MOST_SHARE = 10.0
"""Boxes may reach out of the picture, but not as far as this: these are pixels."""


def check_shares(shares: NDArray[np.float64], locate: Locate, names: tuple[str, str, str, str]) -> None:
    """Every number of boxes (N, 4) can be a share of the picture. `names`: the fields they stand in."""
    for position, name in enumerate(names):
        _check_share(shares[:, position], locate, name)


def _check_share(values: NDArray[np.float64], locate: Locate, name: str) -> None:
    check_finite(values, locate, name)
    require(
        np.abs(values) <= MOST_SHARE,
        locate,
        name,
        lambda index: (
            f"is {values[index]:g}, and boxes are given in shares of the picture",
            "divide pixels by its width and height",
        ),
    )


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
