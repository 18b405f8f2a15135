"""Boxes on images, on their way from a file to a `Sequence` or a `Truth`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .albums import Album
from .checks import (
    Locate,
    boxes_from_corners,
    check_class_names,
    check_corners,
    check_finite,
    check_scores,
    track_numbers,
    warn_of_doubled_ids,
)
from .errors import Place, ReadError
from .formats import Options
from .json_file import Entries
from .sequence import Sequence
from .truth import Truth


@dataclass(frozen=True, slots=True)
class Keys:
    """What a format calls the values of a box; for errors."""

    box: str
    score: str
    label: str
    track: str

    @property
    def boxes(self) -> tuple[str, str, str, str]:
        """For each corner, what settles it."""
        return self.box, self.box, self.box, self.box


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """N boxes of one album, in the order of their file."""

    album: Album

    frames: NDArray[np.int64]
    """(N,) frame numbers of the album."""

    xywh: NDArray[np.float64]
    """(N, 4) left, top, width and height in pixels."""

    names: NDArray[np.str_]
    """(N,) class names."""

    scores: NDArray[np.float64] | None
    """(N,) scores; None: the file has none."""

    track_ids: NDArray[np.float64]
    """(N,) track ids from 0; below 0 for none."""

    kinds: NDArray[np.uint8]
    """(N,) Kind of each, where the boxes are truth."""

    rows: NDArray[np.int64]
    """(N,) where each stands, from 1."""

    source: Path
    keys: Keys
    locate: Locate
    warnings: tuple[str, ...] = ()

    def sequence(self, options: Options) -> Sequence:
        """The boxes as detections.

        Raises:
            ReadError: a value can't be taken.
        """
        corners = self._corners()
        scores, warnings = self._scores(options)
        names, class_ids = self._classes()
        album = self.album
        return Sequence(
            name=album.name,
            fps=album.fps,
            frame_size=album.frame_size,
            first_frame=album.first_frame,
            length=album.length,
            class_names=names,
            frames=self.frames,
            boxes=boxes_from_corners(corners, self.locate, self.keys.boxes),
            xywh=self.xywh,
            scores=scores,
            class_ids=class_ids,
            track_ids=track_numbers(self.track_ids, 0, self.locate, self.keys.track),
            first_track=0,
            rows=self.rows,
            source=self.source,
            times=album.times,
            logits=options.logits,
            warnings=(*album.warnings, *self.warnings, *warnings),
        )

    def truth(self) -> Truth:
        """The boxes as truth.

        Raises:
            ReadError: a value can't be taken.
        """
        corners = self._corners()
        check_corners(corners, self.locate, self.keys.boxes)
        names, class_ids = self._classes()
        track_ids = track_numbers(self.track_ids, 0, self.locate, self.keys.track)
        warnings = warn_of_doubled_ids(self.frames, track_ids, self.locate, self.keys.track)
        if self.scores is not None and len(self.xywh):
            warnings += (f"{self.source}: gives each object a {self.keys.score}; truth has none, it is not used",)
        return Truth(
            name=self.album.name,
            first_frame=self.album.first_frame,
            length=self.album.length,
            class_names=names,
            frames=self.frames,
            boxes=corners,
            class_ids=class_ids,
            track_ids=track_ids,
            kinds=self.kinds,
            rows=self.rows,
            source=self.source,
            warnings=(*self.warnings, *warnings),
        )

    def _corners(self) -> NDArray[np.float64]:
        for position in range(4):
            check_finite(self.xywh[:, position], self.locate, self.keys.box)
        return np.concatenate([self.xywh[:, :2], self.xywh[:, :2] + self.xywh[:, 2:]], axis=1)

    def _scores(self, options: Options) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        if not len(self.xywh):
            return np.empty(0), (
                f"{self.source}: holds no detections of {self.album.name}; every frame counts as empty",
            )
        if self.scores is not None:
            check_scores(self.scores, self.locate, self.keys.score, logits=options.logits)
            return self.scores, ()
        if options.logits:
            remedy = "leave out --scores logit: each detection then counts as 1.0"
            raise ReadError(Place(self.source, column=self.keys.score), "is missing", remedy)
        warning = f"{self.source}: has no {self.keys.score}; every detection counts with score 1.0"
        return np.ones(len(self.xywh)), (warning,)

    def _classes(self) -> tuple[dict[int, str], NDArray[np.uint32]]:
        check_class_names(self.names, self.locate, self.keys.label)
        names, class_ids = np.unique(self.names, return_inverse=True)
        return {index: str(name) for index, name in enumerate(names)}, class_ids.astype(np.uint32)


@dataclass(frozen=True, slots=True, eq=False)
class BoxTable:
    """The boxes of a whole JSON file, N in its order, on the images of albums."""

    entries: Entries
    """The objects they come from."""

    albums: tuple[Album, ...]

    places: NDArray[np.int64]
    """(N, 2) for each: which album, and its frame number there."""

    xywh: NDArray[np.float64]
    names: NDArray[np.str_]
    scores: NDArray[np.float64] | None
    track_ids: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    keys: Keys
    warnings: tuple[str, ...] = ()

    def of(self, name: str) -> Boxes:
        """Those of one album."""
        number = next(number for number, album in enumerate(self.albums) if album.name == name)
        chosen = np.flatnonzero(self.places[:, 0] == number)
        return Boxes(
            album=self.albums[number],
            frames=self.places[chosen, 1],
            xywh=self.xywh[chosen],
            names=self.names[chosen],
            scores=None if self.scores is None else self.scores[chosen],
            track_ids=self.track_ids[chosen],
            kinds=self.kinds[chosen],
            rows=self.entries.rows()[chosen],
            source=self.entries.file,
            keys=self.keys,
            locate=lambda index, key: self.entries.place(int(chosen[index]), key),
            warnings=self.warnings,
        )
