"""Recordings that are in memory already: anything shaped like supervision's `Detections`, a list of frames for each sequence.

Nothing of supervision is needed: a frame is any object with an ``xyxy`` array, and, where it has them, ``confidence``, ``class_id``,
``tracker_id`` and ``data["class_name"]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .readers import Kind, Labelled, NothingFoundError, Place, ReadError, Sequence, Truth, unify_classes
from .readers.checks import (
    boxes_from_corners,
    check_class_names,
    check_corners,
    check_scores,
    track_numbers,
    whole_numbers,
)
from .readers.labelled import unify
from .readers.tertium import FASTEST

UNNAMED = "object"
"""The class of boxes that have none."""

_SIDES = ("xyxy[:, 0]", "xyxy[:, 1]", "xyxy[:, 2]", "xyxy[:, 3]")


class DetectionsLike(Protocol):
    """The boxes of one frame, N of them. ``confidence``, ``class_id``, ``tracker_id`` and ``data`` may be None or missing."""

    @property
    def xyxy(self) -> NDArray[Any]:
        """(N, 4) corners in pixels."""
        ...


Frames = Iterable[DetectionsLike]
"""The frames of a sequence, in order, those without boxes too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What arrays do not say."""

    fps: float = 30.0
    """Frames per second, above 0 and up to 1000."""

    frame_size: tuple[int, int] = (0, 0)
    """Width and height in pixels; 0 where unknown."""

    class_names: Mapping[int, str] | None = None
    """Names by class id, for frames without ``data["class_name"]``. Ids without a name go by their number."""

    logits: bool = False
    """Confidences are log-odds, not probabilities."""

    def __post_init__(self) -> None:
        if not 0 < self.fps <= FASTEST:  # NaN, too
            raise ReadError(
                Place("setting", column="fps"), f"is {self.fps}", f"give a number above 0, up to {FASTEST:g}"
            )


def labelled_from(
    detections: Mapping[str, Frames], truth: Mapping[str, Frames], setting: Setting = Setting()
) -> tuple[Labelled, ...]:
    """Detections and truth of sequences by name, for tune() and evaluate(). Truth may say by ``data["ignore"]`` (N,) what is not asked for.

    Truth without ``tracker_id`` does not say which box is whose: boxes and frames can be judged, tracks can't.

    Raises:
        ReadError: a frame that can't be taken: sequence, frame (from 0) and field are named.
        NothingFoundError: there are none, or one has detections and no truth, or the reverse.
    """
    _check_names(detections, truth)
    pairs = []
    for name in sorted(detections):
        found, known = _gather(name, "detections", detections[name]), _gather(name, "truth", truth[name])
        if found.length != known.length:
            problem = f"has {found.length} frames, and its truth {known.length}"
            raise ReadError(found.place(), problem, "give every frame, those without boxes too")
        pairs.append(Labelled(_sequence(found, setting), _truth(known, setting)))
    return unify(pairs)


def sequences_from(detections: Mapping[str, Frames], setting: Setting = Setting()) -> tuple[Sequence, ...]:
    """Detections alone, for replays.

    Raises:
        ReadError: a frame that can't be taken: sequence, frame (from 0) and field are named.
    """
    return unify_classes(
        [_sequence(_gather(name, "detections", frames), setting) for name, frames in sorted(detections.items())]
    )


def _check_names(detections: Mapping[str, Frames], truth: Mapping[str, Frames]) -> None:
    if not detections:
        raise NothingFoundError(Place("detections"), "hold no sequence", "give {name: [frame, frame, …]}")
    for these, those, what in ((detections, truth, "truth"), (truth, detections, "detections")):
        missing = sorted(set(these) - set(those))
        if missing:
            remedy = "give it; empty frames where there is nothing"
            raise NothingFoundError(Place(what), f"holds no sequence {', '.join(missing)}", remedy)


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """The frames of a sequence, one after another."""

    name: str
    what: str
    length: int
    frames: NDArray[np.int64]
    """(N,) from 0."""
    places: NDArray[np.int64]
    """(N,) in their frame."""
    columns: Mapping[str, list[NDArray[Any] | None]]
    """By field, an array for each frame; None where it has none."""

    def place(self, index: int | None = None, field: str = "") -> Place:
        """Where a box stands."""
        name = f"{self.what} of {self.name}"
        if index is None:
            return Place(name)
        return Place(name, int(self.frames[index]), f"{field} of box {int(self.places[index])}", "frame")

    def locate(self, field: str) -> Callable[[int, str], Place]:
        """What checks name a box by."""
        return lambda index, _: self.place(index, field)

    def column(self, field: str, missing: Any, kind: Any) -> NDArray[Any]:  # noqa: ANN401  # whatever numpy takes
        """(N,) the values of a field, ``missing`` in frames without it."""
        counts = np.bincount(self.frames, minlength=self.length).tolist()
        parts = [
            np.full(count, missing, kind) if part is None else np.asarray(part, kind)
            for count, part in zip(counts, self.columns[field], strict=True)
        ]
        return np.concatenate([np.empty(0, kind), *parts])

    def has(self, field: str) -> bool:
        """Whether frames with boxes have it.

        Raises:
            ReadError: some do and some don't.
        """
        counts = np.bincount(self.frames, minlength=self.length).tolist()
        having = {count: part is not None for count, part in enumerate(self.columns[field]) if counts[count]}
        if not any(having.values()):
            return False
        bare = next((frame for frame, has in having.items() if not has), None)
        if bare is not None:
            place = Place(f"{self.what} of {self.name}", bare, field, "frame")
            raise ReadError(
                place, "is missing, and other frames have it", "give it to all frames with boxes, or to none"
            )
        return True


_FIELDS = ("confidence", "class_id", "tracker_id", "class_name", "ignore")


_NUMBERS = frozenset({"confidence", "class_id", "tracker_id"})


def _numbers(value: Any, place: Place) -> NDArray[np.float64]:  # noqa: ANN401  # whatever numpy takes
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError) as error:
        raise ReadError(place, f"holds no numbers ({error})", "give an array of numbers") from error


def _gather(name: str, what: str, given: Frames) -> _Gathered:
    columns: dict[str, list[NDArray[Any] | None]] = {field: [] for field in ("xyxy", *_FIELDS)}
    counts = []
    for index, frame in enumerate(given):
        place = Place(f"{what} of {name}", index, "xyxy", "frame")
        boxes = _numbers(getattr(frame, "xyxy", None), place)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4:  # noqa: PLR2004  # corners
            raise ReadError(place, f"has the shape {boxes.shape}", "give (N, 4) corners x1, y1, x2, y2 in pixels")
        counts.append(len(boxes))
        columns["xyxy"].append(boxes)
        data: Mapping[str, Any] = getattr(frame, "data", None) or {}
        for field in _FIELDS:
            value = data.get(field) if field in {"class_name", "ignore"} else getattr(frame, field, None)
            if value is not None and np.shape(value) != (len(boxes),):
                problem = f"has the shape {np.shape(value)}, and there are {len(boxes)} boxes"
                raise ReadError(Place(place.file, index, field, "frame"), problem, "give a value for each box, or None")
            if value is not None and field in _NUMBERS:
                value = _numbers(value, Place(place.file, index, field, "frame"))
            columns[field].append(None if value is None else np.asarray(value))
    frames = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    places = np.concatenate([np.empty(0, np.int64), *(np.arange(count) for count in counts)]).astype(np.int64)
    if not counts:
        raise NothingFoundError(Place(f"{what} of {name}"), "hold no frame", "give a list of frames, empty ones too")
    return _Gathered(name, what, len(counts), frames, places, columns)


def _corners(given: _Gathered) -> NDArray[np.float64]:
    return np.concatenate([part for part in given.columns["xyxy"] if part is not None])


def _classes(given: _Gathered, setting: Setting) -> tuple[dict[int, str], NDArray[np.uint32]]:
    """Names by id, and (N,) ids."""
    numbers = whole_numbers(given.column("class_id", -1, np.float64), given.locate("class_id"), "class_id")
    known = dict(setting.class_names or {})
    words = np.array([known.get(one, str(one)) if one >= 0 else UNNAMED for one in numbers.tolist()], np.str_)
    told = given.column("class_name", "", np.str_)
    words = np.where(told == "", words, told) if len(words) else words
    check_class_names(words, given.locate("class_name"), "class_name")
    names, ids = np.unique(words, return_inverse=True)
    return dict(enumerate(names.tolist() or [UNNAMED])), ids.reshape(-1).astype(np.uint32)


def _sequence(given: _Gathered, setting: Setting) -> Sequence:
    corners = _corners(given)
    boxes = boxes_from_corners(corners, given.locate("xyxy"), _SIDES)
    warnings: tuple[str, ...] = ()
    if len(corners) and not given.has("confidence"):
        if setting.logits:
            remedy = "leave out logits: each detection then counts as 1.0"
            raise ReadError(Place(f"{given.what} of {given.name}", column="confidence"), "is missing", remedy)
        warnings = (f"{given.place()}: have no confidence; every detection counts with score 1.0",)
    scores = given.column("confidence", 1.0, np.float64)
    check_scores(scores, given.locate("confidence"), "confidence", logits=setting.logits)
    names, ids = _classes(given, setting)
    return Sequence(
        name=given.name,
        fps=setting.fps,
        frame_size=setting.frame_size,
        first_frame=0,
        length=given.length,
        class_names=names,
        frames=given.frames,
        boxes=boxes,
        xywh=np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
        scores=scores,
        class_ids=ids,
        track_ids=track_numbers(
            given.column("tracker_id", -1, np.float64), 0, given.locate("tracker_id"), "tracker_id"
        ),
        first_track=0,
        rows=np.arange(1, len(corners) + 1),
        source=Path(str(given.place())),
        logits=setting.logits,
        warnings=warnings,
    )


def _truth(given: _Gathered, setting: Setting) -> Truth:
    corners = _corners(given)
    check_corners(corners, given.locate("xyxy"), _SIDES)
    names, ids = _classes(given, setting)
    ignored = given.column("ignore", 0, np.bool_)
    return Truth(
        name=given.name,
        first_frame=0,
        length=given.length,
        class_names=names,
        frames=given.frames,
        boxes=corners,
        class_ids=ids,
        track_ids=track_numbers(
            given.column("tracker_id", -1, np.float64), 0, given.locate("tracker_id"), "tracker_id"
        ),
        kinds=np.where(ignored, Kind.IGNORE, Kind.EVALUATE).astype(np.uint8),
        rows=np.arange(1, len(corners) + 1),
        source=Path(str(given.place())),
    )
