"""What a case shows of its track: boxes, scores and probabilities by frame, frozen when the case is opened, and which frames are worth a picture.

The JSON form (``evidence.body`` in the store)::

    {"frame_width": 1920, "frame_height": 1080,
     "thresholds": {"yes": 0.6, "no": 0.1},
     "frames": [[index, capture_time, x1, y1, x2, y2, score, probability], …],
     "levels": [[index, fast, slow, probability], …]}

Frames are ordered; capture times in nanoseconds, boxes in pixels (to a hundredth), scores on the caller's scale and
probabilities (to a millionth). Levels are those of the track, where it was told of them: log-odds of both levels of evidence, and P(real object).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

MOST_FRAMES = 600
"""Frames kept of a track; of more, some are left out evenly."""

PIXEL_DIGITS, SCORE_DIGITS = 2, 6
"""Digits behind the point of what is kept of boxes, and of scores and probabilities."""


@dataclass(frozen=True, slots=True)
class FrameOfTrack:
    """A track in one frame."""

    index: int
    time: int
    """Capture time, nanoseconds."""
    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    """On the caller's scale."""
    probability: float
    """That the box is right, 0 to 1."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 in pixels."""
        return self.x1, self.y1, self.x2, self.y2


@dataclass(frozen=True, slots=True)
class Level:
    """What the machine knew of a track at one frame."""

    index: int
    fast: float
    """Log-odds of the fast level of evidence."""
    slow: float
    """Log-odds of the slow level."""
    probability: float
    """P(real object), 0 to 1."""


# dataclasses.astuple copies deeply, and takes a hundred times as long.
_frame_values = attrgetter(*(field.name for field in fields(FrameOfTrack)))
_level_values = attrgetter(*(field.name for field in fields(Level)))


@dataclass(frozen=True, slots=True)
class Footage:
    """All that is kept of a track's frames."""

    frames: tuple[FrameOfTrack, ...]
    frame_width: int = 0
    """Pixels; 0: unknown."""
    frame_height: int = 0
    yes: float = 1.0
    """The threshold from which a box is YES."""
    no: float = 0.0
    """The threshold under which a box is NO."""
    levels: tuple[Level, ...] = ()
    """Of the track, where something was told of it, in order."""

    def to_json(self) -> dict[str, Any]:
        """The form that is stored."""
        return {
            "frame_width": self.frame_width,
            "frame_height": self.frame_height,
            "thresholds": {"yes": self.yes, "no": self.no},
            "frames": [_frame_values(frame) for frame in thinned(self.frames)],
            "levels": [_level_values(level) for level in self.levels[-MOST_FRAMES:]],
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Footage:
        """What was stored; of a case that was opened without frames, nothing."""
        thresholds = body.get("thresholds", {})
        return cls(
            tuple(FrameOfTrack(*frame) for frame in body.get("frames", ())),
            body.get("frame_width", 0),
            body.get("frame_height", 0),
            thresholds.get("yes", 1.0),
            thresholds.get("no", 0.0),
            tuple(Level(*level) for level in body.get("levels", ())),
        )


def thinned(frames: Sequence[FrameOfTrack]) -> Sequence[FrameOfTrack]:
    """At most ``MOST_FRAMES`` of the frames, evenly spread, the first and the last among them."""
    if len(frames) <= MOST_FRAMES:
        return frames
    step = (len(frames) - 1) / (MOST_FRAMES - 1)
    return [frames[round(place * step)] for place in range(MOST_FRAMES)]


def worth_a_picture(frames: Sequence[FrameOfTrack], most: int) -> list[FrameOfTrack]:
    """The frames to ask pictures of, best first: the likeliest box, the first, the last, and others as far from those as can be."""
    if not frames or most < 1:
        return []
    best = int(np.argmax([frame.probability for frame in frames]))
    chosen = list(dict.fromkeys((best, 0, len(frames) - 1)))[:most]
    places = np.arange(len(frames))
    while len(chosen) < min(most, len(frames)):
        nearest = np.abs(places[:, None] - np.array(chosen)).min(axis=1)
        chosen.append(int(nearest.argmax()))
    return [frames[place] for place in chosen]
