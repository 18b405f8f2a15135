"""The engine's arrays in and out: frames as they come from the wire, decisions as they go back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tertium_server.engine.addresses import address_table
from tertium_server.engine.association import FLOAT_ROWS, INTEGER_ROWS
from tertium_server.engine.layout import BOX_FEATURES, EVENT, TRACK, TRACK_FEATURES

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt8s = npt.NDArray[np.uint8]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Records = npt.NDArray[np.void]


def _frozen(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    array = np.require(np.asarray(values, dtype=dtype), requirements=["C", "A"]).view()
    array.flags.writeable = False
    return array


class FrameColumns(NamedTuple):
    """F frames with N detections in all, as the parallel arrays of the wire. Read-only: that is what the kernels are compiled for."""

    indices: Int64s
    """(F,) strictly increasing, from 0."""
    times: Int64s
    """(F,) capture times in nanoseconds, or (0,): index times the nominal interval."""
    counts: UInt32s
    """(F,) detections of each frame."""
    boxes: Float32s
    """(N, 4) corners x1, y1, x2, y2 in pixels."""
    scores: Float32s
    """(N,) on the scale of the stream's settings, or (0,): 1.0 each."""
    class_ids: UInt32s
    """(N,) or (0,) where the stream has one class."""
    track_ids: Int64s
    """(N,) with the caller's own tracks, else (0,)."""

    @classmethod
    def of(
        cls,
        indices: npt.ArrayLike,
        times: npt.ArrayLike,
        counts: npt.ArrayLike,
        boxes: npt.ArrayLike,
        scores: npt.ArrayLike = (),
        class_ids: npt.ArrayLike = (),
        track_ids: npt.ArrayLike = (),
    ) -> "FrameColumns":
        """Columns of any array-likes, converted to the kernels' types."""
        return cls(
            _frozen(indices, np.int64),
            _frozen(times, np.int64),
            _frozen(counts, np.uint32),
            _frozen(np.reshape(np.asarray(boxes, dtype=np.float32), (-1, 4)), np.float32),
            _frozen(scores, np.float32),
            _frozen(class_ids, np.uint32),
            _frozen(track_ids, np.int64),
        )

    @classmethod
    def join(cls, frames: Sequence["FrameColumns"]) -> "FrameColumns":
        """Several columns behind one another."""
        return cls(*(_frozen(np.concatenate(parts), parts[0].dtype) for parts in zip(*frames, strict=True)))


# What the kernel says of a frame that was sent.
FRAME_REPORT = np.dtype([("culprit", np.int64), ("status", np.uint8), ("reset", np.uint8)], align=True)


class Outputs(NamedTuple):
    """Buffers that the kernel fills; :class:`DecisionColumns` says what is in them."""

    reports: Records
    frame_indices: Int64s
    counts: UInt32s
    coasted_counts: UInt32s
    track_ids: Int64s
    values: Float32s  # (4, capacity): probability, track probability, its lower and upper end
    verdicts: UInt8s  # (2, capacity): of boxes, of tracks
    boxes: Float32s
    features: Float64s  # (capacity, FEATURES)
    coasted_track_ids: Int64s
    coasted_values: Float32s
    coasted_verdicts: UInt8s
    coasted_boxes: Float32s
    events: Records
    dismissed: Records
    trace: Records  # tracks at the last frame, those that end with it too; room for none unless a stream is traced


class Scratch(NamedTuple):
    """Room the kernel works in."""

    floats: Float64s
    integers: Int64s
    edge_column: Int64s
    edge_weight: Float64s


# Places in the progress vector that the kernel keeps from call to call.
(
    FRAMES_DONE,
    DETECTIONS_READ,
    FRAMES_TAKEN,
    DETECTIONS_OUT,
    COASTED_OUT,
    EVENTS_OUT,
    DISMISSED_OUT,
    MOST_EDGES,
    NEEDED,
    MISMATCH,
    RESETS,
    OTHER_TIME,
    TRACED_TRACKS,
) = range(13)
PROGRESS_LENGTH = 13

