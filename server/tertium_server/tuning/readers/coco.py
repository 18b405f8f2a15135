"""COCO: detections as a list of results or as a document with annotations, truth as a document.

A document is `{"images": […], "annotations": […], "categories": […], "videos": […]}`. An image has `id`, `file_name`,
`width` and `height`, and in videos `video_id` and `frame_id`; a video has `id`, `name` and perhaps `fps`. An annotation
has `image_id`, `category_id` and `bbox` (left, top, width, height), perhaps `track_id` (or `instance_id`); in truth
`iscrowd` and `ignore`, in detections `score`. A list of results is such annotations of detections without the rest: what
images and categories there are is then told by the truth.

Each video is a sequence; images without one are a sequence together. Frames go by `frame_id`, else by `file_name`.
A crowd is a region of its class, as in the benchmark (pycocotools/cocoeval.py: a detection counts as matched to it by
the share of its own area inside, and that speaks neither for it nor against it).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence as Values
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .albums import places_of
from .boxes import BoxTable, Keys
from .coco_document import Document, albums_of, load_document
from .errors import NothingFoundError, Place, ReadError
from .formats import Options, Source
from .json_file import Entries, Key, Stamp
from .sequence import Sequence
from .truth import Kind, Truth

DETECTIONS = ("detections.json", "predictions.json", "results.json")
TRUTH = ("annotations.json", "ground_truth.json", "gt.json", "labels.json")
"""Names that are looked for in a folder."""
TRACKS = ("track_id", "instance_id")


class Coco:
    """Reads detections and truth in the forms of COCO."""

    name = "coco"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of a .json, or of a folder that holds one under a name that people use."""
        return _find(path, DETECTIONS, options)

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of a .json, or of a folder that holds one under a name that people use."""
        return _find(path, TRUTH, options)

    def read(self, source: Source, options: Options) -> Sequence:
        """The detections of one video, or of all images."""
        return _table_of(source.file, options).of(source.name).sequence(options)

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """The truth about one video, or about all images."""
        del sequence, named  # what images there are, the truth itself says; and all its classes are evaluated
        return _table_of(source.file, options).of(source.name).truth()


def _find(path: Path, names: tuple[str, ...], options: Options) -> tuple[Source, ...]:
    file = _file_at(path, names)
    albums = albums_of(_teller_of(file, options), options.fps)
    return tuple(Source(album.name, file, alone=len(albums) == 1) for album in albums)


def _file_at(path: Path, names: tuple[str, ...]) -> Path:
    path = path.absolute()
    if path.is_file():
        return path
    if not path.is_dir():
        raise NothingFoundError(Place(path), "does not exist", "check the path")
    found = [path / name for name in names if (path / name).is_file()] or sorted(path.glob("*.json"))
    if len(found) != 1:
        problem = f"holds {len(found)} .json files that may be meant" if found else "holds no .json file"
        raise NothingFoundError(Place(path), problem, f"give the file itself, or name it {names[0]}")
    return found[0]


def _teller_of(file: Path, options: Options) -> Document:
    """The document that says what images there are: the truth where it is known, else the file itself."""
    if options.truth is None:
        return load_document(file)
    teller = load_document(_file_at(options.truth, TRUTH))
    if teller.images is None:
        raise ReadError(Place(teller.file), "has no list of images", "give a document with images and annotations")
    return teller


def _table_of(file: Path, options: Options) -> BoxTable:
    document, teller = load_document(file), _teller_of(file, options)
    return _table(file, document.stamp, teller.file, teller.stamp, options.fps)


@lru_cache(maxsize=4)
def _table(file: Path, stamp: Stamp, told: Path, told_stamp: Stamp, fps: float | None) -> BoxTable:
    """A file's annotations, with images and categories as `told` calls them."""
    del stamp, told_stamp  # they are there for the cache: a file that was changed is read again
    document, teller = load_document(file), load_document(told)
    entries, albums = document.annotations, albums_of(teller, fps)
    images = _images_as_told(document, teller)
    where = places_of(albums)
    _check_known(entries, "image_id", images, where, "image")
    tracks = next((key for key in TRACKS if any(item.get(key) is not None for item in entries.items)), TRACKS[0])
    crowd, ignore = entries.numbers_or("iscrowd", 0) != 0, entries.numbers_or("ignore", 0) != 0
    return BoxTable(
        entries=entries,
        albums=albums,
        places=np.array([where[key] for key in images], np.int64).reshape(-1, 2),
        xywh=entries.vectors("bbox", 4),
        names=_names(entries, document.categories if document.categories is not None else teller.categories),
        scores=entries.numbers_of_all("score"),
        track_ids=entries.numbers_or(tracks, -1),
        kinds=np.where(crowd, Kind.REGION, np.where(ignore, Kind.IGNORE, Kind.EVALUATE)).astype(np.uint8),
        keys=Keys(box="bbox", score="score", label="category_id", track=tracks),
    )


def _images_as_told(document: Document, teller: Document) -> list[Key]:
    """(N,) image of each annotation by the teller's id.

    Two documents know the same image by the name of its file; where names come twice, as in videos that number theirs alike, by id and name.
    """
    keys = document.annotations.keys("image_id")
    if document.file == teller.file or not document.file_names or not teller.file_names:
        return keys
    _check_known(document.annotations, "image_id", keys, document.file_names, "image")
    ids: dict[Key, Key] = {name: key for key, name in teller.file_names.items()}
    names = [document.file_names[key] for key in keys]
    if len(ids) < len(teller.file_names):
        _check_named_alike(document.annotations, keys, names, teller.file_names)
        return keys
    _check_known(document.annotations, "image_id", names, ids, "image in the truth")
    return [ids[name] for name in names]


def _names(entries: Entries, categories: dict[Key, str] | None) -> NDArray[np.str_]:
    keys = entries.keys("category_id")
    if categories is None:
        return np.array([str(key) for key in keys], np.str_)
    _check_known(entries, "category_id", keys, categories, "category")
    return np.array([categories[key] for key in keys], np.str_)


def _check_named_alike(entries: Entries, keys: list[Key], names: list[str], told: dict[Key, str]) -> None:
    _check_known(entries, "image_id", keys, told, "image in the truth")
    for index, (key, name) in enumerate(zip(keys, names, strict=True)):
        if told[key] != name:
            problem = f"is {key}, which is {name} here and {told[key]} in the truth"
            remedy = "give both the same ids, for several images of the truth have one file_name"
            raise ReadError(entries.place(index, "image_id"), problem, remedy)


def _check_known(entries: Entries, name: str, keys: Values[Key], known: Collection[Key], what: str) -> None:
    for index, key in enumerate(keys):
        if key not in known:
            raise ReadError(
                entries.place(index, name), f"is {key}, and there is no such {what}", f"add the {what}, or correct it"
            )
