"""Streams of frames for the engine, and a journal of everything it decided on them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from tertium_server.engine import DecisionColumns, FrameColumns, StreamEngine, StreamSettings, Workspace
from tertium_server.policy import Policy, compile_parameters
from tests.policies import plain_policy
from tests.scenes import scene

Box = tuple[float, float, float, float]
SECOND = 1_000_000_000
CLASSES = {0: "person", 7: "car"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and its detections; corners in pixels, time in nanoseconds."""

    index: int
    time: int
    boxes: tuple[Box, ...] = ()
    scores: tuple[float, ...] = ()
    class_ids: tuple[int, ...] = ()
    track_ids: tuple[int, ...] = ()


def frame(index: int, *detections: tuple[Box, float], time: int | None = None) -> Frame:
    """A frame of a stream with ten frames a second and one class."""
    return Frame(
        index,
        index * SECOND // 10 if time is None else time,
        tuple(box for box, _ in detections),
        tuple(score for _, score in detections),
        (0,) * len(detections),
        tuple(range(1, len(detections) + 1)),
    )


def filmed(seed: int, *, length: int = 80, objects: int = 6) -> list[Frame]:
    """A scene of both classes, its frames at times that tremble as a camera's do."""
    random = np.random.default_rng(seed)
    names = list(CLASSES.values())
    ids = {name: class_id for class_id, name in CLASSES.items()}
    staged = scene(seed, length, objects, tuple(names))
    times = (SECOND * (np.arange(length) / 12.5 + random.uniform(0, 0.02, length))).astype(np.int64).tolist()
    frames = []
    for index in range(length):
        rows = [row for row in staged.rows if row[0] == index]
        frames.append(
            Frame(
                index,
                times[index],
                tuple((left, top, left + width, top + height) for _, left, top, width, height, *_ in rows),
                tuple(row[5] for row in rows),
                tuple(ids[row[6]] for row in rows),
                tuple(row[7] + 1 for row in rows),
            )
        )
    return frames


def troubled(seed: int, *, length: int = 80) -> list[Frame]:
    """A filmed scene in which frames were dropped, doubled, spoilt and come late, and the clock jumped both ways."""
    random = np.random.default_rng(seed)
    film = [each for each in filmed(seed, length=length) if random.random() > 0.08]
    forward, backward = sorted(random.choice(np.arange(5, len(film) - 5), 2, replace=False).tolist())
    film = [
        replace(each, time=each.time + 20 * SECOND * (place >= forward) - 23 * SECOND * (place >= backward))
        for place, each in enumerate(film)
    ]
    spoil = [lambda each: each, spoilt_box, spoilt_score, spoilt_class]
    return [
        each
        for place, good in enumerate(film)
        for each in (
            [spoil[random.integers(1, 4)](good), good, film[random.integers(0, place + 1)]]
            if random.random() < 0.2
            else [good]
        )
    ]


def spoilt_box(good: Frame) -> Frame:
    """A frame with one more box, without an end."""
    return with_detection(good, (1.0, 1.0, float("nan"), 9.0), 0.5, 0)


def spoilt_score(good: Frame) -> Frame:
    """A frame with one more detection, surer than sure."""
    return with_detection(good, (1.0, 1.0, 9.0, 9.0), 1.5, 0)


def spoilt_class(good: Frame) -> Frame:
    """A frame with one more detection, of a class nobody named."""
    return with_detection(good, (1.0, 1.0, 9.0, 9.0), 0.5, 3)


def with_detection(good: Frame, box: Box, score: float, class_id: int) -> Frame:
    """A frame with one more detection."""
    return replace(
        good,
        boxes=(*good.boxes, box),
        scores=(*good.scores, score),
        class_ids=(*good.class_ids, class_id),
        track_ids=(*good.track_ids, 1000),
    )


def columns(frames: Sequence[Frame], *, client_tracks: bool = False) -> FrameColumns:
    """A message of frames."""

    def joined(pick: Callable[[Frame], tuple[Any, ...]]) -> list[Any]:
        return list(chain.from_iterable(pick(each) for each in frames))

    return FrameColumns.of(
        [each.index for each in frames],
        [each.time for each in frames],
        [len(each.boxes) for each in frames],
        joined(lambda each: each.boxes),
        joined(lambda each: each.scores),
        joined(lambda each: each.class_ids),
        joined(lambda each: each.track_ids) if client_tracks else (),
    )


def settings_with(**changes: Any) -> StreamSettings:
    """Settings of a stream of both classes, of no known frame size."""
    fields: dict[str, Any] = {"class_names": CLASSES, **changes}
    return StreamSettings(**fields)


def engine_with(policy: Policy | None = None, **settings: Any) -> StreamEngine:
    """A fresh engine, of the plain policy where none is given."""
    chosen = settings_with(**settings)
    return StreamEngine(compile_parameters(policy or plain_policy(), chosen), chosen)


class Journal:
    """Copies of all decisions of a run, column by column, however it was cut into messages."""

    names = (
        *("status", "culprit", "resets", "frame_indices", "counts"),
        *("track_ids", "probabilities", "verdicts", "boxes", "box_features", "track_features"),
        *("track_probabilities", "track_lower", "track_upper", "track_verdicts"),
        *("coasted_counts", "coasted_track_ids", "coasted_boxes", "coasted_probabilities", "coasted_verdicts"),
        *("events", "dismissed"),
    )

    def __init__(self) -> None:
        self._parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in self.names}
        self._sent = 0

    def add(self, decisions: DecisionColumns, sent: int) -> None:
        """Copies the decisions on a message of ``sent`` detections; culprits are counted through the whole run."""
        for name in self.names:
            self._parts[name].append(np.array(getattr(decisions, name)))
        culprits = self._parts["culprit"][-1]
        culprits[culprits >= 0] += self._sent
        self._sent += sent

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A column of the whole run."""
        self._parts[name] = [np.concatenate(self._parts[name])]
        return self._parts[name][0]

    def by_frame(self, name: str) -> list[npt.NDArray[Any]]:
        """A column, cut by the frames taken."""
        counts = self["coasted_counts" if name.startswith("coasted") else "counts"]
        return np.split(self[name], np.cumsum(counts)[:-1]) if len(counts) else []

    def events_of(self, track_id: int) -> npt.NDArray[Any]:
        """What happened to one track."""
        events = self["events"]
        chosen: npt.NDArray[Any] = events[events["track_id"] == track_id]
        return chosen


def play(
    engine: StreamEngine,
    frames: Sequence[Frame],
    sizes: Iterable[int] = repeat(1),
    workspace: Workspace | None = None,
    *,
    finish: bool = False,
    client_tracks: bool = False,
) -> Journal:
    """Runs frames, ``sizes`` of them at a time, and ends the stream where it is asked to."""
    workspace = workspace or Workspace()
    journal = Journal()
    place = 0
    for size in sizes:
        if place >= len(frames):
            break
        message = columns(frames[place : place + size], client_tracks=client_tracks)
        journal.add(engine.advance(message, workspace), len(message.boxes))
        place += size
    assert place >= len(frames), "sizes ran out"
    if finish:
        journal.add(engine.finish(workspace), 0)
    return journal


def assert_same(one: Journal, other: Journal, *, names: Iterable[str] = Journal.names) -> None:
    """Bit for bit."""
    for name in names:
        assert one[name].dtype == other[name].dtype, name
        np.testing.assert_array_equal(one[name], other[name], err_msg=name, strict=True)
