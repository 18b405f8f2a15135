"""KITTI tracking: a `.txt` a sequence.

A row is `frame id class truncated occluded alpha x1 y1 x2 y2 height width length x y z rotation score`, set apart by
blanks; frames and ids start at 0, an id of -1 is no id, the score may be missing. The benchmark records 10 frames a
second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .checks import boxes_from_corners, check_finite, check_frames, require, track_numbers, whole_numbers
from .errors import NothingFoundError, Place
from .formats import Options, Source
from .scores import scores_of
from .sequence import Sequence
from .table import Column, read_table

CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = (
    Column(0, "frame"),
    Column(1, "id"),
    Column(2, "class", text=True),
    *(Column(6 + position, name) for position, name in enumerate(CORNERS)),
)
SCORE = Column(17, "score")
FIRST_FRAME = 0
FIRST_TRACK = 0
FPS = 10.0


class KittiDetections:
    """Reads detections in the form of KITTI's tracking benchmark."""

    name = "kitti"

    def find(self, path: Path) -> tuple[Source, ...]:
        """A .txt, a folder of them, or a folder that holds them in detections/."""
        path = path.absolute()
        if path.is_file():
            return (Source(path.stem, path),)
        if not path.is_dir():
            raise NothingFoundError(Place(path), "does not exist", "check the path")
        folder = path / "detections" if (path / "detections").is_dir() else path
        sources = tuple(Source(file.stem, file) for file in sorted(folder.glob("*.txt")) if file.is_file())
        if not sources:
            raise NothingFoundError(
                Place(folder), "holds no .txt file", "give a sequence's .txt, a folder of them, or one with detections/"
            )
        return sources

    def read(self, source: Source, options: Options) -> Sequence:
        """One .txt. Its last frame is the sequence's last: the format does not say how many there are."""
        table = read_table(source.file, COLUMNS, SCORE, None)
        frames = whole_numbers(table.numbers("frame"), table.place, "frame")
        check_frames(frames, FIRST_FRAME, None, table.place, "frame")
        words = table.values["class"]
        require(
            words != "DontCare",
            table.place,
            "class",
            lambda _: ("is DontCare, a region to ignore, not a detection", "give detections here, not labels"),
        )
        require(
            np.fromiter((word.isprintable() for word in words.tolist()), np.bool_, len(table)),
            table.place,
            "class",
            lambda index: (f"is {str(words[index])!r}", "name classes by printable characters"),
        )
        names, class_ids = np.unique(words, return_inverse=True)
        corners = np.stack([table.numbers(name) for name in CORNERS], axis=1)
        for position, name in enumerate(CORNERS):
            check_finite(corners[:, position], table.place, name)
        scores, warnings = scores_of(table, options)
        return Sequence(
            name=source.name,
            fps=FPS if options.fps is None else options.fps,
            first_frame=FIRST_FRAME,
            length=int(frames.max(initial=FIRST_FRAME - 1)) + 1 - FIRST_FRAME,
            class_names={index: str(name) for index, name in enumerate(names)},
            frames=frames,
            boxes=boxes_from_corners(corners, table.place, CORNERS),
            xywh=np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1),
            scores=scores,
            class_ids=class_ids.astype(np.uint32),
            track_ids=track_numbers(table.numbers("id"), FIRST_TRACK, table.place, "id"),
            first_track=FIRST_TRACK,
            rows=table.rows,
            source=source.file,
            logits=options.logits,
            warnings=warnings,
        )
