"""Plays one camera of a world to a server, and keeps what it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tertium_client import Answer, Client, Frame
from tertium_server.demo.drawing import draw_scene
from tertium_server.tuning.decisions import Decisions, DecisionsBuilder
from tertium_server.tuning.readers import Labelled

from .errors import PlayError
from .footage import NANOSECONDS, Footage, SimulatedFrame

_BATCH = 16
"""Frames a message where nobody waits for them."""

_PICTURES_A_SECOND = 2
"""Drawing takes time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a world is played."""

    speed: float | None = None
    """Times real time; None: as fast as the server answers."""

    start: int = 0
    """Capture time of the first frames, nanoseconds."""

    pictures: bool = True
    """Give drawn pictures of the scenes, for people to look at."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Ends the play, in order."""

    def keep(self, begun: float, seconds: float) -> bool:
        """Waits until a moment of the footage is due; False: the play is over."""
        if self.speed is None:
            return not self.stop.is_set()
        return not self.stop.wait(max(0.0, begun + seconds / self.speed - time.monotonic()))


class TrackBook:
    """What the tracks of all cameras really are, as far as it is known. May be used from any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[int, list[int]] = {}

    def take(self, track_ids: NDArray[np.int64], right: NDArray[np.bool_], judged: NDArray[np.bool_]) -> None:
        """More boxes of tracks; those that are not judged are of objects too well hidden."""
        with self._lock:
            for track, real, counts in zip(track_ids.tolist(), right.tolist(), judged.tolist(), strict=True):
                boxes = self._boxes.setdefault(track, [0, 0])
                boxes[0] += real or not counts
                boxes[1] += 1

    def is_real(self, track_id: int) -> bool | None:
        """Whether half of a track's boxes or more show an object of its class; None: it is not known here."""
        with self._lock:
            boxes = self._boxes.get(track_id)
        return None if boxes is None else 2 * boxes[0] >= boxes[1]


class Player:
    """One camera: `play` in a thread of its own."""

    def __init__(self, footage: Footage, name: str, pace: Pace, book: TrackBook) -> None:
        self.footage = footage
        self.name = name
        """Of its stream."""
        self.labelled: Labelled = footage.labelled()
        self.frames = 0
        """That were answered."""
        self.cases = 0
        """That were decided, as far as the camera was told."""
        self.policy_version = ""
        self._pace = pace
        self._book = book
        self._right = footage.right()
        self._hidden = footage.hidden()
        self._builder = DecisionsBuilder(self.labelled.sequence, self.labelled.sequence.by_frame(), client_tracks=False)

    def play(self, client: Client, told: Callable[[], None] = lambda: None) -> None:
        """Plays it to its end. ``told`` hears each frame that was answered.

        Raises:
            PlayError: the server refused a frame.
            tertium_client.TertiumError: it refused the stream, or is gone for good.
        """
        world, live = self.footage.world, self._pace.speed is not None
        with client.open(
            self.name,
            batch=1 if live else _BATCH,
            class_names=world.class_names,
            frame_size=world.frame_size,
            nominal_fps=world.fps,
            include_tracks=True,
        ) as stream:
            for answer in stream.decide(self._frames(), look_ahead=1 if live else None, finish=True):
                self._take(answer)
                told()

    def decisions(self) -> Decisions | None:
        """All that was decided; None: it was not played to its end."""
        if self._builder.filled < len(self.labelled.sequence):
            return None
        return self._builder.build(self.policy_version, 0)

    def _frames(self) -> Iterator[Frame]:
        begun = time.monotonic()
        every = max(1, round(self.footage.world.fps / _PICTURES_A_SECOND))
        for frame in self.footage.frames():
            if not self._pace.keep(begun, frame.capture_time / NANOSECONDS):
                return
            drawn = self._pace.pictures and frame.frame_index % every == 0
            yield Frame(
                frame.boxes,
                frame.scores,
                frame.class_ids,
                frame_index=frame.frame_index,
                capture_time=self._pace.start + frame.capture_time,
                picture=self._drawn(frame) if drawn else None,
            )

    def _drawn(self, frame: SimulatedFrame) -> NDArray[np.uint8]:
        return draw_scene(self.footage.world.frame_size, frame.truth.boxes, None)

    def _take(self, answer: Answer) -> None:
        self.cases += sum(bool(event.case_id) for event in answer.events)
        if answer.frame_index is None:
            return
        said = answer.decisions
        if said is None or said.track_probabilities is None or said.track_verdicts is None:
            reason = "" if answer.refusal is None else f" ({answer.refusal.field}: {answer.refusal.message})"
            raise PlayError(f"stream {self.name}, frame {answer.frame_index}: the server refused it{reason}")
        here = slice(self._builder.filled, self._builder.filled + len(said))
        self._book.take(said.track_ids, self._right[here], ~self._hidden[here])
        self._builder.add(
            said.track_ids, said.probabilities, said.verdicts, said.track_probabilities, said.track_verdicts
        )
        self.policy_version = said.policy_version
        self.frames += 1
