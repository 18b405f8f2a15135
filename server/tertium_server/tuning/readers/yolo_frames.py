"""Which frames there are behind YOLO's label files: a frame in which nothing is may have no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from .albums import Album, Image, make_album
from .checks import MOST_FRAMES
from .errors import Place, ReadError
from .image_size import image_size
from .seqinfo import NAME, SequenceInfo, seqinfo_beside
from .yolo_folder import LabelFolder, images_of, number_of

Numbers = dict[int, str]
"""Stems of files by the frame number they end with."""


def album_of(folders: Iterable[LabelFolder], fps: float | None) -> Album:
    """The frames of a sequence, by the stems of its files; `folders` are those of its detections and of its truth.

    Raises:
        ReadError: seqinfo.ini or an image can't be read, or a frame comes twice.
    """
    folders = tuple(folders)
    info = _info(folders)
    images: dict[str, Path] = {}
    for folder in folders:
        images |= images_of(folder)
    files = {file.stem: file for folder in folders for file in folder.files()} | images
    numbers = _numbers(files)
    rate = info.fps if fps is None and info is not None and info.has("frameRate") else fps
    known, warnings = _frames(files, numbers, info, complete=bool(images))
    size = (0, 0) if info is None else info.frame_size
    place = Place(folders[0].folder)
    shots = [
        Image(
            stem,
            stem,
            Place(files[stem]) if stem in files else place,
            number,
            size if all(size) or stem not in images else _size_of(images[stem]),
        )
        for stem, number in known
    ]
    album = make_album(folders[0].name, shots, rate, place)
    return replace(album, warnings=(*album.warnings, *warnings))


def _info(folders: Iterable[LabelFolder]) -> SequenceInfo | None:
    found = (seqinfo_beside(folder.folder / NAME) for folder in folders)
    file = next((file for file in found if file is not None), None)
    return None if file is None else SequenceInfo.read(file)


def _numbers(files: dict[str, Path]) -> Numbers | None:
    """The stems by number; None where some have none, or they are no numbers of frames."""
    numbers: Numbers = {}
    for stem, file in files.items():
        number = number_of(stem)
        if number is None:
            return None
        if number in numbers:
            problem = f"is frame {number}, as is {files[numbers[number]].name}"
            raise ReadError(Place(file), problem, "give each frame of a sequence one name")
        numbers[number] = stem
    return numbers if numbers and max(numbers) - min(numbers) < MOST_FRAMES else None


def _frames(
    files: dict[str, Path], numbers: Numbers | None, info: SequenceInfo | None, *, complete: bool
) -> tuple[list[tuple[str, int | None]], tuple[str, ...]]:
    """Stems and numbers of all frames, and what there is to say. `complete`: there are images, so that none is missing."""
    if numbers is None:
        return [(stem, None) for stem in files], ()
    if info is not None and info.has("seqLength"):
        first = 0 if 0 in numbers else 1
        last = first + info.length - 1
        late = max(numbers)
        if late > last:
            problem = f"is frame {late}, after the last frame {last}"
            raise ReadError(Place(files[numbers[late]]), problem, f"correct seqLength in {info.file}")
        return _filled(numbers, first, last), ()
    first, last = min(numbers), max(numbers)
    gaps = last - first + 1 - len(numbers)
    place = files[numbers[first]].parent
    if complete or not gaps:
        return _filled(numbers, first, first - 1), ()
    if gaps < len(numbers):
        warning = f"{place}: {gaps} frames between {first} and {last} have no label file; they count, without boxes"
        return _filled(numbers, first, last), (warning,)
    warning = (
        f"{place}: most numbers between {first} and {last} have no label file; only those that have count as frames"
    )
    return _filled(numbers, first, first - 1), (warning,)


def _filled(numbers: Numbers, first: int, last: int) -> list[tuple[str, int | None]]:
    """All frames with a file, and those without from first to last."""
    missing = [(f"frame {number}", number) for number in range(first, last + 1) if number not in numbers]
    return [*((stem, number) for number, stem in numbers.items()), *missing]


@lru_cache(maxsize=1 << 16)
def _size_of(file: Path) -> tuple[int, int]:
    return image_size(file)
