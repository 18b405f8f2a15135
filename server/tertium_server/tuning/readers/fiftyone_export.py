"""FiftyOne's JSON: the samples of an export and the sequences they make. Parsed once for all sequences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .albums import Album, Image, make_album
from .checks import MOST_FRAMES
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
        if samples.items and _is_video(samples.items[0]):
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


def _is_video(item: Mapping[str, Any]) -> bool:
    metadata = item.get("metadata") or {}
    return "frame_rate" in metadata or "frame_width" in metadata or item.get("_media_type") == "video"


def _shot_of(samples: Entries, index: int) -> Shot:
    """A sample that is an image."""
    item = samples.items[index]
    path = samples.text(index, "filepath")
    metadata = item.get("metadata") or {}
    name = next((_text_of(item[key]) for key in SEQUENCE_FIELDS if _text_of(item.get(key))), samples.file.parent.name)
    number = next((item[key] for key in FRAME_FIELDS if isinstance(item.get(key), int)), None)
    size = (_pixels(metadata, "width"), _pixels(metadata, "height"))
    return Shot(
        key=f"{path}#{number}" if "_sample_id" in item else path,  # frames of a video share its path
        sequence=name,
        item=item,
        place=Place(samples.file, index + 1, unit="sample"),
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
    return [shot for index in range(len(samples)) for shot in _shots_of_video(samples, index, frames, by_sample)]


def _shots_of_video(
    samples: Entries, index: int, frames: Entries, by_sample: dict[str, dict[int, int]]
) -> Iterable[Shot]:
    item = samples.items[index]
    path = samples.text(index, "filepath")
    metadata = item.get("metadata") or {}
    rate = metadata.get("frame_rate")
    numbered = by_sample.get(_text_of(item.get("_id")), {})
    last = max([_pixels(metadata, "total_frame_count"), *numbered])
    if last > MOST_FRAMES:
        raise ReadError(samples.place(index, "metadata"), f"tells of {last:,} frames", f"at most are {MOST_FRAMES:,}")
    for number in range(1, last + 1):
        where = numbered.get(number)
        yield Shot(
            key=f"{path}#{number}",
            sequence=Path(path).stem,
            item={} if where is None else frames.items[where],
            place=Place(samples.file, index + 1, unit="sample") if where is None else frames.place(where, ""),
            number=number,
            size=(_pixels(metadata, "frame_width"), _pixels(metadata, "frame_height")),
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


def _pixels(metadata: Mapping[str, Any], key: str) -> int:
    value = metadata.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def _size_of(file: Path) -> tuple[int, int]:
    return image_size(file) if file.suffix.lower() in SUFFIXES and file.is_file() else (0, 0)
