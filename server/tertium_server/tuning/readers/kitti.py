"""KITTI tracking: a `.txt` a sequence, of detections or of labels.

A row is `frame id class truncated occluded alpha x1 y1 x2 y2 height width length x y z rotation score`, set apart by
blanks; frames and ids start at 0, an id below 0 is no id, the score may be missing, and labels have none. The benchmark
records 10 frames a second.

Labels are taken by the benchmark's rules (Geiger, Lenz, Urtasun 2012; trackeval/datasets/kitti_2d_box.py): a Van is no
Car and is not held against one, a Person_sitting no Pedestrian; what is truncated, or occluded beyond "largely", is to
be ignored; in DontCare regions nothing is judged; and boxes of 25 pixels' height or less are nobody's mistake.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checks import (
    boxes_from_corners,
    check_class_names,
    check_corners,
    check_finite,
    check_frames,
    require,
    track_numbers,
    warn_of_doubled_ids,
    whole_numbers,
)
from .errors import NothingFoundError, Place
from .formats import Options, Source
from .scores import scores_of
from .sequence import Sequence
from .table import Column, Table, read_table
from .truth import ALL_CLASSES, Kind, Truth

CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = (
    Column(0, "frame"),
    Column(1, "id"),
    Column(2, "class", text=True),
    *(Column(6 + position, name) for position, name in enumerate(CORNERS)),
)
VISIBILITY = (Column(3, "truncated"), Column(4, "occluded"))
SCORE = Column(17, "score")
FIRST_FRAME = 0
FIRST_TRACK = 0
FPS = 10.0

REGION = "DontCare"
NEIGHBOURS = {"Van": "Car", "Person_sitting": "Pedestrian"}
"""Classes that are hard to tell from another, and that other, for which they are to be ignored."""
OPTIONAL = frozenset({*NEIGHBOURS, "Cyclist", "Truck", "Tram", "Misc"})
"""The benchmark's classes that are evaluated only where the detector knows them."""
MOST_OCCLUDED = 2
MIN_HEIGHT = 25.0


class Kitti:
    """Reads detections and labels in the form of KITTI's tracking benchmark."""

    name = "kitti"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """A .txt, a folder of them, or a folder that holds them in detections/."""
        del options  # names are those of folders or files
        return _find(path, "detections")

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """A .txt, a folder of them, or a folder that holds them in labels/."""
        del options  # names are those of folders or files
        return _find(path, "labels")

    def read(self, source: Source, options: Options) -> Sequence:
        """One .txt. Its last frame is the sequence's last: the format does not say how many there are."""
        table = read_table(source.file, COLUMNS, (SCORE,))
        words = _words(table)
        require(
            words != REGION,
            table.place,
            "class",
            lambda _: ("is DontCare, a region to ignore, not a detection", "give detections here, not labels"),
        )
        frames = _frames(table)
        names, class_ids = np.unique(words, return_inverse=True)
        corners = _corners(table)
        scores, warnings = scores_of(table, options)
        return Sequence(
            name=source.name,
            fps=FPS if options.fps is None else options.fps,
            first_frame=FIRST_FRAME,
            length=_length(frames),
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

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """One .txt of labels. The sequence ends with the last row of either file."""
        del options  # labels leave nothing open
        table = read_table(source.file, (*COLUMNS[:3], *VISIBILITY, *COLUMNS[3:]))
        frames, corners = _frames(table), _corners(table)
        check_corners(corners, table.place, CORNERS)
        track_ids = track_numbers(table.numbers("id"), FIRST_TRACK, table.place, "id")
        classes, kinds, row, warnings = _roles(table, named)
        names, class_ids = np.unique(classes[classes != REGION], return_inverse=True)
        ids = np.full(len(row), ALL_CLASSES, np.uint32)
        ids[classes != REGION] = class_ids
        return Truth(
            name=sequence.name,
            first_frame=FIRST_FRAME,
            length=max(sequence.length, _length(frames)),
            class_names={index: str(name) for index, name in enumerate(names)},
            frames=frames[row],
            boxes=corners[row],
            class_ids=ids,
            track_ids=track_ids[row],
            kinds=kinds,
            rows=table.rows[row],
            source=source.file,
            min_height=MIN_HEIGHT,
            warnings=(*warnings, *warn_of_doubled_ids(frames, track_ids, table.place)),
        )


def _find(path: Path, part: str) -> tuple[Source, ...]:
    path = path.absolute()
    if path.is_file():
        return (Source(path.stem, path, alone=True),)
    if not path.is_dir():
        raise NothingFoundError(Place(path), "does not exist", "check the path")
    folder = path / part if (path / part).is_dir() else path
    sources = tuple(Source(file.stem, file) for file in sorted(folder.glob("*.txt")) if file.is_file())
    if not sources:
        raise NothingFoundError(
            Place(folder), "holds no .txt file", f"give a sequence's .txt, a folder of them, or one with {part}/"
        )
    return sources


def _frames(table: Table) -> NDArray[np.int64]:
    frames = whole_numbers(table.numbers("frame"), table.place, "frame")
    check_frames(frames, FIRST_FRAME, None, table.place, "frame")
    return frames


def _length(frames: NDArray[np.int64]) -> int:
    return int(frames.max(initial=FIRST_FRAME - 1)) + 1 - FIRST_FRAME


def _corners(table: Table) -> NDArray[np.float64]:
    corners = np.stack([table.numbers(name) for name in CORNERS], axis=1)
    for position, name in enumerate(CORNERS):
        check_finite(corners[:, position], table.place, name)
    return corners


def _words(table: Table) -> NDArray[np.str_]:
    words: NDArray[np.str_] = table.values["class"]
    check_class_names(words, table.place, "class")
    return words


def _roles(
    table: Table, named: AbstractSet[str]
) -> tuple[NDArray[np.str_], NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """What the rows are there for: classes (M,), kinds (M,), the table's row behind each (M,), and what is left out.

    A row may be there twice: a Van to be found by a detector of vans is still to be ignored for cars.
    """
    words = _words(table)
    region = words == REGION
    neighbour = np.isin(words, list(NEIGHBOURS))
    evaluated = ~region & (np.isin(words, list(named)) | ~np.isin(words, list(OPTIONAL)))
    hidden = (table.numbers("truncated") > 0) | (table.numbers("occluded") > MOST_OCCLUDED)
    row = np.concatenate([np.flatnonzero(evaluated), np.flatnonzero(neighbour), np.flatnonzero(region)])
    classes = words[row]
    second = slice(np.count_nonzero(evaluated), np.count_nonzero(evaluated) + np.count_nonzero(neighbour))
    classes[second] = [NEIGHBOURS[word] for word in classes[second].tolist()]
    kinds = np.where(hidden[row], Kind.IGNORE, Kind.EVALUATE).astype(np.uint8)
    kinds[second] = Kind.IGNORE
    kinds[second.stop :] = Kind.REGION
    order = np.argsort(row, kind="stable")
    return classes[order], kinds[order], row[order], _warn_of_unused(table, words[~evaluated & ~neighbour & ~region])


def _warn_of_unused(table: Table, words: NDArray[np.str_]) -> tuple[str, ...]:
    if not words.size:
        return ()
    counts = ", ".join(f"{count} {name}" for name, count in zip(*np.unique(words, return_counts=True), strict=True))
    return (f"{table.file}: not evaluated, since no detection of the set is of the class: {counts} (rows)",)
