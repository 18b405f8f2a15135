"""What streams of both clients have in common."""

from __future__ import annotations

import math
import os
import threading

import grpc
from numpy.typing import ArrayLike

from tertium_client._encode import Frame
from tertium_client._session import Session
from tertium_client._status import Status
from tertium_client.errors import (
    DisconnectedError,
    InvalidFrameError,
    InvalidSettingsError,
    StreamClosedError,
    UsageError,
)

ENDED = Status(grpc.StatusCode.OK, "")
"""How a call ends that is half-closed and answered."""


class StreamFacts:
    """What can be asked of a stream without waiting."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stream_id!r}, unread={self.unread})"

    @property
    def stream_id(self) -> str:
        """The name it was opened with."""
        return self._session.settings.stream_id

    @property
    def epoch(self) -> int:
        """The run of the stream: the caller's, or the one the server chose."""
        return self._session.opened.epoch if self._session.opened else self._session.settings.epoch

    @property
    def policy_version(self) -> str:
        """The policy that was in force when the stream was (last) opened. Decisions name theirs."""
        return self._session.opened.policy_version if self._session.opened else ""

    @property
    def unread(self) -> int:
        """Frames sent whose answers were not read yet, because they did not come or nobody took them."""
        return self._session.unread

    @property
    def _forked(self) -> bool:
        """The process that asks is a copy of the one that opened the stream: the connection stayed there."""
        return os.getpid() != self._process

    def _check_process(self) -> None:
        if self._forked:
            raise UsageError(
                f"stream {self.stream_id!r} was opened by process {self._process}, and this is process {os.getpid()}, forked from it: connections "
                "do not come along. Make a Client in each process, or start processes by multiprocessing.get_context('spawn')"
            )

    def _most_ahead(self, look_ahead: int | None) -> int:
        most = self._session.max_in_flight
        if look_ahead is not None and look_ahead < 1:
            raise InvalidSettingsError("look_ahead", f"{look_ahead} is not 1 frame or more")
        return most if look_ahead is None else min(look_ahead, most)


def frame_of(
    boxes: ArrayLike | None,
    scores: ArrayLike | None,
    class_ids: ArrayLike | None,
    track_ids: ArrayLike | None,
    frame_index: int | None,
    capture_time: int | None,
    *,
    picture: ArrayLike | None,
) -> Frame:
    """The frame that was given by its parts."""
    if boxes is None:
        raise InvalidFrameError("boxes", "missing: a frame without detections is sent as boxes=[]")
    return Frame(boxes, scores, class_ids, track_ids, frame_index, capture_time, picture=picture)


def longest_wait(timeout: float | None) -> float | None:
    """Seconds to wait at most, as a caller gives them; None: for ever.

    Raises:
        InvalidSettingsError: that is no time.
    """
    if timeout is None or timeout == math.inf:
        return None
    if math.isnan(timeout):
        raise InvalidSettingsError("timeout", "nan is no time: give seconds, or None to wait for ever")
    return min(timeout, threading.TIMEOUT_MAX / 2)


def not_closed_in_time(stream_id: str, timeout: float) -> DisconnectedError:
    """The error of a stream whose end the server did not confirm."""
    return DisconnectedError(
        "DEADLINE_EXCEEDED",
        f"the end of stream {stream_id!r} was not answered within {timeout} s; its last events are lost",
    )


def closed_client() -> StreamClosedError:
    """The error of a call by a client that was closed."""
    return StreamClosedError("the client was closed: make another one to send more")


def task_cancelled(stream_id: str) -> StreamClosedError:
    """The error of a stream whose own task somebody has cancelled."""
    return StreamClosedError(f"stream {stream_id!r} was broken off: the task that keeps it connected was cancelled")


def client_closed(stream_id: str) -> StreamClosedError:
    """The error of a stream whose client was closed before it."""
    return StreamClosedError(f"the client was closed while stream {stream_id!r} was open")
