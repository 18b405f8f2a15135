"""Messages of frames, by seed."""

from dataclasses import replace
from typing import Any

import numpy as np

from tertium.recording import FrameArrays, Opening


def opening(**changes: Any) -> Opening:
    return replace(Opening(stream_id="gate", epoch=7, class_names={0: "person", 3: "car"}), **changes)


def message(seed: int, first: int = 0, frames: int = 3, **changes: Any) -> FrameArrays:
    """Frames from an index on, with all arrays."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 4, frames).astype(np.uint32)
    number = int(counts.sum())
    corners = random.uniform(0, 500, (number, 2)).astype(np.float32)
    arrays = {
        "indices": np.arange(first, first + frames, dtype=np.int64),
        "times": np.arange(first, first + frames, dtype=np.int64) * 40_000_000 + 10**18,
        "counts": counts,
        "boxes": np.hstack([corners, corners + random.uniform(5, 90, (number, 2)).astype(np.float32)]),
        "scores": random.random(number).astype(np.float32),
        "class_ids": random.choice([0, 3], number).astype(np.uint32),
        "track_ids": np.empty(0, np.int64),
    }
    return FrameArrays(**{**arrays, **changes})
