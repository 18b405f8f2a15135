"""The parts of a recording, read and put one behind another: what the camera sent, without what no server took."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tertium.recording import (
    DamagedError,
    Kind,
    Opening,
    Part,
    RecordedFrames,
    decode_frames,
    decode_lost,
    decode_opening,
    parse_part,
)

from .errors import Place, ReadError

UNTRACKED = 0
"""What the wire calls a detection without a track."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message of F frames with N detections, its absent arrays filled in as a server does."""

    place: Place
    indices: NDArray[np.int64]
    times: NDArray[np.int64]
    """(F,) or, where frames go by the nominal rate, (0,)."""
    counts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    """(N,); -1 where the message has none and there are several classes."""
    track_ids: NDArray[np.int64]
    fits: bool
    """Whether its track ids are there exactly where the stream has them."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The parts of one run of a stream."""

    opening: Opening
    messages: tuple[Message, ...]
    warnings: tuple[str, ...]


def read_opening(file: Path) -> Opening | None:
    """What the stream of a part was opened with; None: the part was cut off before it.

    Raises:
        ReadError: the file is damaged, or no part of a recording.
    """
    return _opening_of(file, _parse(file))


def read_recording(files: tuple[Path, ...]) -> Recording:
    """The parts of one run, in the order of their numbers.

    Raises:
        ReadError: a file is damaged, none holds anything, or they are of streams that were opened differently.
    """
    first: Opening | None = None
    messages: list[Message] = []
    warnings: list[str] = []
    for file in files:
        part = _parse(file)
        if part.torn or not part.records:
            number = len(part.records) + 1
            warnings.append(f"{file}: ends in the middle of record {number}; its last {part.torn:,} bytes are left out")
        opening = _opening_of(file, part)
        if opening is None:
            continue
        if first is None:
            first = opening
        _check_same(file, first, opening)
        messages += _messages(file, part, opening)
        lost = _lost(file, part)
        if lost:
            warnings.append(f"{file}: the recorder lost {lost} frames, which are missing")
    if first is None:
        raise ReadError(Place(files[0].parent), "holds no whole record", "leave the sequence out")
    return Recording(first, tuple(messages), tuple(warnings))


def _parse(file: Path) -> Part:
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReadError(Place(file), f"can't be read ({reason})", "check the path and its permissions") from error
    try:
        return parse_part(content)
    except DamagedError as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: DamagedError) -> ReadError:
    place = Place(file, error.record, unit="record") if error.record else Place(file)
    return ReadError(place, error.problem, "take the file away, or give one that is whole; other parts can be read")


def _opening_of(file: Path, part: Part) -> Opening | None:
    if not part.records:
        return None
    if part.records[0].kind != Kind.OPENING:
        raise ReadError(Place(file, 1, unit="record"), "is no opening", "take the file away")
    try:
        return decode_opening(part.records[0])
    except DamagedError as error:
        raise _damaged(file, error) from error


def _check_same(file: Path, first: Opening, opening: Opening) -> None:
    """Both were opened alike, as far as decisions depend on it."""
    if replace(opening, group=first.group, recorded_by=first.recorded_by, max_detections=first.max_detections) != first:
        problem = "was opened with other settings than the parts before it"
        raise ReadError(Place(file, 1, unit="record"), problem, "move it to a folder of its own")


def _lost(file: Path, part: Part) -> int:
    try:
        return sum(decode_lost(record) for record in part.records if record.kind == Kind.LOST)
    except DamagedError as error:
        raise _damaged(file, error) from error


def _messages(file: Path, part: Part, opening: Opening) -> Iterator[Message]:
    for record in part.records:
        if record.kind == Kind.FRAMES:
            try:
                frames = decode_frames(record)
            except DamagedError as error:
                raise _damaged(file, error) from error
            yield _message(Place(file, record.number, unit="record"), frames, opening)


def _message(place: Place, frames: RecordedFrames, opening: Opening) -> Message:
    count = frames.detections
    only = next(iter(opening.class_names)) if len(opening.class_names) == 1 else -1
    classes = np.frombuffer(frames.class_ids, "<u4").astype(np.int64) if len(frames.class_ids) else np.full(count, only)
    tracks = np.frombuffer(frames.track_ids, "<i8") if len(frames.track_ids) else np.full(count, UNTRACKED, np.int64)
    return Message(
        place=place,
        indices=np.frombuffer(frames.indices, "<i8"),
        times=np.frombuffer(frames.times, "<i8"),
        counts=np.frombuffer(frames.counts, "<u4").astype(np.int64),
        boxes=np.frombuffer(frames.boxes, "<f4").reshape(-1, 4),
        scores=np.frombuffer(frames.scores, "<f4") if len(frames.scores) else np.ones(count, np.float32),
        class_ids=classes,
        track_ids=tracks,
        fits=count == 0 or bool(len(frames.track_ids)) == opening.client_tracks,
    )
