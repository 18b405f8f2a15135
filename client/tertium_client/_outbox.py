"""A stream's frames on their way to the server: gathered into messages, awaiting answers, and kept as long as they may have to be sent again.

Frames move from `waiting` (not sent in this connection) to `kept` (sent; the last checkpoint does not contain them), and are dropped when a
checkpoint contains them. A break moves all that was kept back to waiting. Each message sent owes a response, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from tertium.v1 import stream_pb2
from tertium_client._encode import EncodedFrame
from tertium_client._settings import Flow
from tertium_client.errors import ProtocolError

_RESEND_FRAMES = 64
"""Frames a message when frames are sent again: latency no longer matters then."""
_MOST_MESSAGE_DETECTIONS = 50_000
"""Detections a message: with 32 bytes each, well below the 4 MB that gRPC takes unless told otherwise."""


class Outbox:
    """See the module. `now` is seconds of a clock that only goes forwards."""

    def __init__(self, flow: Flow, checkpoint_interval: int, now: float) -> None:
        self.checkpoint = stream_pb2.Checkpoint()
        """The last one received; empty: none."""
        self.last_answered: int | None = None
        """The last frame whose answer is known."""
        self.unanswered = 0
        """Frames that the server owes an answer."""
        self.lagging: deque[EncodedFrame] = deque()
        """Frames whose message was answered, and which are decided with later ones: the policy has a decision lag."""
        self.most_frames = 0
        """The most frames of a message the server takes; 0: it did not say."""
        self._flow = flow
        self._checkpoint_interval = checkpoint_interval
        self._waiting: deque[EncodedFrame] = deque()
        self._waiting_since = now
        self._flushing = False
        self._kept: deque[EncodedFrame] = deque()
        self._owed: deque[Sequence[EncodedFrame]] = deque()

    def add(self, frame: EncodedFrame, now: float) -> None:
        """A frame to be sent; its index is larger than those before."""
        if not self._waiting:
            self._waiting_since = now
        self._waiting.append(frame)
        self.unanswered += 1

    def rewind(self) -> None:
        """The connection broke: what was sent after the last checkpoint waits again, and nothing is owed."""
        self._waiting.extendleft(reversed(self._kept))
        self._kept.clear()
        self._owed.clear()
        self.unanswered += len(self.lagging)
        self.lagging.clear()

    def clear(self) -> None:
        """Nothing will be sent any more."""
        self._waiting.clear()
        self._kept.clear()
        self._owed.clear()

    # ------------------------------------------------------------------ messages

    @property
    def waiting(self) -> int:
        """Frames to be sent in this connection."""
        return len(self._waiting)

    @property
    def owed(self) -> Sequence[EncodedFrame] | None:
        """The frames of the oldest message without a response; None: there is none."""
        return self._owed[0] if self._owed else None

    @property
    def owes(self) -> bool:
        """The server owes a response, or the decisions on frames that lag."""
        return bool(self._owed or self.lagging)

    @property
    def first_wanted(self) -> int:
        """The frame that comes next after the checkpoint."""
        return self.checkpoint.last_frame + 1 if self.checkpoint.HasField("last_frame") else 0

    @property
    def batch_due_at(self) -> float:
        """When frames that wait have waited long enough for others to share their message."""
        return self._waiting_since + self._flow.batch_delay

    def flush(self) -> bool:
        """Lets what waits be sent without waiting for more; false: nothing waits."""
        self._flushing = bool(self._waiting)
        return self._flushing

    def next_message(self, now: float, *, finishing: bool) -> Sequence[EncodedFrame] | None:
        """The frames of the next message, which count as sent from now on; None: none is due."""
        if not self._waiting or not (finishing or self._message_due(now)):
            return None
        frames = self._gather()
        self._waiting_since = now
        self._flushing = self._flushing and bool(self._waiting)
        self._kept.extend(frames)
        self._owed.append(frames)
        return frames

    def _message_due(self, now: float) -> bool:
        return (
            self._flushing
            or len(self._waiting) >= self._limited(self._flow.batch)
            or now >= self.batch_due_at
            or self.unanswered >= self._flow.max_in_flight
            or self._answered(self._waiting[0])
        )

    def _gather(self) -> list[EncodedFrame]:
        """Takes frames that fit into one message from those that wait."""
        most = self._flow.batch
        if self._answered(self._waiting[0]):
            most = max(most, _RESEND_FRAMES)
        most = self._limited(most)
        frames = [self._waiting.popleft()]
        form, detections = frames[0].form, frames[0].count
        while self._waiting and len(frames) < most:
            frame = self._waiting[0]
            detections += frame.count
            fits = form is None or frame.form is None or form == frame.form
            if not fits or detections > _MOST_MESSAGE_DETECTIONS:
                break
            form = form or frame.form
            frames.append(self._waiting.popleft())
        return frames

    def _limited(self, frames: int) -> int:
        return min(frames, self.most_frames) if self.most_frames else frames

    def _answered(self, frame: EncodedFrame) -> bool:
        return self.last_answered is not None and frame.index <= self.last_answered

    # ------------------------------------------------------------------ answers

    def settle_owed(self) -> Sequence[EncodedFrame]:
        """The frames of the oldest message, whose response came."""
        return self._owed.popleft()

    def settle(self, fresh: Sequence[EncodedFrame], answered: int, refused: Collection[int | None]) -> None:
        """The message of these frames was answered, and of the frames that lag and of these so many, the first ones.

        Refused ones are not kept: they left no trace in the server's state.
        """
        self.unanswered -= len(fresh)
        self.lagging.extend(fresh)
        for _ in range(answered):
            self.last_answered = self.lagging.popleft().index
        if refused:
            self._kept = deque(frame for frame in self._kept if frame.index not in refused)

    def unknown(self, frames: Sequence[EncodedFrame]) -> list[EncodedFrame]:
        """Those of the frames whose answers are not known yet."""
        return [frame for frame in frames if not self._answered(frame)]

    def keep_from(self, checkpoint: stream_pb2.Checkpoint) -> bool:
        """Keeps a checkpoint and lets go of the frames it contains; true: there is progress.

        Raises:
            ProtocolError: it contains frames that were not answered, whose answers would never come.
        """
        last = checkpoint.last_frame if checkpoint.HasField("last_frame") else -1
        if last < self.first_wanted - 1:
            return False  # what was let go of for the newer one could not be sent again
        if last > (-1 if self.last_answered is None else self.last_answered):
            raise ProtocolError(f"a checkpoint contains frame {last}, which was not answered yet")
        progress = last >= self.first_wanted
        self.checkpoint = stream_pb2.Checkpoint()
        self.checkpoint.CopyFrom(checkpoint)
        while self._kept and self._kept[0].index <= last:
            self._kept.popleft()
        return progress

    def check_bound(self) -> None:
        """What is kept is bounded by what is under way and by the checkpoints the server owes.

        Raises:
            ProtocolError: a checkpoint is overdue.
        """
        answered = len(self._kept) + len(self._waiting) - self.unanswered - len(self.lagging)
        if answered > self._checkpoint_interval + max(_RESEND_FRAMES, self._flow.batch):
            raise ProtocolError(
                f"{answered} frames were answered since the last checkpoint; {self._checkpoint_interval} were agreed"
            )
