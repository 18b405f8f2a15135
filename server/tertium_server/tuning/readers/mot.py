"""MOTChallenge: `<sequence>/det/det.txt` with `<sequence>/seqinfo.ini`.

A row is `frame, id, left, top, width, height, score, …`; frames and ids start at 1, an id of -1 is no id, the score may
be missing.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checks import MOST_FRAMES, boxes_from_corners, check_finite, check_frames, track_numbers, whole_numbers
from .errors import NothingFoundError, Place, ReadError
from .formats import Options, Source
from .scores import scores_of
from .sequence import Sequence
from .table import Column, read_table

DETECTIONS = (Path("det/det.txt"), Path("det/det.txt.gz"))
COLUMNS = tuple(Column(index, name) for index, name in enumerate(("frame", "id", "left", "top", "width", "height")))
SCORE = Column(6, "score")
FIRST_FRAME = 1
FIRST_TRACK = 1


class MotDetections:
    """Reads detections in the form of MOTChallenge."""

    name = "mot"

    def find(self, path: Path) -> tuple[Source, ...]:
        """A sequence's folder, a folder of such folders, or a det.txt."""
        path = path.absolute()
        if path.is_file():
            folder = path.parent.parent if path.parent.name == "det" else path.parent
            return (Source(folder.name, path),)
        if not path.is_dir():
            raise NothingFoundError(Place(path), "does not exist", "check the path")
        alone = _detections_of(path)
        if alone is not None:
            return (Source(path.resolve().name, alone),)
        found = ((folder.name, _detections_of(folder)) for folder in sorted(path.iterdir()) if folder.is_dir())
        sources = tuple(Source(name, file) for name, file in found if file is not None)
        if not sources:
            raise NothingFoundError(
                Place(path),
                "holds no det/det.txt, neither itself nor in its folders",
                "give a sequence's folder, a folder of sequences, or a det.txt",
            )
        return sources

    def read(self, source: Source, options: Options) -> Sequence:
        """One det.txt, with what seqinfo.ini says beside it."""
        table = read_table(source.file, COLUMNS, SCORE, ",")
        frames = whole_numbers(table.numbers("frame"), table.place, "frame")
        check_frames(frames, FIRST_FRAME, None, table.place, "frame")
        info = _read_info(source.file, options, int(frames.max(initial=0)))
        check_frames(frames, FIRST_FRAME, info.length, table.place, "frame")
        xywh = np.stack([table.numbers(name) for name in ("left", "top", "width", "height")], axis=1)
        for position, name in enumerate(("left", "top", "width", "height")):
            check_finite(xywh[:, position], table.place, name)
        corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        scores, warnings = scores_of(table, options)
        return Sequence(
            name=source.name,
            fps=info.fps,
            frame_size=info.frame_size,
            first_frame=FIRST_FRAME,
            length=info.length,
            class_names={0: options.class_name},
            frames=frames,
            boxes=boxes_from_corners(corners, table.place, ("left", "top", "width", "height")),
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


def _detections_of(folder: Path) -> Path | None:
    return next((folder / name for name in DETECTIONS if (folder / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class _Info:
    fps: float
    length: int
    frame_size: tuple[int, int]
    warnings: tuple[str, ...] = ()


def _read_info(detections: Path, options: Options, last_frame: int) -> _Info:
    """seqinfo.ini of a det.txt: beside it, or beside its folder. Without one, fps has to be given."""
    candidates = (detections.parent / "seqinfo.ini", detections.parent.parent / "seqinfo.ini")
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        if options.fps is None:
            raise ReadError(
                Place(candidates[-1] if detections.parent.name == "det" else candidates[0]),
                "is missing",
                "write one with [Sequence], frameRate= and seqLength=, or give --fps",
            )
        warning = f"{detections}: no seqinfo.ini; the sequence is taken to end with its last row, at frame {last_frame}"
        return _Info(options.fps, last_frame, (0, 0), (warning,))
    keys = _Keys.read(file)
    fps = keys.number("frameRate", 0.001, 1000) if options.fps is None else options.fps
    return _Info(fps, keys.whole("seqLength", 1, MOST_FRAMES), (keys.size("imWidth"), keys.size("imHeight")))


@dataclass(frozen=True, slots=True)
class _Keys:
    """The [Sequence] section of a seqinfo.ini."""

    file: Path
    section: configparser.SectionProxy

    @classmethod
    def read(cls, file: Path) -> _Keys:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text("utf-8-sig"))
            return cls(file, parser["Sequence"])
        except OSError as error:
            reason = error.strerror or error
            raise ReadError(Place(file), f"can't be read ({reason})", "check its permissions") from error
        except KeyError as error:
            raise ReadError(Place(file), "has no section [Sequence]", "write it as the first line") from error
        except (configparser.Error, UnicodeDecodeError) as error:
            problem = f"is no ini file ({str(error).splitlines()[0]})"
            raise ReadError(Place(file), problem, "write [Sequence], then a key=value a line") from error

    def number(self, key: str, least: float, most: float) -> float:
        place = Place(self.file, column=f"key {key}")
        text = self.section.get(key, "").strip()
        if not text:
            raise ReadError(place, "is missing", f"write {key}=, from {least:g} to {most:,}")
        try:
            value = float(text)
        except ValueError as error:
            raise ReadError(place, f"is {text!r}, which is no number", "write a number") from error
        if not least <= value <= most:
            raise ReadError(place, f"is {text}", f"it lies from {least:g} to {most:,}")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        value = self.number(key, least, most)
        if not value.is_integer():
            raise ReadError(Place(self.file, column=f"key {key}"), f"is {value:g}", "write a whole number")
        return int(value)

    def size(self, key: str) -> int:
        """A width or height; 0, unknown, where the key is absent or has no value."""
        return self.whole(key, 0, 65_536) if self.section.get(key, "").strip() else 0