OTHER_PARAMETERS = -1
"""In ``progress[NEEDED]``: the next frame, of capture time ``progress[OTHER_TIME]``, needs other parameters, and no more room."""

TRACED = -2
"""In ``progress[NEEDED]``: a frame of a traced stream was taken; ``progress[TRACED_TRACKS]`` tracks are in the trace."""

NOT_BEGUN = -1
"""In ``progress[FRAMES_DONE]``: the message is new, and the rest of the vector left from another."""

COLUMN_NAMES = ("", "counts", "times", "boxes", "scores", "class_ids", "track_ids")
"""What ``progress[MISMATCH]`` points into: the first column whose length does not fit; "" where all do."""


class Workspace:
    """Scratch and output buffers, reused from call to call and grown when a message needs more. One a thread; streams may share it."""

    __slots__ = ("_companion", "decisions", "outputs", "progress", "scratch", "table")

    def __init__(self) -> None:
        self.progress: Int64s = np.zeros(PROGRESS_LENGTH, np.int64)
        self.outputs = Outputs(
            np.zeros(32, FRAME_REPORT),
            np.zeros(32, np.int64),
            np.zeros(32, np.uint32),
            np.zeros(32, np.uint32),
            np.zeros(256, np.int64),
            np.zeros((4, 256), np.float32),
            np.zeros((2, 256), np.uint8),
            np.zeros((256, 4), np.float32),
            np.zeros((256, BOX_FEATURES + TRACK_FEATURES)),
            np.zeros(256, np.int64),
            np.zeros(256, np.float32),
            np.zeros(256, np.uint8),
            np.zeros((256, 4), np.float32),
            np.zeros(256, EVENT),
            np.zeros(256, EVENT),
            np.zeros(0, TRACK),
        )
        self.scratch = Scratch(
            np.zeros((FLOAT_ROWS, 256)),
            np.zeros((INTEGER_ROWS, 257), np.int64),
            np.zeros(4096, np.int64),
            np.zeros(4096),
        )
        self.decisions = DecisionColumns(self.outputs)
        self._companion: Workspace | None = None
        self._write_table()

    @property
    def companion(self) -> "Workspace":
        """Another one, for streams whose frames are taken and judged apart; made when there is such a stream."""
        if self._companion is None:
            self._companion = Workspace()
        return self._companion

    def begin(self, frames: int, detections: int) -> None:
        """Makes the buffers ready for a message of ``frames`` and ``detections``."""
        self.progress[FRAMES_DONE] = NOT_BEGUN
        out = self.outputs
        if frames <= out.reports.shape[0] and detections <= out.track_ids.shape[0]:
            return
        if frames > out.reports.shape[0]:
            out = out._replace(
                reports=_longer(out.reports, frames),
                frame_indices=_longer(out.frame_indices, frames),
                counts=_longer(out.counts, frames),
                coasted_counts=_longer(out.coasted_counts, frames),
            )
        if detections > out.track_ids.shape[0]:
            out = out._replace(
                track_ids=_longer(out.track_ids, detections),
                values=_wider(out.values, detections),
                verdicts=_wider(out.verdicts, detections),
                boxes=_longer(out.boxes, detections),
                features=_longer(out.features, detections),
            )
        self.outputs = out
        self._write_table()

    def end(self) -> "DecisionColumns":
        """The decisions in the buffers; keeps the room for edges that the busiest frame so far had to make for itself."""
        progress = self.progress.tolist()
        self.decisions.take(self.outputs, progress)
        most = progress[MOST_EDGES]
        if most > self.scratch.edge_column.shape[0]:
            self.scratch = self.scratch._replace(
                edge_column=np.zeros(2 * most, np.int64), edge_weight=np.zeros(2 * most)
            )
            self._write_table()
        return self.decisions

    def holds(self, needed: int) -> bool:
        """Whether there is room for ``needed`` tracks and detections in one more frame, and for their events and coasted boxes."""
        out, progress = self.outputs, self.progress
        return bool(
            needed <= self.scratch.floats.shape[1]
            and progress[EVENTS_OUT] + 4 * needed <= out.events.shape[0]
            and progress[DISMISSED_OUT] + needed <= out.dismissed.shape[0]
            and progress[COASTED_OUT] + needed <= out.coasted_track_ids.shape[0]
        )

    def fit_trace(self, needed: int) -> None:
        """Makes room for ``needed`` tracks in the trace."""
        if needed > self.outputs.trace.shape[0]:
            self.outputs = self.outputs._replace(trace=np.zeros(2 * needed, TRACK))
            self._write_table()

    def fit_tracks(self, needed: int) -> None:
        """Makes room for ``needed`` tracks and detections in one frame, and for their events and coasted boxes."""
        out, progress = self.outputs, self.progress
        coasted = int(progress[COASTED_OUT]) + needed
        events = int(progress[EVENTS_OUT]) + 4 * needed
        dismissed = int(progress[DISMISSED_OUT]) + needed
        if coasted > out.coasted_track_ids.shape[0]:
            out = out._replace(
                coasted_track_ids=_longer(out.coasted_track_ids, coasted),
                coasted_values=_longer(out.coasted_values, coasted),
                coasted_verdicts=_longer(out.coasted_verdicts, coasted),
                coasted_boxes=_longer(out.coasted_boxes, coasted),
            )
        if events > out.events.shape[0]:
            out = out._replace(events=_longer(out.events, events))
        if dismissed > out.dismissed.shape[0]:
            out = out._replace(dismissed=_longer(out.dismissed, dismissed))
        self.outputs = out
        if needed > self.scratch.floats.shape[1]:
            room = 2 * needed
            self.scratch = self.scratch._replace(
                floats=np.zeros((FLOAT_ROWS, room)), integers=np.zeros((INTEGER_ROWS, room + 1), np.int64)
            )
        self._write_table()

    def _write_table(self) -> None:
        self.table = address_table((*self.outputs, *self.scratch, self.progress))
        """What kernels find the buffers by: see arrays.py."""


