"""One stream's state between the caller and a connection that may break at any time. No input or output, no threads, no clock of its own.

What is promised: each frame that was accepted is answered to the caller exactly once, in order, however often the connection broke in between.
After a break the next connection opens with the last checkpoint and the last answered frame, so that the server repeats no answer; one that came
nevertheless is refused as a breach of contract, never handed out twice.

What is held is bounded: `max_in_flight` frames unanswered, as many answers that nobody took, and the frames since the last checkpoint, of
which a server that keeps the contract owes a new one after `checkpoint_interval` frames.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from tertium.recording import Recorder, StreamRecorder
from tertium.v1 import decision_service_pb2, decisions_pb2, stream_pb2
from tertium_client import _decode
from tertium_client._backoff import Backoff, Reconnect
from tertium_client._encode import EncodedFrame, Frame, FrameEncoder, frames_message
from tertium_client._outbox import Outbox
from tertium_client._peer import Peer
from tertium_client._pictures import Pictures
from tertium_client._recording import begin_recording, recorded
from tertium_client._settings import Flow, StreamSettings
from tertium_client._status import Status
from tertium_client._wire import delimited
from tertium_client.errors import (
    InvalidFrameError,
    NobodyReadsError,
    ProtocolError,
    StreamClosedError,
    UsageError,
)
from tertium_client.values import Answer, Notice

_log = logging.getLogger("tertium_client")

_OPEN, _FRAMES, _EVIDENCE = 1, 2, 3  # fields of DecideRequest
_ANSWERS_NOTHING = {decisions_pb2.Notice.CODE_DRAINING, decisions_pb2.Notice.CODE_UNEXPECTED}
_OPENED_WITHIN = 10.0
"""Seconds for a server to answer Open, before it counts as lost."""
_READER_APPEARS_WITHIN = 10.0
"""Seconds for another thread or task to begin reading, before a full stream counts as one that nobody reads."""
_READER_RETURNS_WITHIN = 60.0
"""The same where the one who read last has ended. Longer, for a slow reader may use a task for each answer, as asyncio.wait_for may."""


class Session:
    """See the module. `now` is seconds of a clock that only goes forwards."""

    def __init__(
        self,
        settings: StreamSettings,
        flow: Flow,
        reconnect: Reconnect,
        now: float,
        recorder: Recorder | None = None,
        peer: Peer | None = None,
    ) -> None:
        self.settings = settings
        self.opened: stream_pb2.Opened | None = None
        """What the server answered to the last Open that it answered."""
        self.error: Exception | None = None
        """Why the stream ended, unless it ended as it should."""
        self.error_raised = False
        """A caller knows of the error."""
        self.over = False
        """Nothing more will come."""
        self._flow = flow
        self._peer = peer or Peer()
        self._held: dict[int, tuple[Notice, ...]] = {}
        self._encoder = FrameEncoder(settings)
        self._recorder = recorder
        self._recording: StreamRecorder | None = None
        self._backoff = Backoff(reconnect, now)
        self._gathers_for = (
            flow.batch_delay if flow.batch > 1 else 0.0
        )  # seconds in which a frame is not the server's affair yet
        self.pictures = Pictures(flow.picture_memory, flow.encode_picture)
        """Frames kept for people to look at."""
        # The caller's side.
        self._last_accepted = -1
        self._finishing = False
        self._ready: deque[Answer] = deque()
        self._unread = 0
        self._sender: object = None
        self._several_senders = False
        self._reader: object = None
        # The server's side.
        self._epoch = settings.epoch
        self._outbox = Outbox(flow, settings.checkpoint_interval, now)
        # This connection.
        self._connected = False
        self._connecting_since = now
        self._connected_at = now
        self._half_closed = False
        self._ended = False

    # ------------------------------------------------------------------ the caller's side

    def accept(self, frame: Frame, now: float) -> int:
        """Takes a frame to be sent and gives its index. There has to be room (see `full`).

        Raises:
            InvalidFrameError: the frame does not fit the stream. Nothing was taken.
            StreamClosedError: the stream was finished.
        """
        self.check_open()
        index = self._last_accepted + 1 if frame.frame_index is None else frame.frame_index
        if index <= self._last_accepted:
            raise InvalidFrameError(
                "frame_index", f"{index} does not come after {self._last_accepted}: indices of a stream have to grow"
            )
        most = self.opened.max_detections_per_frame if self.opened else 0
        encoded = self._encoder.encode(frame, index=index, most_detections=most)
        if self._idle:
            self._backoff.waits(now)
        self._outbox.add(encoded, now)
        self._last_accepted = index
        self.pictures.keep(index, frame.picture)
        self._record(encoded)
        return index

    def check_open(self) -> None:
        """Raises what stands in the way of sending: the stream's error, or StreamClosedError."""
        self.raise_error()
        if self._finishing or self.over:
            raise StreamClosedError(f"stream {self.settings.stream_id!r} was finished: open another to send more")

    def raise_error(self) -> None:
        """Raises why the stream ended, unless it ended as it should."""
        if self.error is not None:
            self.error_raised = True
            raise self.error

    @property
    def full(self) -> bool:
        """No room for another frame until answers come or are taken."""
        return self._outbox.unanswered >= self._flow.max_in_flight or self._unread_full

    @property
    def max_in_flight(self) -> int:
        """Frames without an answer at most."""
        return self._flow.max_in_flight

    @property
    def unread(self) -> int:
        """Frames accepted whose answers were not taken."""
        return self._outbox.unanswered + self._unread

    def sends(self, who: object) -> None:
        """A thread or task is about to send."""
        if self._sender is not None and self._sender is not who:
            self._several_senders = True
        self._sender = who

    def reads(self, who: object) -> None:
        """A thread or task is about to take answers."""
        self._reader = who

    def sender_waits(self, who: object, waited: float, is_gone: Callable[[Any], bool]) -> None:
        """A thread or task waits for room. Raises where that would never end; `is_gone` knows threads or tasks that have ended.

        Frames unanswered are the server's affair; answers unread are the caller's.
        """
        if not self._unread_full:
            return
        reader = self._reader
        if reader is None or is_gone(reader):
            patience = _READER_APPEARS_WITHIN if reader is None else _READER_RETURNS_WITHIN
            if waited < patience:
                return
        elif reader is not who:
            return
        raise NobodyReadsError(
            f"the answers to {self.unread} frames of stream {self.settings.stream_id!r} were not read, so no more are sent. Read between sends "
            "(for answer in stream.ready()), in another thread or task (for answer in stream), or use stream.decide(frames), which does both"
        )

    def reader_waits(self, who: object, *, for_ever: bool) -> bool:
        """A thread or task waits for an answer; true: there is something to send now, because the one who would send more is the one who waits.

        Raises:
            UsageError: that would never end: all is answered, and only the one who waits ever sent.
        """
        if self._sender is not who:
            return False
        if for_ever and not (self._several_senders or self._outbox.unanswered or self._finishing):
            raise UsageError(
                f"every frame sent to stream {self.settings.stream_id!r} was answered, and the sender itself waits for more. After the last "
                "frame call stream.finish(); to read only what is outstanding, use stream.drain() or stream.ready()"
            )
        return self._outbox.owed is None and self._outbox.flush()

    def take(self) -> Answer | None:
        """The next answer; None: there is none now (or ever, see `over`).

        Raises:
            TertiumError: what ended the stream, after the last answer.
        """
        if not self._ready:
            self.raise_error()
            return None
        answer = self._ready.popleft()
        if answer.frame_index is not None:
            self._unread -= 1
        return answer

    def finish(self, now: float) -> None:
        """No more frames will come: when all are answered, the server ends the tracks."""
        if self._idle:
            self._backoff.waits(now)
        self._finishing = True

    def flush(self) -> None:
        """Sends what waits for others to share its message."""
        self._outbox.flush()

    # ------------------------------------------------------------------ the connection's side

    def connect(self, now: float) -> bytes:
        """A connection begins: its first request."""
        self._connected = False
        self._connecting_since = now
        self._half_closed = False
        self.pictures.forget_requests()
        outbox = self._outbox
        outbox.rewind()
        self._held.clear()
        message = self.settings.message(
            epoch=self._epoch, checkpoint=outbox.checkpoint.state, last_answered=outbox.last_answered
        )
        return delimited(_OPEN, message.SerializeToString())

    def next_request(self, now: float) -> bytes | None:
        """The next message to send; None: nothing is due (see `wake_in`)."""
        if not self._connected:
            return None
        frames = self._outbox.next_message(now, finishing=self._finishing)
        return None if frames is None else delimited(_FRAMES, frames_message(frames))

    def next_drawing(self) -> Callable[[], bytes | None] | None:
        """What draws the next picture that the server wants, anywhere, and gives a message when a request has all of its own; None: none wanted."""
        drawing = self.pictures.next_drawing() if self._connected else None
        if drawing is None:
            return None

        def draw() -> bytes | None:
            evidence = drawing()
            return None if evidence is None else delimited(_EVIDENCE, evidence.SerializeToString())

        return draw

    def half_close(self) -> bool:
        """All is sent and no more will come: true tells to half-close now."""
        if self._connected and self._finishing and not self._outbox.waiting:
            self._half_closed = True
        return self._half_closed

    def wake_in(self, now: float) -> float:
        """Seconds after which `next_request` and `stalled` have to be asked again, though nothing else happened."""
        times = [self._stalls_at]
        if self._connected and self._outbox.waiting:
            times.append(self._outbox.batch_due_at)
        return max(0.0, min(times) - now)

    def stalled(self, now: float) -> bool:
        """The server owes an answer for so long that the connection is better given up."""
        return now >= self._stalls_at

    def receive(self, response: decision_service_pb2.DecideResponse, now: float) -> None:
        """Takes in a response: answers for the caller, a checkpoint for later.

        Raises:
            ProtocolError: the response breaks the contract. The stream can't go on.
        """
        if not self._connected:
            self._open(response, now)
            frames: Sequence[EncodedFrame] = ()
        else:
            frames = self._answered_by(response)
        fresh = self._outbox.unknown(frames)
        awaited = [frame.index for frame in (*self._outbox.lagging, *fresh)]
        answers = _decode.answers(response, awaited, self.settings, frames, self._held)
        self._ready.extend(answers)
        if awaited:
            answered = sum(answer.frame_index is not None for answer in answers)
            refused = {answer.frame_index for answer in answers if answer.decisions is None}
            self._outbox.settle(fresh, answered, refused)
            self._unread += answered
            self._backoff.progressed(now)
        if frames or self._ended:
            self._check_waiting(response.frames_waiting)
        for request in response.evidence_requests:
            self.pictures.ask(request)
        if response.HasField("checkpoint") and self._outbox.keep_from(response.checkpoint):
            self._backoff.progressed(now)
        self._outbox.check_bound()

    def ended(self, status: Status, now: float) -> float | None:
        """The connection is over. Gives the seconds until the next attempt; None: the stream is over, see `error`."""
        status = self._in_full(status, now)
        was_connected, self._connected = self._connected, False
        if self.over:
            return None
        if self._ended or (status.code is grpc.StatusCode.OK and self._half_closed and not self._outbox.owes):
            self.stop(None)
            return None
        if status.code is grpc.StatusCode.OK:
            status = Status(grpc.StatusCode.UNAVAILABLE, "the server ended the stream before its end")
        passing = status.passes_after if self.opened is not None else None
        if not status.retryable and passing is None:
            self.stop(self._peer.refusal(status))
            return None
        if was_connected and self._idle:
            self._backoff.waits(now)
        delay = self._backoff.next_delay(
            now, now - self._connected_at if was_connected else 0.0, at_least=passing or 0.0
        )
        if delay is None:
            attempts = self._backoff.attempts + 1
            lost = self._peer.lost(status, attempts, known=self.opened is not None)
            self.stop(lost if passing is None else self._peer.refusal(status))
            return None
        _log.log(
            logging.WARNING if was_connected else logging.INFO,
            "stream %r %s (%s: %s); attempt %d in %.2f s",
            self.settings.stream_id,
            "lost its connection" if was_connected else "is not connected",
            status.code.name,
            status.message,
            self._backoff.attempts,
            delay,
        )
        return delay

    def stop(self, error: Exception | None) -> None:
        """Ends the stream here and now, with an error, or without one where the caller wants it."""
        if not self.over:
            self.over = True
            self.error = error
            self._outbox.clear()
            if self._recording is not None:
                self._recording.close()

    # ------------------------------------------------------------------ inner workings

    def _record(self, frame: EncodedFrame) -> None:
        """Records a frame where that is wanted. It never waits: what can't be written is lost, and counted by the recorder."""
        if self._recorder is None or self.opened is None:
            return
        if self._recording is None:
            self._recording = begin_recording(self._recorder, self.settings, self.opened)
        self._recording.write(recorded(frame))

    def _in_full(self, status: Status, now: float) -> Status:
        """The status; of a call that was given up here (see `stalled`): why."""
        if status.code is not grpc.StatusCode.CANCELLED or not self.stalled(now):
            return status
        if not self._connected:
            return Status(status.code, f"it did not open the stream within {now - self._connecting_since:.0f} s")
        return Status(status.code, f"it answered no frame for {now - self._backoff.progress_at:.0f} s")

    def _check_waiting(self, told: int) -> None:
        """Raises where frames were left undecided of which the server does not say that they wait."""
        waiting = [
            frame.index
            for frame in self._outbox.lagging
            if not any(notice.refused_frames for notice in self._held.get(frame.index, ()))
        ]
        if len(waiting) != told:
            raise ProtocolError(
                f"frame {waiting[0]} was neither decided nor refused"
                if waiting and told < len(waiting)
                else f"{told} frames are said to wait for their decisions, and {len(waiting)} do"
            )

    @property
    def _unread_full(self) -> bool:
        return self.unread >= 2 * self._flow.max_in_flight

    @property
    def _idle(self) -> bool:
        """The server owes nothing."""
        return not self._outbox.unanswered and not self._finishing

    @property
    def _stalls_at(self) -> float:
        if not self._connected:
            return self._connecting_since + _OPENED_WITHIN
        return math.inf if self._idle else self._backoff.silent_until + self._gathers_for

    def _open(self, response: decision_service_pb2.DecideResponse, now: float) -> None:
        if not response.HasField("opened"):
            raise ProtocolError("the first response has no Opened")
        opened = response.opened
        if self._epoch and opened.epoch != self._epoch:
            raise ProtocolError(f"asked for epoch {self._epoch}, the server opened epoch {opened.epoch}")
        first = self._outbox.first_wanted
        if opened.first_frame != first:
            raise ProtocolError(
                f"with the checkpoint given, frame {first} comes next; the server wants frame {opened.first_frame}"
            )
        if self.opened is not None:
            _log.info(
                "stream %r is connected again; %d frames are sent (again)",
                self.settings.stream_id,
                self._outbox.waiting,
            )
        self.opened = stream_pb2.Opened()
        self.opened.CopyFrom(opened)
        self._epoch = opened.epoch
        self._outbox.most_frames = opened.max_frames_per_message
        self._connected = True
        self._backoff.connected(now)
        self._connected_at = now
        if self._idle:
            self._backoff.waits(now)

    def _answered_by(self, response: decision_service_pb2.DecideResponse) -> Sequence[EncodedFrame]:
        """The frames this response answers: responses come in the order of messages.

        Word of draining answers nothing, nor does word of evidence that nobody wants (any more).
        """
        if response.HasField("opened"):
            raise ProtocolError("a second Opened came")
        aside = any(notice.code in _ANSWERS_NOTHING for notice in response.notices)
        owed = self._outbox.owed
        if aside and not _decode.mentions(response, {frame.index for frame in owed or ()}):
            return ()
        if owed is not None:
            return self._outbox.settle_owed()
        if self._half_closed and not self._ended:
            self._ended = True
            return ()
        raise ProtocolError("a response came that answers no request")
