"""YOLO: a label file a frame, `class x y width height confidence id` in each row.

x and y are the centre; all four are shares of the image. Detections have the sixth column (a missing one counts as 1.0)
and perhaps a track id in the seventh (what Ultralytics writes with save_txt and save_conf); truth has five, and perhaps
an id in the seventh. Names of classes come from a data.yaml or classes.txt near the label files, sizes from the images
(beside the labels, or in images/ where these are in labels/) or from a seqinfo.ini beside the label files (imWidth,
imHeight; it may give frameRate and seqLength, too).

A sequence is a folder of label files, or those of a folder whose names start alike and end with a frame number. Which
frames there are is told by seqinfo.ini, by the images, by the label files of both detections and truth, and, where less
than half of the numbers from the first to the last are missing, by these numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .albums import Album
from .boxes import Boxes, Keys
from .checks import Locate, require, whole_numbers
from .errors import Place, ReadError
from .formats import Options, Source
from .scaling import check_shares, scaled
from .sequence import Sequence
from .table import Column, Table, read_table
from .truth import Kind, Truth
from .yolo_folder import LabelFolder, class_names, find_folders, folder_named
from .yolo_frames import album_of

SIDES = ("x", "y", "width", "height")
COLUMNS = tuple(Column(index, name) for index, name in enumerate(("class", *SIDES)))
SCORE = Column(5, "confidence")
TRACK = Column(6, "id")
EXCESS = Column(7, "none of a box")
KEYS = Keys(box="width", score="confidence", label="class", track="id")
DETECTIONS = ("detections", "predictions", "labels")
TRUTH = ("labels",)
"""Folders that are looked for in a path."""


class Yolo:
    """Reads detections and truth in the form of YOLO's label files."""

    name = "yolo"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of a folder of label files, or of a folder of such folders."""
        del options  # names are those of folders or files
        return _find(path, DETECTIONS)

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of a folder of label files, or of a folder of such folders."""
        del options
        return _find(path, TRUTH)

    def read(self, source: Source, options: Options) -> Sequence:
        """The label files of one sequence."""
        own = folder_named(source.file, source.name)
        folders = (own, *_truth_of(source, options))
        return _boxes(own, folders, album_of(folders, options.fps)).sequence(options)

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """The label files of one sequence."""
        del named  # all classes are evaluated
        own, found = folder_named(source.file, source.name), folder_named(sequence.source, sequence.name)
        return _boxes(own, (own, found), album_of((found, own), options.fps)).truth()


def _find(path: Path, parts: Iterable[str]) -> tuple[Source, ...]:
    return tuple(Source(folder.name, folder.folder, folder.alone) for folder in find_folders(path.absolute(), parts))


def _truth_of(source: Source, options: Options) -> tuple[LabelFolder, ...]:
    """The truth that goes with detections, where it is known."""
    if options.truth is None:
        return ()
    folders = find_folders(options.truth.absolute(), TRUTH)
    named = tuple(folder for folder in folders if folder.name == source.name)
    return named or (folders if len(folders) == 1 else ())


def _boxes(own: LabelFolder, folders: Iterable[LabelFolder], album: Album) -> Boxes:
    """The boxes of one sequence's files. `folders`: where names of classes are looked for, its own folder first."""
    tables = [table for table in map(_read, own.files()) if len(table)]
    owners = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    starts = np.cumsum([0, *(len(table) for table in tables)])

    def locate(index: int, name: str) -> Place:
        owner = int(owners[index])
        return tables[owner].place(index - int(starts[owner]), name)

    def numbers(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.empty(0), *(table.numbers(name) for table in tables)])

    shares = np.stack([numbers(name) for name in SIDES], axis=1)
    check_shares(shares, locate, SIDES)
    shares[:, :2] -= shares[:, 2:] / 2
    stems = [tables[owner].file.stem for owner in owners.tolist()]
    xywh, unscaled = scaled(shares, [album.sizes[stem] for stem in stems], own.folder)
    classes = whole_numbers(numbers("class"), locate, "class")
    names, unnamed = _names(classes, class_names(folder.folder for folder in folders), locate, own)
    ids = [table.numbers("id") if "id" in table.columns else np.full(len(table), -1.0) for table in tables]
    return Boxes(
        album=album,
        frames=np.array([album.frames[stem] for stem in stems], np.int64),
        xywh=xywh,
        names=names,
        scores=_scores(tables),
        track_ids=np.concatenate([np.empty(0), *ids]),
        kinds=np.full(len(xywh), Kind.EVALUATE, np.uint8),
        rows=np.concatenate([np.empty(0, np.int64), *(table.rows for table in tables)]),
        source=own.folder,
        keys=KEYS,
        locate=locate,
        warnings=(*unscaled, *unnamed),
    )


def _read(file: Path) -> Table:
    table = read_table(file, COLUMNS, (SCORE, TRACK, EXCESS))
    if EXCESS.name in table.columns:
        problem = f"is there: a box has at most {EXCESS.index} columns"
        raise ReadError(table.place(0, EXCESS.name), problem, "give boxes, not outlines or key points")
    return table


def _scores(tables: list[Table]) -> NDArray[np.float64] | None:
    """(N,) scores; None: no file has any."""
    having = [SCORE.name in table.columns for table in tables]
    if not any(having):
        return None
    if not all(having):
        place = Place(tables[having.index(False)].file, column=str(SCORE))
        raise ReadError(place, "is missing, and other files have it", "give all files the column, or none")
    return np.concatenate([table.numbers(SCORE.name) for table in tables])


def _names(
    classes: NDArray[np.int64], known: tuple[dict[int, str], Path] | None, locate: Locate, own: LabelFolder
) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    if known is None:
        warning = f"{own.folder}: no data.yaml or classes.txt near it; classes go by their numbers"
        return classes.astype(np.str_), (warning,) if classes.size else ()
    names, file = known
    require(
        np.isin(classes, list(names)),
        locate,
        "class",
        lambda index: (
            f"is {classes[index]}",
            f"{file} names classes {min(names, default=0)} to {max(names, default=0)}",
        ),
    )
    return np.array([names[number] for number in classes.tolist()], np.str_), ()
