"""FiftyOne exports: `samples.json` (FiftyOneDataset) with `frames.json` for videos, or `labels.json` (FiftyOneImageDetectionDataset).

In `samples.json`, detections and truth are two fields of the same samples ("predictions", "ground_truth"), or one field
each of two exports whose samples have the same `filepath`. A video is a sequence of its own; images are one sequence
together, or one for each value of a field "sequence", "video", "video_id", "scene" or "sample_id", in order of "frame_number", else of
`filepath`. Boxes are relative: left, top, width and height as shares of the image.

In `labels.json`, which has one field and no samples, detections and truth are two files.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .albums import places_of
from .boxes import BoxTable, Keys
from .errors import NothingFoundError, Place, ReadError
from .fiftyone_export import LABELS, Export, load_export
from .formats import Options, Source
from .json_file import Entries, Key, Stamp
from .scaling import check_shares, scaled
from .sequence import Sequence
from .truth import Kind, Truth

FILES = ("samples.json", "labels.json")
KEYS = Keys(box="bounding_box", score="confidence", label="label", track="index")
DETECTIONS_FIELD = "predictions"
TRUTH_FIELD = "ground_truth"


class FiftyOne:
    """Reads detections and truth in FiftyOne's own export formats."""

    name = "fiftyone"

    def find(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of an export's folder, or of its samples.json or labels.json."""
        return _find(path, options, options.detections_field, scored=True)

    def find_truth(self, path: Path, options: Options) -> tuple[Source, ...]:
        """The sequences of an export's folder, or of its samples.json or labels.json."""
        return _find(path, options, options.truth_field, scored=False)

    def read(self, source: Source, options: Options) -> Sequence:
        """The detections of one video, or of images."""
        return _table_of(source, options).of(source.name).sequence(options)

    def read_truth(self, source: Source, options: Options, sequence: Sequence, named: AbstractSet[str]) -> Truth:
        """The truth about one video, or about images."""
        del sequence, named  # what images there are, the truth itself says; and all its classes are evaluated
        return _table_of(source, options).of(source.name).truth()


def _find(path: Path, options: Options, field: str, *, scored: bool) -> tuple[Source, ...]:
    file = _file_at(path)
    part = _field_of(load_export(file, options.fps), field, scored=scored)
    albums = _teller_of(file, options).albums
    return tuple(Source(album.name, file, alone=len(albums) == 1, part=part) for album in albums)


def _file_at(path: Path) -> Path:
    path = path.absolute()
    if path.is_file():
        return path
    if not path.is_dir():
        raise NothingFoundError(Place(path), "does not exist", "check the path")
    file = next((path / name for name in FILES if (path / name).is_file()), None)
    if file is None:
        raise NothingFoundError(Place(path), "holds neither samples.json nor labels.json", "give an export's folder")
    return file


def _field_of(export: Export, wanted: str, *, scored: bool) -> str:
    """The field that holds the detections (`scored`) or the truth."""
    fields = _fields(export)
    if wanted:
        if wanted not in fields:
            known = ", ".join(fields) or "none"
            raise NothingFoundError(Place(export.file), f"has no detections in a field {wanted!r}", f"it has {known}")
        return wanted
    usual, other = (DETECTIONS_FIELD, TRUTH_FIELD) if scored else (TRUTH_FIELD, DETECTIONS_FIELD)
    if any(usual in shot.item for shot in export.shots):  # null in all samples, too: nothing was found
        return usual
    alike = [name for name, has_scores in fields.items() if has_scores == scored] or [*fields.keys() - {other}]
    if len(alike) != 1:
        problem = f"has {len(alike)} fields that may be meant: {', '.join(alike)}" if alike else "has no detections"
        raise NothingFoundError(Place(export.file), problem, f"name the field, or call it {usual!r}")
    return alike[0]


def _fields(export: Export) -> dict[str, bool]:
    """Fields that hold detections, and whether these have a confidence."""
    fields: dict[str, bool] = {}
    for shot in export.shots:
        for name, value in shot.item.items():
            if isinstance(value, dict) and isinstance(value.get("detections"), list):
                scored = any(isinstance(box, dict) and box.get("confidence") is not None for box in value["detections"])
                fields[name] = fields.get(name, False) or scored
    return fields


def _teller_of(file: Path, options: Options) -> Export:
    """The export that says what images there are: that of the truth where it is known, else the file itself."""
    return load_export(file if options.truth is None else _file_at(options.truth), options.fps)


def _table_of(source: Source, options: Options) -> BoxTable:
    export, teller = load_export(source.file, options.fps), _teller_of(source.file, options)
    return _table(source.file, export.stamp, source.part, teller.file, teller.stamp, options.fps)


@lru_cache(maxsize=4)
def _table(file: Path, stamp: Stamp, part: str, told: Path, told_stamp: Stamp, fps: float | None) -> BoxTable:
    """The boxes of a field, on the images that `told` tells of."""
    del stamp, told_stamp  # they are there for the cache: a file that was changed is read again
    export, teller = load_export(file, fps), load_export(told, fps)
    entries, keys = _entries(export, part)
    where = places_of(teller.albums)
    for index, key in enumerate(keys):
        if key not in where:
            problem = f"is on {key}, of which the truth knows nothing"
            raise ReadError(entries.place(index, "bounding_box"), problem, "give the same images to both")
    sizes = _sizes(export) | _sizes(teller)
    shares = entries.vectors("bounding_box", 4)
    check_shares(shares, entries.place, KEYS.boxes)
    xywh, warnings = scaled(shares, [sizes.get(key, (0, 0)) for key in keys], file)
    crowd = entries.numbers_or("iscrowd", 0) != 0
    return BoxTable(
        entries=entries,
        albums=teller.albums,
        places=np.array([where[key] for key in keys], np.int64).reshape(-1, 2),
        xywh=xywh,
        names=np.array([_label(entries, index, export.classes) for index in range(len(entries))], np.str_),
        scores=entries.numbers_of_all("confidence"),
        track_ids=entries.numbers_or("index", -1),
        kinds=np.where(crowd, Kind.REGION, Kind.EVALUATE).astype(np.uint8),
        keys=KEYS,
        warnings=warnings,
    )


def _entries(export: Export, part: str) -> tuple[Entries, list[Key]]:
    """All boxes of a field, and the image that each is on."""
    items: list[dict[str, Any]] = []
    origins: list[tuple[int, str]] = []
    keys: list[Key] = []
    for shot in export.shots:
        for path, box in _detections(shot.item.get(part), part, shot.place):
            items.append(box)
            origins.append((shot.place.row or 0, path))
            keys.append(shot.key)
    file = Path(export.shots[0].place.file) if export.shots else export.file
    return Entries(file, export.unit, items, origins), keys


def _sizes(export: Export) -> dict[Key, tuple[int, int]]:
    return {key: size for album in export.albums for key, size in album.sizes.items() if all(size)}


def _detections(value: Any, part: str, place: Place) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401  # JSON
    """The boxes that a sample holds in a field, each with its path in the sample."""
    if value is None:  # not labelled, or nothing found
        return
    boxes = value.get("detections") if isinstance(value, dict) else None
    if not isinstance(boxes, list):
        raise ReadError(place, f"has no list of detections in field {part!r}", "export a field of Detections")
    prefix = "" if part == LABELS else f"{part}.detections"
    for index, box in enumerate(boxes):
        if not isinstance(box, dict):
            raise ReadError(place, f"has {box!r:.40} in {prefix}[{index}], no object", "export a field of Detections")
        yield f"{prefix}[{index}].", box


def _label(entries: Entries, index: int, classes: list[str]) -> str:
    value = entries.items[index].get("label")
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return entries.text(index, "label")