def _longer(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    grown = np.zeros((2 * length, *array.shape[1:]), array.dtype)
    grown[: array.shape[0]] = array
    return grown


def _wider(array: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    grown = np.zeros((array.shape[0], 2 * width), array.dtype)
    grown[:, : array.shape[1]] = array
    return grown


class DecisionColumns:
    """Decisions for one call of the engine: views into the workspace, good until its next use.

    T frames were taken, with M detections in all, in the caller's order; C tracks coasted.
    """

    __slots__ = (
        "_outputs", "coasted", "detections", "dismissed_count", "error", "event_count", "frames", "reset_count", "sent",
    )  # fmt: skip

    def __init__(self, outputs: Outputs) -> None:
        self.take(outputs, [0] * PROGRESS_LENGTH)

    def take(self, outputs: Outputs, progress: list[int]) -> None:
        """Sets the lengths of all columns: plain numbers, for they are asked for more often than there are frames."""
        self._outputs = outputs
        self.sent = progress[FRAMES_DONE]
        """F: frames that were sent."""
        self.frames = progress[FRAMES_TAKEN]
        """T."""
        self.detections = progress[DETECTIONS_OUT]
        """M."""
        self.coasted = progress[COASTED_OUT]
        """C."""
        self.event_count = progress[EVENTS_OUT]
        """Events."""
        self.dismissed_count = progress[DISMISSED_OUT]
        """Tracks that are over and never left NO."""
        self.reset_count = progress[RESETS]
        """Frames that the stream was reset before."""
        self.error = COLUMN_NAMES[progress[MISMATCH]]
        """The column whose length does not fit the others, if all frames were refused for that; else empty."""

    @property
    def status(self) -> UInt8s:
        """(F,) :class:`FrameStatus` of each frame sent."""
        return self._outputs.reports["status"][: self.sent]

    @property
    def culprit(self) -> Int64s:
        """(F,) place in the message of the detection that a refused frame was refused for; -1: none."""
        return self._outputs.reports["culprit"][: self.sent]

    @property
    def resets(self) -> UInt8s:
        """(F,) :class:`Reset` before each frame sent."""
        return self._outputs.reports["reset"][: self.sent]

    @property
    def frame_indices(self) -> Int64s:
        """(T,) indices of the frames taken."""
        return self._outputs.frame_indices[: self.frames]

    @property
    def counts(self) -> UInt32s:
        """(T,) detections of each frame taken."""
        return self._outputs.counts[: self.frames]

    @property
    def track_ids(self) -> Int64s:
        """(M,) ordinals within the epoch, or the caller's ids."""
        return self._outputs.track_ids[: self.detections]

    @property
    def probabilities(self) -> Float32s:
        """(M,) P(box is right), 0 to 1."""
        return self._outputs.values[0, : self.detections]

    @property
    def verdicts(self) -> UInt8s:
        """(M,) :class:`Verdict` on each box."""
        return self._outputs.verdicts[0, : self.detections]

    @property
    def boxes(self) -> Float32s:
        """(M, 4) corners of the motion filter's boxes, pixels."""
        return self._outputs.boxes[: self.detections]

    @property
    def box_features(self) -> Float64s:
        """(M, BOX_FEATURES) what the box read-out weighs, its constant 1 first; for explaining and for fitting."""
        return self._outputs.features[: self.detections, :BOX_FEATURES]

    @property
    def track_features(self) -> Float64s:
        """(M, TRACK_FEATURES) what the track read-out weighs, its constant 1 first."""
        return self._outputs.features[: self.detections, BOX_FEATURES:]

    @property
    def track_probabilities(self) -> Float32s:
        """(M,) P(track is a real object), 0 to 1."""
        return self._outputs.values[1, : self.detections]

    @property
    def track_lower(self) -> Float32s:
        """(M,) lower ends of the 95 % intervals."""
        return self._outputs.values[2, : self.detections]

    @property
    def track_upper(self) -> Float32s:
        """(M,) upper ends of the 95 % intervals."""
        return self._outputs.values[3, : self.detections]

    @property
    def track_verdicts(self) -> UInt8s:
        """(M,) :class:`Verdict` on each track."""
        return self._outputs.verdicts[1, : self.detections]

    @property
    def coasted_counts(self) -> UInt32s:
        """(T,) tracks alive without a detection, of each frame taken."""
        return self._outputs.coasted_counts[: self.frames]

    @property
    def coasted_track_ids(self) -> Int64s:
        """(C,) their ids."""
        return self._outputs.coasted_track_ids[: self.coasted]

    @property
    def coasted_boxes(self) -> Float32s:
        """(C, 4) corners of their predicted boxes, pixels."""
        return self._outputs.coasted_boxes[: self.coasted]

    @property
    def coasted_probabilities(self) -> Float32s:
        """(C,) P(track is a real object), 0 to 1."""
        return self._outputs.coasted_values[: self.coasted]

    @property
    def coasted_verdicts(self) -> UInt8s:
        """(C,) :class:`Verdict` on each."""
        return self._outputs.coasted_verdicts[: self.coasted]

    @property
    def events(self) -> Records:
        """Records of ``layout.EVENT``, in the order in which they happened."""
        return self._outputs.events[: self.event_count]

    @property
    def dismissed(self) -> Records:
        """The same of the ends of tracks that never left NO and were seen often enough to be tracks: nobody but review is told of them."""
        return self._outputs.dismissed[: self.dismissed_count]
