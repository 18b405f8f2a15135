"""Tertium's own recordings (docs/recording.md): what cameras sent, written by `tertium serve --record` and by the client.

A path is a folder of recordings, the folder of a stream, or one part of a recording. Each run (epoch) of a stream is a
sequence, named for the stream, or `<stream>@<epoch>` where there are several. Its frames are those that the server took,
by the numbers and at the times that the camera gave them.

Truth is in rows as MOTChallenge has them, `frame, id, left, top, width, height, evaluate, class`, in
`<name>/gt/gt.txt`, which may lie beside the recording; frames and classes by the camera's numbers.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Set as AbstractSet
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from tertium.recording import SUFFIXES, Opening, PartName

from .checks import check_corners, require, track_numbers, warn_of_doubled_ids, whole_numbers
from .errors import NothingFoundError, Place, ReadError
from .formats import Options, Source
from .mot_rows import CLASS, COLUMNS, EVALUATE, SIDES, boxes_of, frames_of, kinds_of
from .sequence import NANOSECONDS, Sequence
from .table import Table, read_table
from .tertium_admission import Frames, admit
from .tertium_parts import UNTRACKED, read_opening, read_recording
from .truth import Truth

GROUND_TRUTH = "gt/gt.txt"
SLOWEST, FASTEST = 0.001, 1000.0
"""Frames per second that a sequence may have."""


class Tertium:
    """Reads Tertium's own recordings, and truth about them."""

    name = "tertium"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The runs of streams in a folder, or in the folder of one stream; or a single part."""
        del options  # recordings leave nothing open
        path = path.absolute()
        if path.is_file():
            opening = read_opening(path)
            return (Source(path.name if opening is None else opening.stream_id, path, alone=True),)
        if not path.is_dir():
            raise NothingFoundError(Place(path), "does not exist", "check the path")
        runs = sorted({(file.parent, name.epoch) for file, name in _parts(path)})
        if not runs:
            remedy = "give the folder that --record wrote to, a stream's folder in it, or one file"
            raise NothingFoundError(Place(path), "holds no recording", remedy)
        streams = [_stream_of(folder, epoch) for folder, epoch in runs]
        several = {name for name, count in Counter(streams).items() if count > 1}
        sources: dict[str, Source] = {}
        for stream, (folder, epoch) in zip(streams, runs, strict=True):
            name = f"{stream}@{epoch}" if stream in several else stream
            if name in sources:
                problem = f"is the run of {stream} that {sources[name].file} holds, too"
                raise ReadError(Place(folder), problem, "take one of them away")
            sources[name] = Source(name, folder, alone=len(runs) == 1, part=str(epoch))
        return tuple(sources.values())

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """A gt.txt, or a folder of folders that hold gt/gt.txt and are named as their sequences."""
        del options
        path = path.absolute()
        if path.is_file():
            return (Source(path.stem, path, alone=True),)
        if (path / GROUND_TRUTH).is_file():
            return (Source(unquote(path.name), path / GROUND_TRUTH, alone=True),)
        files = sorted(path.glob(f"*/{GROUND_TRUTH}"))
        if not files:
            remedy = f"write <stream>/{GROUND_TRUTH} for each sequence"
            raise NothingFoundError(Place(path), f"holds no {GROUND_TRUTH} in its folders", remedy)
        return tuple(Source(unquote(file.parents[1].name), file) for file in files)

    def read(self, source: Source, options: Options) -> Sequence:
        """One run of a stream."""
        recording = read_recording(_files(source))
        frames = admit(recording)
        opening = recording.opening
        fps, estimated = _fps(opening, frames, options)
        corners = frames.boxes.astype(np.float64)
        nothing = (
            () if len(corners) else (f"{source.file}: holds no detections of {source.name}; every frame is empty",)
        )
        return Sequence(
            name=source.name,
            fps=fps,
            estimated_fps=estimated,
            frame_size=(opening.frame_width, opening.frame_height),
            first_frame=0,
            length=len(frames.indices),
            class_names=dict(opening.class_names),
            frames=frames.place,
            boxes=frames.boxes,
            xywh=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
            scores=frames.scores.astype(np.float64),
            class_ids=frames.class_ids.astype(np.uint32),
            track_ids=np.where(frames.track_ids == UNTRACKED, -1, frames.track_ids),
            first_track=1,
            rows=frames.records,
            source=source.file,
            times=frames.times,
            indices=frames.indices,
            logits=opening.logits,
            warnings=(*recording.warnings, *frames.warnings, *nothing),
        )

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """One gt.txt. Rows of frames that were not recorded are left out, with a warning."""
        del options, named  # rows leave nothing open, and all classes are evaluated
        table = read_table(source.file, COLUMNS, (EVALUATE, CLASS), ",")
        frames = frames_of(table, 0)
        _, corners = boxes_of(table)
        check_corners(corners, table.place, SIDES)
        kinds, warnings = kinds_of(table)
        track_ids = track_numbers(table.numbers("id"), 0, table.place, "id")
        class_ids = _class_ids(table, sequence)
        warnings += _warn_of_classes(table, sequence)
        places, recorded = _places(frames, sequence)
        if not recorded.all():
            first = int(np.argmin(recorded))
            where = f"{table.place(first, 'frame')}: the first of {np.count_nonzero(~recorded)} rows"
            warnings += (f"{where} of frames that are not in the recording; they are left out",)
        return Truth(
            name=sequence.name,
            first_frame=0,
            length=sequence.length,
            class_names=dict(sequence.class_names),
            frames=places[recorded],
            boxes=corners[recorded],
            class_ids=class_ids[recorded],
            track_ids=track_ids[recorded],
            kinds=kinds[recorded],
            rows=table.rows[recorded],
            source=source.file,
            warnings=(*warnings, *warn_of_doubled_ids(frames, track_ids, table.place)),
        )


def _parts(folder: Path) -> list[tuple[Path, PartName]]:
    """The parts of recordings in a folder and in its folders, in the order of their numbers."""
    files = [file for pattern in ("*", "*/*") for file in folder.glob(pattern) if file.name.endswith(SUFFIXES)]
    named = [(file, PartName.of(file)) for file in files if file.is_file()]
    return sorted(((file, name) for file, name in named if name is not None), key=lambda one: (one[1], one[0]))


def _files(source: Source) -> tuple[Path, ...]:
    if source.file.is_file():
        return (source.file,)
    return tuple(
        file for file, name in _parts(source.file) if file.parent == source.file and str(name.epoch) == source.part
    )


def _stream_of(folder: Path, epoch: int) -> str:
    """The name of the stream whose parts lie in a folder: what they say, or where none can be read, the folder's."""
    for file, name in _parts(folder):
        if name.epoch == epoch:
            with contextlib.suppress(ReadError):  # reading the sequence raises it again
                opening = read_opening(file)
                if opening is not None:
                    return opening.stream_id
    return unquote(folder.name)


