"""MOTChallenge: `<sequence>/det/det.txt` and `<sequence>/gt/gt.txt` with `<sequence>/seqinfo.ini`.

A row of detections is `frame, id, left, top, width, height, score, …`; frames and ids start at 1, an id of -1 is no id,
the score may be missing. A row of truth is `frame, id, left, top, width, height, evaluate, class, …`, where `evaluate`
is 1, or 0 for what is to be ignored; it and the class may be missing.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checks import (
    boxes_from_corners,
    check_corners,
    check_frames,
    track_numbers,
    warn_of_doubled_ids,
    whole_numbers,
)
from .errors import NothingFoundError, Place, ReadError
from .formats import Options, Source
from .mot_rows import CLASS, COLUMNS, EVALUATE, SCORE, SIDES, boxes_of, frames_of, kinds_of
from .scores import scores_of
from .seqinfo import NAME, SequenceInfo, seqinfo_beside
from .sequence import Sequence
from .table import Table, read_table
from .truth import Kind, Truth

FIRST_FRAME = 1
FIRST_TRACK = 1
UNNAMED = (-1, 1)
"""Classes of truth rows that need no mention: none, and the benchmark's pedestrian, the one that is evaluated."""


class Mot:
    """Reads detections and truth in the form of MOTChallenge."""

    name = "mot"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """A sequence's folder, a folder of such folders, or a det.txt."""
        del options  # names are those of folders or files
        return _find(path, "det")

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """A sequence's folder, a folder of such folders, or a gt.txt."""
        del options  # names are those of folders or files
        return _find(path, "gt")

    def read(self, source: Source, options: Options) -> Sequence:
        """One det.txt, with what seqinfo.ini says beside it."""
        table = read_table(source.file, COLUMNS, (SCORE,), ",")
        frames = frames_of(table, FIRST_FRAME)
        info = _read_info(source.file, options, int(frames.max(initial=0)))
        check_frames(frames, FIRST_FRAME, info.length, table.place, "frame")
        xywh, corners = boxes_of(table)
        scores, warnings = scores_of(table, options)
        return Sequence(
            name=source.name,
            fps=info.fps,
            frame_size=info.frame_size,
            first_frame=FIRST_FRAME,
            length=info.length,
            class_names={0: options.class_name},
            frames=frames,
            boxes=boxes_from_corners(corners, table.place, SIDES),
            xywh=xywh,
            scores=scores,
            class_ids=np.zeros(len(table), np.uint32),
            track_ids=track_numbers(table.numbers("id"), FIRST_TRACK, table.place, "id"),
            first_track=FIRST_TRACK,
            rows=table.rows,
            source=source.file,
            logits=options.logits,
            warnings=(*info.warnings, *warnings),
        )

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """One gt.txt. All its rows are of the one class that the detections are of."""
        del named  # there is one class
        table = read_table(source.file, COLUMNS, (EVALUATE, CLASS), ",")
        frames = frames_of(table, FIRST_FRAME)
        length = _length_of_truth(source.file, sequence)
        if length is not None:
            check_frames(frames, FIRST_FRAME, length, table.place, "frame")
        _, corners = boxes_of(table)
        check_corners(corners, table.place, SIDES)
        kinds, warnings = kinds_of(table)
        warnings += _warn_of_classes(table, kinds == Kind.EVALUATE)
        track_ids = track_numbers(table.numbers("id"), 0, table.place, "id")
        return Truth(
            name=sequence.name,
            first_frame=FIRST_FRAME,
            length=max(sequence.length, int(frames.max(initial=0))) if length is None else length,
            class_names={0: options.class_name},
            frames=frames,
            boxes=corners,
            class_ids=np.zeros(len(table), np.uint32),
            track_ids=track_ids,
            kinds=kinds,
            rows=table.rows,
            source=source.file,
            warnings=(*warnings, *warn_of_doubled_ids(frames, track_ids, table.place)),
        )


def _find(path: Path, part: str) -> tuple[Source, ...]:
    """The sequences at a path by their `<part>/<part>.txt`."""
    path = path.absolute()
    if path.is_file():
        folder = path.parent.parent if path.parent.name == part else path.parent
        return (Source(folder.name, path, alone=True),)
    if not path.is_dir():
        raise NothingFoundError(Place(path), "does not exist", "check the path")
    alone = _file_of(path, part)
    if alone is not None:
        return (Source(path.resolve().name, alone),)
    found = ((folder.name, _file_of(folder, part)) for folder in sorted(path.iterdir()) if folder.is_dir())
    sources = tuple(Source(name, file) for name, file in found if file is not None)
    if not sources:
        raise NothingFoundError(
            Place(path),
            f"holds no {part}/{part}.txt, neither itself nor in its folders",
            f"give a sequence's folder, a folder of sequences, or a {part}.txt",
        )
    return sources


def _file_of(folder: Path, part: str) -> Path | None:
    candidates = (folder / part / f"{part}.txt", folder / part / f"{part}.txt.gz")
    return next((file for file in candidates if file.is_file()), None)


def _warn_of_classes(table: Table, evaluated: NDArray[np.bool_]) -> tuple[str, ...]:
    if "class" not in table.columns:
        return ()
    classes = whole_numbers(table.numbers("class"), table.place, "class")
    others = np.unique(classes[evaluated & ~np.isin(classes, UNNAMED)]).tolist()
    if not others:
        return ()
    named = ", ".join(map(str, others))
    return (f"{table.file}: rows of column 8 (class) {named} are evaluated, as objects of the one class there is",)


@dataclass(frozen=True, slots=True)
class _Info:
    fps: float
    length: int
    frame_size: tuple[int, int]
    warnings: tuple[str, ...] = ()


def _read_info(detections: Path, options: Options, last_frame: int) -> _Info:
    """What seqinfo.ini says of a det.txt. Without one, fps has to be given."""
    file = seqinfo_beside(detections)
    if file is None:
        if options.fps is None:
            folder = detections.parent.parent if detections.parent.name == "det" else detections.parent
            raise ReadError(
                Place(folder / NAME),
                "is missing",
                "write one with [Sequence], frameRate= and seqLength=, or give --fps",
            )
        warning = f"{detections}: no seqinfo.ini; the sequence is taken to end with its last row, at frame {last_frame}"
        return _Info(options.fps, last_frame, (0, 0), (warning,))
    info = SequenceInfo.read(file)
    return _Info(info.fps if options.fps is None else options.fps, info.length, info.frame_size)


def _length_of_truth(truth: Path, sequence: Sequence) -> int | None:
    """The number of frames that a seqinfo.ini fixes: the detections' or the truth's own. None: neither has one."""
    fixed = seqinfo_beside(sequence.source) is not None
    file = seqinfo_beside(truth)
    if file is None:
        return sequence.length if fixed else None
    info = SequenceInfo.read(file)
    if sequence.length > info.length or (fixed and sequence.length < info.length):
        problem = f"is {info.length}, and the sequence of detections has {sequence.length} frames"
        raise ReadError(info.place("seqLength"), problem, f"correct it, or {sequence.source}")
    return info.length
