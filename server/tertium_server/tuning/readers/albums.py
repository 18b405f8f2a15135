"""Images as the frames of sequences: their order, their numbers, their times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .checks import MOST_FRAMES
from .errors import Place, ReadError
from .json_file import Key
from .sequence import NANOSECONDS

DEFAULT_FPS = 30.0
"""Frames per second where nobody says."""

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Image:
    """One image as its file tells of it."""

    key: Key
    """What boxes call it."""

    name: str
    """The name of its file, or any text to sort by."""

    place: Place
    """Where it is told of."""

    number: int | None = None
    """Its frame number; None: not said."""

    size: tuple[int, int] = (0, 0)
    """Width and height in pixels; 0 where unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Album:
    """The images of one sequence in their order."""

    name: str
    """That of the sequence."""

    first_frame: int
    length: int
    fps: float

    frames: dict[Key, int]
    """Frame numbers by the key of the image."""

    sizes: dict[Key, tuple[int, int]]
    """Width and height in pixels by the key of the image; 0 where unknown."""

    times: NDArray[np.int64] | None = None
    """(length,) capture times in nanoseconds, where frame numbers have gaps."""

    frame_size: tuple[int, int] = (0, 0)
    """Width and height where all images have the same; else 0."""

    warnings: tuple[str, ...] = field(default=())


def make_album(name: str, images: Iterable[Image], fps: float | None, source: Place) -> Album:
    """The images in order of their frame numbers, or, where these have none, of their names (2 comes before 10).

    `fps` is the rate that frame numbers count at; None: not known.

    Raises:
        ReadError: some have numbers and some have not, or two have the same.
    """
    images = list(images)
    warnings: tuple[str, ...] = ()
    if fps is None:
        fps = DEFAULT_FPS
        warnings += (f"{source}: says no frame rate; taken as {fps:g} frames a second, unless --fps says otherwise",)
    numbered = sum(image.number is not None for image in images)
    if 0 < numbered < len(images):
        bare = next(image for image in images if image.number is None)
        raise ReadError(bare.place, "has no frame number, and others have", "give it to all images, or to none")
    images.sort(key=_by_number if numbered else _by_name)
    _check_distinct(images)
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        warnings += (f"{source}: sequence {name} has images of several sizes; its frame size is taken as unknown",)
    album = Album(
        name=name,
        first_frame=0,
        length=len(images),
        fps=fps,
        frames={image.key: place for place, image in enumerate(images)},
        sizes={image.key: image.size for image in images},
        frame_size=sizes.pop() if len(sizes) == 1 else (0, 0),
        warnings=warnings,
    )
    return _numbered(album, images) if numbered else album


def places_of(albums: Iterable[Album]) -> dict[Key, tuple[int, int]]:
    """Which album each image is in, and its frame number there, by its key."""
    return {key: (number, frame) for number, album in enumerate(albums) for key, frame in album.frames.items()}


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by as people do: numbers in them by value."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(name) if part]


def _by_name(image: Image) -> list[tuple[int, int, str]]:
    return natural(image.name)


def _by_number(image: Image) -> int:
    return image.number or 0


def _check_distinct(images: list[Image]) -> None:
    for before, image in pairwise(images):
        if image.number is not None and before.number == image.number:
            problem = f"is frame {image.number}, as is that in {before.place}"
            raise ReadError(image.place, problem, "give each image of a sequence its own frame number")


def _numbered(album: Album, images: list[Image]) -> Album:
    """The album with frames numbered as the images say: one after another, every so many, or with gaps."""
    numbers = np.array([image.number for image in images], np.int64)
    if numbers[0] < 0 or numbers[-1] - numbers[0] > MOST_FRAMES:
        image = images[0] if numbers[0] < 0 else images[-1]
        problem = f"has frame number {image.number}"
        raise ReadError(image.place, problem, f"number frames from 0 or 1; a sequence may have {MOST_FRAMES:,}")
    steps = np.diff(numbers)
    stride = int(np.gcd.reduce(steps)) if steps.size else 1
    if (steps == 1).all():
        frames = {image.key: number for image, number in zip(images, numbers.tolist(), strict=True)}
        return replace(album, first_frame=int(numbers[0]), frames=frames)
    if (steps == stride).all():
        return replace(album, fps=album.fps / stride)
    times: NDArray[np.int64] = np.rint((numbers - numbers[0]) * (NANOSECONDS / album.fps)).astype(np.int64)
    return replace(album, fps=album.fps / stride, times=times)