def _fps(opening: Opening, frames: Frames, options: Options) -> tuple[float, bool]:
    """Frames per second, and whether they are only estimated, by the middle one of the distances in time."""
    if options.fps is not None:
        return options.fps, False
    if opening.nominal_fps > 0:
        return opening.nominal_fps, False
    steps = np.diff(frames.times)
    middle = float(np.median(steps[steps > 0])) if (steps > 0).any() else NANOSECONDS / 30
    return float(np.clip(NANOSECONDS / middle, SLOWEST, FASTEST)), True


def _class_ids(table: Table, sequence: Sequence) -> NDArray[np.uint32]:
    """(M,) class ids by the recording's numbers; where it has but one class, all rows are of that."""
    if len(sequence.class_names) == 1:
        return np.full(len(table), next(iter(sequence.class_names)), np.uint32)
    if "class" not in table.columns:
        if not len(table):
            return np.empty(0, np.uint32)
        names = ", ".join(f"{number} {name}" for number, name in sequence.class_names.items())
        raise ReadError(
            Place(table.file, column=str(CLASS)), "is missing, and there are several classes", f"write {names}"
        )
    classes = whole_numbers(table.numbers("class"), table.place, "class")
    require(
        np.isin(classes, list(sequence.class_names)),
        table.place,
        "class",
        lambda index: (f"is {classes[index]}, which the recording does not name", "write the camera's class ids"),
    )
    return classes.astype(np.uint32)


def _warn_of_classes(table: Table, sequence: Sequence) -> tuple[str, ...]:
    """Of rows of other classes than the one there is; -1 and 1 are what MOTChallenge writes where nobody asks."""
    if len(sequence.class_names) != 1 or "class" not in table.columns:
        return ()
    (only,) = sequence.class_names
    classes = whole_numbers(table.numbers("class"), table.place, "class")
    others = np.unique(classes[~np.isin(classes, (-1, 1, only))]).tolist()
    if not others:
        return ()
    name = sequence.class_names[only]
    return (
        f"{table.file}: rows of column 8 (class) {', '.join(map(str, others))} count as {name}, the one class there is",
    )


def _places(frames: NDArray[np.int64], sequence: Sequence) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(M,) places of the camera's frames in the sequence, and which of them are in it."""
    indices = sequence.frame_indices()
    places = np.searchsorted(indices, frames).astype(np.int64)
    if not len(indices):
        return places, np.zeros(len(frames), np.bool_)
    return places, indices[np.minimum(places, len(indices) - 1)] == frames
