"""Labelled frames in the store: what each has shown, kept once however often its truth is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, select

from tertium_server.metrics import OTHER
from tertium_server.quality.truth import FrameTally, TruthTally
from tertium_server.quality.values import ALL
from tertium_server.storage.tables import quality, review

SCENE_FRAMES = 300
"""So many frames of a stream count as one scene: ten seconds or so, however fast they were sent."""

_FRAME = ""
_counts = quality.truth_counts.c


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """What a frame has shown of one class."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    maybe_tp: int = 0
    maybe_fp: int = 0


@dataclass(frozen=True, slots=True)
class TruthFrame:
    """What one labelled frame has shown."""

    stream_id: str
    epoch: int
    frame_index: int
    decided_at: int
    """Microseconds: when its decisions were made."""
    classes: Mapping[str, BoxCounts]
    """By class; classes of which there was nothing may be left out."""


def keep(connection: Connection, frames: Sequence[TruthFrame], now: int) -> int:
    """Stores what frames have shown, in place of what was known of them; how many were known before. None may occur twice."""
    if not frames:
        return 0
    of_frame = (
        (_counts.stream_id == bindparam("stream")) & (_counts.epoch == bindparam("at_epoch"))
        & (_counts.frame_index == bindparam("index"))
    )  # fmt: skip
    keys = [{"stream": frame.stream_id, "at_epoch": frame.epoch, "index": frame.frame_index} for frame in frames]
    replaced = connection.execute(delete(quality.truth_counts).where(of_frame, _counts.class_name == _FRAME), keys)
    connection.execute(delete(quality.truth_counts).where(of_frame), keys)
    rows = [
        {
            "stream_id": frame.stream_id,
            "epoch": frame.epoch,
            "frame_index": frame.frame_index,
            "class_name": name,
            "decided_at": frame.decided_at,
            "reported_at": now,
            "tp": counts.tp,
            "fp": counts.fp,
            "fn": counts.fn,
            "maybe_tp": counts.maybe_tp,
            "maybe_fp": counts.maybe_fp,
        }
        for frame in frames
        for name, counts in {_FRAME: BoxCounts(), **frame.classes}.items()
    ]
    connection.execute(quality.truth_counts.insert(), rows)
    return replaced.rowcount


def forget_before(connection: Connection, moment: int) -> int:
    """Deletes what frames decided before a time have shown; how many rows."""
    return connection.execute(delete(quality.truth_counts).where(_counts.decided_at < moment)).rowcount


def newest_report(connection: Connection) -> tuple[int, int]:
    """Changes whenever truth was reported."""
    newest, rows = connection.execute(select(func.max(_counts.reported_at), func.count())).one()
    return newest or 0, rows


@dataclass(frozen=True, slots=True)
class Scene:
    """What the frames of a scene have shown of a class; of "", how many they are."""

    place: tuple[str, int, int]
    """Stream, epoch and number of the scene."""
    class_name: str
    decided_at: int
    """Of its first frame."""
    tp: int
    fp: int
    fn: int
    frames: int


def read_scenes(connection: Connection, since: int) -> list[Scene]:
    """All scenes with frames decided since a time, each class by itself."""
    scene = (_counts.frame_index // SCENE_FRAMES).label("scene")
    keys = (_counts.stream_id, _counts.epoch, scene, _counts.class_name)
    query = (
        select(
            *keys,
            func.min(_counts.decided_at),
            func.sum(_counts.tp),
            func.sum(_counts.fp),
            func.sum(_counts.fn),
            func.count(),
        )
        .where(_counts.decided_at >= since)
        .group_by(_counts.stream_id, _counts.epoch, "scene", _counts.class_name)
        .order_by(_counts.stream_id, _counts.epoch, "scene", _counts.class_name)
    )
    return [
        Scene((stream, epoch, int(number)), name, moment, int(tp), int(fp), int(fn), int(frames))
        for stream, epoch, number, name, moment, tp, fp, fn, frames in connection.execute(query)
    ]


def tallies(scenes: Iterable[Scene], classes: Iterable[str], since: int) -> dict[str, TruthTally]:
    """By class, and of ALL, of scenes since a time (microseconds)."""
    sums: dict[str, dict[tuple[str, int, int], NDArray[np.int64]]] = {name: {} for name in (ALL, *classes)}
    frames = 0
    for scene in scenes:
        if scene.decided_at < since:
            continue
        if scene.class_name == _FRAME:
            frames += scene.frames
            continue
        counts = np.array([scene.tp, scene.fp, scene.fn], np.int64)
        for name in (ALL, scene.class_name if scene.class_name in sums else OTHER):
            sums[name][scene.place] = sums[name].get(scene.place, 0) + counts
    return {name: _tally(list(by_scene.values()), frames) for name, by_scene in sums.items()}


def _tally(counts: list[NDArray[np.int64]], frames: int) -> TruthTally:
    columns = np.stack(counts, axis=1) if counts else np.zeros((3, 0), np.int64)
    return TruthTally(columns[0], columns[1], columns[2], frames)


def read_frame_audits(connection: Connection, since: int) -> NDArray[np.float64]:
    """(F, 4) of answered frame audits: when decided (microseconds), weight, real objects expected among YES, and the others."""
    columns = review.frame_audits.c
    query = select(
        columns.decided_at,
        1.0 / columns.pi,
        columns.expected_yes,
        columns.expected - columns.expected_yes + columns.missed,
    ).where(columns.decided_at >= since, columns.missed.is_not(None))
    rows = [tuple(row) for row in connection.execute(query.order_by(columns.case_id)).all()]
    return np.array(rows, np.float64).reshape(len(rows), 4)


def frame_tally(audits: NDArray[np.float64], since: int) -> FrameTally:
    """Those since a time, microseconds."""
    chosen = audits[audits[:, 0] >= since]
    return FrameTally(chosen[:, 1], chosen[:, 2], chosen[:, 3])
