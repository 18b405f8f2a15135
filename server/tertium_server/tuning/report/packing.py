"""Numbers in the page: short where people read them, in full where arithmetic goes on with them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = Any
"""A tree of dicts, lists, texts, numbers, booleans and None; finite throughout."""


def pack(values: NDArray[Any]) -> dict[str, str]:
    """A column in full, as base64 of little-endian numbers of the smallest kind that holds them: ``{"kind": "f32", "data": …}``."""
    kind = _kind(values)
    return {
        "kind": kind.str[1] + str(8 * kind.itemsize),
        "data": base64.b64encode(values.astype(kind).tobytes()).decode("ascii"),
    }


def unpack(packed: dict[str, str]) -> NDArray[Any]:
    """The column again: what the page does, for whoever reads the page's data in Python."""
    kind, bits = packed["kind"][0], int(packed["kind"][1:])
    return np.frombuffer(base64.b64decode(packed["data"]), np.dtype(f"<{kind}{bits // 8}"))


def _kind(values: NDArray[Any]) -> np.dtype[Any]:
    if values.dtype.kind == "f":
        return np.dtype("<f4") if np.array_equal(values.astype(np.float32), values) else np.dtype("<f8")
    if values.size == 0:
        return np.dtype("<u1")
    for name in ("<u1", "<u2", "<u4"):
        if values.min() >= 0 and values.max() <= np.iinfo(name).max:
            return np.dtype(name)
    return np.dtype("<f8")  # JavaScript's own whole numbers


def short(values: NDArray[Any], digits: int) -> list[float | None]:
    """Numbers to so many decimals, for display; None for what is not finite."""
    rounded: list[float] = np.round(values.astype(np.float64), digits).tolist()
    finite: list[bool] = np.isfinite(values).tolist()
    return [value if known else None for value, known in zip(rounded, finite, strict=True)]


def number(value: float) -> float | None:
    """A number in full; None where it is not finite."""
    return float(value) if np.isfinite(value) else None
