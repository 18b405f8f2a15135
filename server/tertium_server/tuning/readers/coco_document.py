"""COCO's JSON: what images, videos and categories a file tells of. Parsed once for all the sequences it holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .albums import Album, Image, make_album
from .checks import MOST_PIXELS, require
from .errors import Place, ReadError
from .json_file import Entries, Key, Stamp, load_json, stamp_of

FRAME = "frame_id"
RATES = ("fps", "frame_rate")
FASTEST = 1000
"""Frames per second that the engine takes at most."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file: a list of results, or a document with annotations and what they refer to."""

    file: Path
    stamp: Stamp
    annotations: Entries

    images: Entries | None = None
    """None: a list of results has none."""

    videos: Entries | None = None

    categories: dict[Key, str] | None = None
    """Names by id."""

    file_names: dict[Key, str] = field(default_factory=dict, repr=False)
    """By id of the image; empty unless all have one. Images of two videos may have the same."""


@dataclass(frozen=True, slots=True)
class _Video:
    name: str
    fps: float | None
    place: Place


def load_document(file: Path) -> Document:
    """A file, from memory where it was read before and has not changed.

    Raises:
        ReadError: it is no JSON, or none of COCO's.
    """
    return _load(file, stamp_of(file))


def albums_of(document: Document, fps: float | None) -> tuple[Album, ...]:
    """The sequences that a document tells of, by name: its videos, or all its images as one.

    Raises:
        ReadError: images can't be put in order.
    """
    return _albums(document.file, document.stamp, fps)


@lru_cache(maxsize=4)
def _load(file: Path, stamp: Stamp) -> Document:
    content = load_json(file)
    if isinstance(content, list):
        return Document(file, stamp, Entries.of(file, content, "result"))
    if not isinstance(content, dict):
        raise ReadError(Place(file), "holds neither an object nor a list", "give a file of the format")
    images = Entries.of(file, content["images"], "image") if "images" in content else None
    return Document(
        file,
        stamp,
        annotations=Entries.of(file, content.get("annotations"), "annotation"),
        images=images,
        videos=Entries.of(file, content["videos"], "video") if content.get("videos") else None,
        categories=_categories(Entries.of(file, content["categories"], "category"))
        if "categories" in content
        else None,
        file_names=_file_names(images),
    )


def _categories(entries: Entries) -> dict[Key, str]:
    return {key: entries.text(index, "name") for index, key in enumerate(entries.keys("id"))}


def _file_names(images: Entries | None) -> dict[Key, str]:
    if images is None or not all("file_name" in item for item in images.items):
        return {}
    return {key: images.text(index, "file_name") for index, key in enumerate(images.keys("id"))}


@lru_cache(maxsize=4)
def _albums(file: Path, stamp: Stamp, fps: float | None) -> tuple[Album, ...]:
    document = _load(file, stamp)
    if document.images is None:
        return (_album_of_results(document, fps),)
    videos = _videos(document)
    images: dict[Key | None, list[Image]] = {key: [] for key in videos}
    for index, image in enumerate(_images(document.images)):
        images.setdefault(_video_of(document.images, index, videos), []).append(image)
    whole = _Video(file.stem, None, Place(file))
    albums: list[Album] = []
    for key, members in images.items():
        video = whole if key is None else videos[key]
        albums.append(make_album(video.name, members, video.fps if fps is None else fps, video.place))
    return tuple(sorted(albums, key=lambda album: album.name))


def _album_of_results(document: Document, fps: float | None) -> Album:
    """The images that a list of results names: the others are not known."""
    entries = document.annotations
    first: dict[Key, int] = {}
    for index, key in enumerate(entries.keys("image_id")):
        first.setdefault(key, index)
    images = [Image(key, str(key), entries.place(index, "image_id")) for key, index in first.items()]
    album = make_album(document.file.stem, images, fps, Place(document.file))
    warning = f"{document.file}: names no images; those without any detection are not known and not among the frames"
    return replace(album, warnings=(*album.warnings, warning))


def _images(images: Entries) -> list[Image]:
    widths, heights = images.numbers_or("width", 0), images.numbers_or("height", 0)
    numbers = images.numbers_or(FRAME, np.nan)
    given = [item.get(FRAME) is not None for item in images.items]
    require(
        ~np.array(given, np.bool_) | (np.isfinite(numbers) & (numbers == np.rint(numbers))),
        images.place,
        FRAME,
        lambda index: (f"is {numbers[index]:g}, which is no whole number", "number frames from 0 or 1"),
    )
    for name, sizes in (("width", widths), ("height", heights)):
        _check_sizes(images, name, sizes)
    keys = images.keys("id")
    _check_distinct(images, keys)
    return [
        Image(
            key=key,
            name=images.text(index, "file_name") if "file_name" in images.items[index] else str(key),
            place=images.place(index, "id"),
            number=int(numbers[index]) if given[index] else None,
            size=(int(widths[index]), int(heights[index])),
        )
        for index, key in enumerate(keys)
    ]


def _check_sizes(images: Entries, name: str, sizes: NDArray[np.float64]) -> None:
    require(
        (sizes >= 0) & (sizes <= MOST_PIXELS) & (sizes == np.rint(sizes)),
        images.place,
        name,
        lambda index: (f"is {sizes[index]:g}", f"write pixels, up to {MOST_PIXELS:,}"),
    )


def _check_distinct(images: Entries, keys: list[Key]) -> None:
    seen: set[Key] = set()
    for index, key in enumerate(keys):
        if key in seen:
            raise ReadError(images.place(index, "id"), f"is {key}, as is that of another", "give each image its own id")
        seen.add(key)


def _videos(document: Document) -> dict[Key, _Video]:
    videos: dict[Key, _Video] = {}
    entries = document.videos
    if entries is None:
        return videos
    for index, key in enumerate(entries.keys("id")):
        name = entries.text(index, "name") if "name" in entries.items[index] else str(key)
        videos[key] = _Video(name, _rate_of(entries, index), entries.place(index, "fps"))
    if len({video.name for video in videos.values()}) < len(videos):
        raise ReadError(Place(document.file), "has two videos of the same name", "give each its own")
    return videos


def _rate_of(videos: Entries, index: int) -> float | None:
    for key in RATES:
        value = videos.items[index].get(key)
        if value is not None:
            if not isinstance(value, int | float) or not 0 < value <= FASTEST:
                remedy = f"write frames per second, up to {FASTEST}"
                raise ReadError(videos.place(index, key), f"is {value!r:.40}", remedy)
            return float(value)
    return None


def _video_of(images: Entries, index: int, videos: dict[Key, _Video]) -> Key | None:
    """The id of an image's video, which joins the videos where it is known by that alone; None: there are no videos."""
    key = images.items[index].get("video_id")
    place = images.place(index, "video_id")
    if key is None:
        if videos:
            raise ReadError(place, "is missing, and other images have it", "say which video each image is of")
        return None
    if not isinstance(key, int | str):
        raise ReadError(place, f"is {key!r:.40}", "write an id")
    if key not in videos:
        if not videos and index:
            raise ReadError(place, "is there, and the images before have none", "say which video each image is of")
        videos[key] = _Video(str(key), None, Place(images.file))
    return key
