"""One stream's engine: its state, the call that advances it, and its snapshot."""

import hashlib
import struct

import numpy as np

from tertium_server.engine import message, step, zones
from tertium_server.engine.addresses import address_table
from tertium_server.engine.arrays import StreamArrays
from tertium_server.engine.columns import (
    NEEDED,
    OTHER_PARAMETERS,
    OTHER_TIME,
    TRACED,
    DecisionColumns,
    FrameColumns,
    Int64s,
    Records,
    Workspace,
)
from tertium_server.engine.lag import Lag, Witness
from tertium_server.engine.layout import STREAM, TRACK, EventReason, Verdict
from tertium_server.engine.parameters import EngineParameters, StreamSettings

_FIRST_TRACKS = 64
_HEADER = struct.Struct("<8sII")
_SNAPSHOT_LAYOUT = hashlib.blake2b(repr((TRACK.descr, STREAM.descr)).encode(), digest_size=8).digest()


class SnapshotError(ValueError):
    """A snapshot can't be restored: it is cut short, or made by an engine with another memory layout or for other classes."""


class StreamEngine:
    """The state of one stream between frames.

    Not safe for use by two threads at once. Different streams share nothing and may run in different threads, each with a workspace of its own.
    """

    __slots__ = ("_lag", "_parameters", "_settings", "_state", "_tracks", "answered", "closed", "table", "tally")

    def __init__(self, parameters: EngineParameters, settings: StreamSettings) -> None:
        self._parameters = parameters
        self._settings = settings
        self._state: Records = np.zeros(1, STREAM)
        self._state["last_index"] = -1
        self._state["next_id"] = 1
        self.answered = -1
        """Frames up to this index are computed, but not counted in ``tally`` and ``closed``: they were, before the stream was resumed."""
        self.tally: Int64s = np.zeros((parameters.classes, max(Verdict) + 1), np.int64)
        """(classes, 4) detections decided, by class (ascending id) and verdict on the box."""
        self.closed: Int64s = np.zeros(max(EventReason) + 1, np.int64)
        """(10,) tracks ended, by reason."""
        self._lag: Lag | None = None
        self._hold(np.zeros(_FIRST_TRACKS, TRACK))
        self._wait(parameters.decision_lag)

    @property
    def parameters(self) -> EngineParameters:
        """The parameters in force."""
        return self._parameters

    @property
    def last_frame(self) -> int | None:
        """Index of the last frame taken; None before the first."""
        index = int(self._state["last_index"][0])
        return None if index < 0 else index

    @property
    def last_judged(self) -> int | None:
        """Index of the last frame whose decisions were made, and the one that a snapshot is of; None: there is none."""
        index = int(self._state["last_index"][0]) if self._lag is None else self._lag.last_judged
        return None if index < 0 else index

    @property
    def waits(self) -> bool:
        """Whether frames are judged apart from being tracked: then only :meth:`advance` gives their decisions."""
        return self._lag is not None

    @property
    def waiting(self) -> int:
        """Frames taken whose decisions are still to be handed out."""
        return 0 if self._lag is None else self._lag.waiting

    @property
    def state(self) -> Records:
        """(1,) the stream's clock and counters, of dtype ``layout.STREAM``: a view. To be read only."""
        return self._state

    @property
    def last_time(self) -> int:
        """Capture time of the last frame taken, nanoseconds; 0 before the first."""
        return int(self._state["last_time"][0])

    @property
    def judged_time(self) -> int:
        """Capture time of the last frame whose decisions were made, nanoseconds; 0 before the first."""
        return self.last_time if self._lag is None else self._lag.last_time

    @property
    def tracks(self) -> int:
        """Tracks alive, candidates included."""
        return int(self._state["tracks"][0])

    @property
    def records(self) -> Records:
        """(tracks,) the tracks alive, as they are now: a view, of dtype ``layout.TRACK``. To be read only."""
        return self._tracks[: self.tracks]

    @property
    def frames(self) -> int:
        """Frames taken in this epoch."""
        return int(self._state["frames"][0])

    @property
    def nbytes(self) -> int:
        """Bytes of this stream's arrays."""
        own = self._state.nbytes + self._tracks.nbytes + self.tally.nbytes + self.closed.nbytes
        return int(own + (0 if self._lag is None else self._lag.nbytes))

    def advance(self, frames: FrameColumns, workspace: Workspace) -> DecisionColumns:
        """Runs frames, in order, and returns their decisions: views into ``workspace`` that hold until its next use.

        A frame that can't be taken is refused in ``status`` and changes nothing; the others are taken. With a decision lag, decisions are on
        the frames that have waited long enough.
        """
        if self._lag is not None:
            return self._advance_late(self._lag, frames, workspace)
        count = frames.indices.shape[0]
        workspace.begin(count, frames.boxes.shape[0])
        columns = tuple(frames)  # numba takes plain tuples apart in half the time that named ones need
        while not message.run(self.table, workspace.table, columns, self.answered):
            self.make_room(workspace)
        return workspace.end()

    def _advance_late(self, lag: Lag, frames: FrameColumns, workspace: Workspace) -> DecisionColumns:
        count, detections, companion = frames.indices.shape[0], frames.boxes.shape[0], workspace.companion
        lag.begin(workspace, count, detections)
        companion.begin(count, detections)
        columns = tuple(frames)
        while not message.run(self.table, companion.table, columns, self.answered):
            self.make_room(companion)
        companion.end()
        lag.end(companion)
        if lag.is_idle:
            self._wait_no_more(lag)
        return workspace.end()

    def flush(self, workspace: Workspace) -> DecisionColumns:
        """Decisions on the frames that wait for others, made with what is known now."""
        if self._lag is None:
            workspace.begin(0, 0)
            workspace.progress[:] = 0
        else:
            self._lag.begin(workspace, 0, 0)
            self._lag.flush()
        return workspace.end()

    def keep_silent(self, last: int) -> None:
        """Has nothing said of frames up to this index that wait, or have to be taken again: the caller has their answers."""
        if self._lag is not None:
            self._lag.silent = last

    def watch(self, witness: Witness) -> None:
        """Shows every frame from now on, as it was judged. Decisions are the same; they take longer."""
        if self._lag is None:
            self._wait(0, always=True)
        if self._lag is not None:
            self._lag.witness = witness

    def finish(self, workspace: Workspace) -> DecisionColumns:
        """Ends all tracks, for the stream is over.

        Decisions are those on frames that waited for others, if there are any; else there are only ``events`` and ``dismissed``.
        """
        if self._lag is not None:
            self._lag.begin(workspace, 0, 0)
            self._lag.finish()
            self._state["tracks"] = 0
            return workspace.end()
        workspace.begin(0, 0)
        workspace.progress[:] = 0
        workspace.fit_tracks(self.tracks)
        counting = True
        step.end_all(
            self._state, self._parameters.judges, self._tracks, int(EventReason.STREAM_ENDED), counting,
            workspace.outputs.events, workspace.outputs.dismissed, workspace.progress, self.closed,
        )  # fmt: skip
        return workspace.end()

    def snapshot(self) -> bytes:
        """The state after the last frame judged, as bytes, for :meth:`restore` in any process with the same version of the engine."""
        class_ids = self._parameters.class_ids.astype("<i8")
        state, tracks = (self._state, self.records) if self._lag is None else self._lag.snapshot()
        header = _HEADER.pack(_SNAPSHOT_LAYOUT, len(class_ids), len(tracks))
        return b"".join((header, class_ids.tobytes(), state.tobytes(), tracks.tobytes()))

    @classmethod
    def restore(cls, parameters: EngineParameters, settings: StreamSettings, snapshot: bytes) -> "StreamEngine":
        """An engine that goes on where the one that made the snapshot stood.

        Raises:
            SnapshotError: the snapshot does not fit this engine or these classes.
        """
        if len(snapshot) < _HEADER.size:
            raise SnapshotError("the snapshot is cut short")
        layout, classes, tracks = _HEADER.unpack_from(snapshot)
        if layout != _SNAPSHOT_LAYOUT:
            raise SnapshotError("the snapshot was made by an engine with another memory layout")
        if len(snapshot) != _HEADER.size + 8 * classes + STREAM.itemsize + TRACK.itemsize * tracks:
            raise SnapshotError("the snapshot is cut short")
        class_ids = np.frombuffer(snapshot, "<i8", classes, _HEADER.size)
        if not np.array_equal(class_ids, parameters.class_ids):
            raise SnapshotError(f"the snapshot is of a stream with class ids {class_ids.tolist()}")
        engine = cls(parameters, settings)
        engine._lag = None
        offset = _HEADER.size + 8 * classes
        engine._state[:] = np.frombuffer(snapshot, STREAM, 1, offset)
        restored: Records = np.zeros(max(_FIRST_TRACKS, 2 * tracks), TRACK)
        restored[:tracks] = np.frombuffer(snapshot, TRACK, tracks, offset + STREAM.itemsize)
        engine._hold(restored)
        engine._place()  # the parameters may have other zones than those of the engine that made the snapshot
        engine._wait(parameters.decision_lag)
        return engine

    def adopt(self, parameters: EngineParameters) -> None:
        """Goes on with other parameters for the same classes. Tracks keep their evidence; at the next frame it is judged anew.

        Raises:
            ValueError: the parameters are for other classes.
        """
        if not np.array_equal(parameters.class_ids, self._parameters.class_ids):
            raise ValueError(f"the stream has the class ids {self._parameters.class_ids.tolist()}")
        self._take_up(parameters)
        if self._lag is not None:
            self._lag.adopt(parameters, parameters.decision_lag)
        else:
            self._wait(parameters.decision_lag)

    def make_room(self, workspace: Workspace) -> None:
        """Makes room for the frame that the kernel has stopped at, or takes the parameters that hold at its capture time."""
        needed = int(workspace.progress[NEEDED])
        if needed == OTHER_PARAMETERS:
            self._take_up(self._parameters.at(int(workspace.progress[OTHER_TIME])))
            return
        if needed == TRACED and self._lag is not None:
            self._lag.take(workspace)
            return
        if needed > self._tracks.shape[0]:
            grown: Records = np.zeros(min(2 * needed, self._settings.max_tracks), TRACK)
            grown[: self.tracks] = self._tracks[: self.tracks]
            self._hold(grown)
        workspace.fit_tracks(needed)
        if self._lag is not None:
            workspace.fit_trace(min(needed, self._settings.max_tracks))

    def table_of(self, state: Records, parameters: EngineParameters, tracks: Records) -> Int64s:
        """What kernels find a stream's arrays by (see arrays.py): with this stream's counters, and the other arrays given."""
        return address_table(
            StreamArrays(
                state,
                parameters.tracker,
                parameters.judges,
                parameters.class_lookup,
                tracks,
                self.tally,
                self.closed,
                parameters.zone_corners,
                parameters.zone_starts,
            )
        )

    def _wait(self, frames: int, *, always: bool = False) -> None:
        """Judges frames apart from tracking them from now on, where they have to wait for others."""
        if frames or always:
            self._lag = Lag(self, self._state, self.records, frames)
        self._state["traced"] = self._lag is not None

    def _wait_no_more(self, lag: Lag) -> None:
        """Judges frames at once again, beginning with the verdicts that were told."""
        self._tracks[: self.tracks] = lag.snapshot()[1]
        self._lag = None
        self._state["traced"] = 0

    def _take_up(self, parameters: EngineParameters) -> None:
        self._parameters = parameters
        self._hold(self._tracks)
        self._place()

    def _place(self) -> None:
        """Puts every track into its zone."""
        parameters = self._parameters
        zones.place_all(self._tracks, self.tracks, parameters.judges, parameters.zone_corners, parameters.zone_starts)

    def _hold(self, tracks: Records) -> None:
        """Keeps tracks in these records from now on."""
        self._tracks = tracks
        self.table = self.table_of(self._state, self._parameters, tracks)
        """What kernels find this stream's arrays by: see arrays.py."""
