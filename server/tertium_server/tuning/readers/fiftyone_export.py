"""FiftyOne's JSON: the samples of an export and the sequences they make. Parsed once for all sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .albums import Album, Image, make_album
from .checks import MOST_FRAMES, MOST_PIXELS
from .errors import Place, ReadError
from .image_size import SUFFIXES, image_size
from .json_file import Entries, Key, Stamp, load_json, stamp_of

SEQUENCE_FIELDS = ("sequence", "video", "video_id", "scene", "sample_id", "_sample_id")
FRAME_FIELDS = ("frame_number", "frame_id")
FRAMES = "frames.json"
LABELS = "labels"
"""The field that labels.json has."""


@dataclass(frozen=True, slots=True)
class Shot:
    """An image, or a frame of a video, with what is labelled in it."""

    key: Key
    sequence: str
    item: Mapping[str, Any]
    place: Place
    number: int | None
    size: tuple[int, int]
    fps: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """An export."""

    file: Path
    stamp: Stamp
    unit: str
    """What errors call a shot."""

    shots: list[Shot]
    albums: tuple[Album, ...]
    classes: list[str]
    """Names by number, where labels are numbers."""


def load_export(file: Path, fps: float | None) -> Export:
    """An export, from memory where it was read before and has not changed.

    Raises:
        ReadError: it is no JSON, or none of FiftyOne's.
    """
    frames = file.parent / FRAMES
    return _load(file, stamp_of(file) + (stamp_of(frames) if frames.is_file() else ()), fps)


@lru_cache(maxsize=4)
def _load(file: Path, stamp: Stamp, fps: float | None) -> Export:
    content = load_json(file)
    classes: list[str] = []
    if isinstance(content, dict) and "samples" in content:
        samples = Entries.of(file, content["samples"], "sample")
        if samples.items and _is_video(samples.items[0], samples.place(0, "")):
            unit, shots = "frame", _shots_of_videos(samples)
        else:
            unit, shots = "sample", [_shot_of(samples, index) for index in range(len(samples))]
    elif isinstance(content, dict) and isinstance(content.get(LABELS), dict):
        unit, shots = "image", _shots_of_labels(file, content[LABELS])
        named = content.get("classes") or []
        classes = [name for name in named if isinstance(name, str)]
        if not isinstance(named, list) or len(classes) < len(named):
            raise ReadError(Place(file, column="classes"), "is no list of names", "export it again")
    else:
        raise ReadError(Place(file), "has neither samples nor labels", "give a samples.json or labels.json")
    return Export(file, stamp, unit, shots, _albums(file, shots, fps), classes)


def _albums(file: Path, shots: Iterable[Shot], fps: float | None) -> tuple[Album, ...]:
    images: dict[str, list[Shot]] = {}
    keys: set[Key] = set()
    for shot in shots:
        if shot.key in keys:
            raise ReadError(shot.place, f"is {shot.key}, as is another", "export each image once")
        keys.add(shot.key)
        images.setdefault(shot.sequence, []).append(shot)
    albums: list[Album] = []
    for name, members in sorted(images.items()):
        ordered = [Image(shot.key, str(shot.key), shot.place, shot.number, shot.size) for shot in members]
        albums.append(make_album(name, ordered, members[0].fps if fps is None else fps, Place(file)))
    return tuple(albums)


def _is_video(item: Mapping[str, Any], place: Place) -> bool:
    metadata = _metadata_of(item, place)
    return "frame_rate" in metadata or "frame_width" in metadata or item.get("_media_type") == "video"


def _shot_of(samples: Entries, index: int) -> Shot:
    """A sample that is an image."""
    item = samples.items[index]
    path, place = samples.text(index, "filepath"), samples.place(index, "")
    metadata = _metadata_of(item, place)
    name = next((_text_of(item[key]) for key in SEQUENCE_FIELDS if _text_of(item.get(key))), samples.file.parent.name)
    number = next((item[key] for key in FRAME_FIELDS if isinstance(item.get(key), int)), None)
    size = _pixels(metadata, "width", place), _pixels(metadata, "height", place)
    return Shot(
        key=f"{path}#{number}" if "_sample_id" in item else path,  # frames of a video share its path
        sequence=name,
        item=item,
        place=place,
        number=number,
        size=size if all(size) else _size_of(samples.file.parent / path),
    )


def _shots_of_videos(samples: Entries) -> list[Shot]:
    """All frames of all videos: those that frames.json has, and those between, in which nothing is."""
    file = samples.file.parent / FRAMES
    content = load_json(file)
    frames = Entries.of(file, content.get("frames") if isinstance(content, dict) else None, "frame")
    by_sample: dict[str, dict[int, int]] = {}
    for index, item in enumerate(frames.items):
        number = item.get("frame_number")
        if not isinstance(number, int) or number < 1:
            raise ReadError(frames.place(index, "frame_number"), f"is {number!r:.40}", "frames are numbered from 1")
        by_sample.setdefault(_text_of(item.get("_sample_id")), {})[number] = index
    paths = [Path(samples.text(index, "filepath")) for index in range(len(samples))]
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for path in paths]
    return [
        shot for index, name in enumerate(names) for shot in _shots_of_video(samples, index, name, frames, by_sample)
    ]


def _shots_of_video(
    samples: Entries, index: int, name: str, frames: Entries, by_sample: dict[str, dict[int, int]]
) -> Iterable[Shot]:
    item, place = samples.items[index], samples.place(index, "")
    path = samples.text(index, "filepath")
    metadata = _metadata_of(item, place)
    rate = metadata.get("frame_rate")
    numbered = by_sample.get(_text_of(item.get("_id")), {})
    size = _pixels(metadata, "frame_width", place), _pixels(metadata, "frame_height", place)
    last = max([_number_of(metadata, "total_frame_count", MOST_FRAMES, place), *numbered])
    if last > MOST_FRAMES:
        raise ReadError(samples.place(index, "metadata"), f"tells of {last:,} frames", f"at most are {MOST_FRAMES:,}")
    for number in range(1, last + 1):
        where = numbered.get(number)
        yield Shot(
            key=f"{path}#{number}",
            sequence=name,
            item={} if where is None else frames.items[where],
            place=place if where is None else frames.place(where, ""),
            number=number,
            size=size,
            fps=float(rate) if isinstance(rate, int | float) and 0 < rate <= 1000 else None,  # noqa: PLR2004
        )


def _shots_of_labels(file: Path, labels: Mapping[str, Any]) -> list[Shot]:
    shots: list[Shot] = []
    for index, (key, boxes) in enumerate(labels.items()):
        image = next(
            (image for suffix in SUFFIXES if (image := file.parent / "data" / f"{key}{suffix}").is_file()), None
        )
        shots.append(
            Shot(
                key=key,
                sequence=file.parent.name,
                item={LABELS: None if boxes is None else {"detections": boxes}},
                place=Place(file, index + 1, unit="image"),
                number=None,
                size=(0, 0) if image is None else image_size(image),
            )
        )
    return shots


def _text_of(value: Any) -> str:  # noqa: ANN401  # JSON may be anything
    """A text, number or object id as text; empty for all else."""
    if isinstance(value, dict):
        value = value.get("$oid")
    return str(value) if isinstance(value, str | int) else ""


def _metadata_of(item: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    metadata = item.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise ReadError(replace(place, column="metadata"), f"is {metadata!r:.40}, no object", "export it again")
    return metadata


def _pixels(metadata: Mapping[str, Any], key: str, place: Place) -> int:
    return _number_of(metadata, key, MOST_PIXELS, place)


def _number_of(metadata: Mapping[str, Any], key: str, most: int, place: Place) -> int:
    """A whole number; 0 where it is not told."""
    value = metadata.get(key)
    if not isinstance(value, int | float) or not value > 0:  # NaN is not, either
        return 0
    if value > most:
        raise ReadError(replace(place, column=f"metadata.{key}"), f"is {value:g}", f"at most are {most:,}")
    return int(value)


def _size_of(file: Path) -> tuple[int, int]:
    return image_size(file) if file.suffix.lower() in SUFFIXES and file.is_file() else (0, 0)
