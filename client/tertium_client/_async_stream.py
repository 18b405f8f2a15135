"""A stream for asyncio. What it does is decided in `_session`; here are only the tasks and the calls."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
import grpc.aio
from numpy.typing import ArrayLike

from tertium.v1 import decision_service_pb2
from tertium_client._channel import Metadata, status_of
from tertium_client._encode import Frame
from tertium_client._session import Session
from tertium_client._status import Status
from tertium_client._stream_facts import (
    ENDED,
    StreamFacts,
    client_closed,
    frame_of,
    longest_wait,
    not_closed_in_time,
    task_cancelled,
)
from tertium_client.values import Answer

Decide = grpc.aio.StreamStreamMultiCallable[bytes, decision_service_pb2.DecideResponse]
_Call = grpc.aio.StreamStreamCall[bytes, decision_service_pb2.DecideResponse]
_T = TypeVar("_T")

_WRITE_FAILED = "Internal error from Core"
"""What grpc.aio says of a call of which a write failed."""
_STATUS_WITHIN = 1.0
"""Seconds to wait for the server's status when a write has failed: the core knows it already, as a rule."""


class AsyncStream(StreamFacts):
    """One open stream. Frames go in by send(), answers come out by iterating; see the package for the ways to combine both.

    Sending and reading may happen in different tasks of one event loop. The answers of a frame are handed out once: tasks that read share them.
    """

    def __init__(self, session: Session, decide: Decide, metadata: Metadata) -> None:
        super().__init__(session)
        self._decide = decide
        self._metadata = metadata
        self._to_send = _Bell()
        self._to_read = _Bell()
        self._room = _Bell()
        self._task = asyncio.create_task(self._run(), name=f"tertium {session.settings.stream_id}")
        self._task.add_done_callback(self._ended)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()

    def __aiter__(self) -> AsyncIterator[Answer]:
        return self

    async def __anext__(self) -> Answer:
        answer = await self.receive()
        if answer is None:
            raise StopAsyncIteration
        return answer

    # ------------------------------------------------------------------ sending

    async def send(
        self,
        detections: Frame | None = None,
        /,
        *,
        boxes: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        class_ids: ArrayLike | None = None,
        track_ids: ArrayLike | None = None,
        frame_index: int | None = None,
        capture_time: int | None = None,
        frame: ArrayLike | None = None,
    ) -> int:
        """Sends a frame, given whole or by its parts, and gives its index. Waits while `max_in_flight` frames are unanswered.

        The parts are described in Frame; `frame` is its `picture`.

        Errors: see Stream.send.
        """
        if detections is None:
            detections = frame_of(boxes, scores, class_ids, track_ids, frame_index, capture_time, picture=frame)
        me = asyncio.current_task()
        self._session.sends(me)
        began = time.monotonic()
        while self._session.full:
            self._session.check_open()
            self._session.sender_waits(me, time.monotonic() - began, _is_gone)
            await self._room.wait(1.0)
        index = self._session.accept(detections, time.monotonic())
        self._to_send.ring()
        return index

    def flush(self) -> None:
        """Sends frames that wait for others to share their message."""
        self._session.flush()
        self._to_send.ring()

    def finish(self) -> None:
        """Says that no more frames will come: iterating ends after the last answer. Tracks end, with their events in an answer without a frame."""
        self._session.finish(time.monotonic())
        self._to_send.ring()
        self._to_read.ring()

    # ------------------------------------------------------------------ reading

    async def receive(self, timeout: float | None = None) -> Answer | None:  # noqa: ASYNC109  # the same parameter as Stream.receive
        """The next answer; None: the stream is finished and all was read. Waits for it, at most `timeout` seconds. Errors: see Stream.receive."""
        me = asyncio.current_task()
        longest = longest_wait(timeout)
        until = None if longest is None else time.monotonic() + longest
        self._session.reads(me)
        while (answer := self._session.take()) is None:
            if self._session.over:
                return None
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"no answer of stream {self.stream_id!r} within {timeout} s")
            if self._session.reader_waits(me, for_ever=until is None):
                self._to_send.ring()
            await self._to_read.wait(left)
        self._room.ring()
        return answer

    def ready(self) -> Iterator[Answer]:
        """The answers that are here already, without waiting. Errors: see Stream.ready."""
        self._session.reads(asyncio.current_task())
        while (answer := self._session.take()) is not None:
            self._room.ring()
            yield answer

    async def drain(self) -> AsyncIterator[Answer]:
        """Answers until every frame sent so far is answered. The stream stays open."""
        while self.unread:
            answer = await self.receive()
            if answer is None:
                return
            yield answer
        for answer in self.ready():
            yield answer

    async def decide(
        self, frames: Iterable[Frame] | AsyncIterable[Frame], *, look_ahead: int | None = None, finish: bool = False
    ) -> AsyncIterator[Answer]:
        """Sends frames and yields their answers in step. See Stream.decide."""
        most = self._most_ahead(look_ahead)
        async for frame in _each(frames):
            while self.unread >= most:
                answer = await self.receive()
                if answer is None:
                    return
                yield answer
            await self.send(frame)
            for answer in self.ready():
                yield answer
        if finish:
            self.finish()
        async for answer in self if finish else self.drain():
            yield answer

    # ------------------------------------------------------------------ ending

    async def close(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the same parameter as Stream.close
        """Finishes the stream and waits until the server has ended it, at most `timeout` seconds. See Stream.close."""
        longest = longest_wait(timeout)
        self.finish()
        try:
            await asyncio.wait([self._task], timeout=longest)
            if not self._session.over:
                self._session.stop(not_closed_in_time(self.stream_id, timeout))
        finally:  # also of a wait that was cancelled
            await self._break_off(None)
        if not self._session.error_raised:
            self._session.raise_error()

    async def abort(self) -> None:
        """Breaks the stream off. See Stream.abort."""
        await self._break_off(None)

    async def client_closes(self) -> None:
        """The connection is about to be closed."""
        await self._break_off(client_closed(self.stream_id))

    async def _break_off(self, error: Exception | None) -> None:
        self._session.stop(error)
        self._task.cancel()
        await asyncio.wait([self._task])
        self._ring_all()

    async def wait_until_open(self) -> None:
        """Waits until the server has opened the stream, and raises what prevents it."""
        try:
            while self._session.opened is None and not self._session.over:
                await self._to_read.wait(None)
        except BaseException:  # cancellation, as a rule: nobody else could end it
            await self.abort()
            raise
        self._session.raise_error()

    # ------------------------------------------------------------------ the connection (a task of its own)

    async def _run(self) -> None:
        """Keeps the stream connected until it is over."""
        delay: float | None = 0.0
        try:
            while delay is not None:
                await asyncio.sleep(delay)
                status = await self._connect_once()
                delay = self._session.ended(status, time.monotonic())
        except Exception as error:  # noqa: BLE001  # whatever it is, a caller who waits has to learn of it
            self._session.stop(error)

    async def _connect_once(self) -> Status:
        """One call, from its beginning to its end."""
        opening = self._session.connect(time.monotonic())
        call = self._decide(metadata=self._metadata)
        server_status = _server_status(call)
        sending = asyncio.create_task(self._send_all(opening, call))
        # A defect in sending would else be noticed by nobody: the server waits for frames, and we for its answers.
        sending.add_done_callback(lambda done: call.cancel() if not done.cancelled() and done.exception() else None)
        try:
            # Iterated, not read(): that stops at a failed write, though responses, and behind them the server's status, are still to come.
            async for response in call:
                self._receive(response)
        except grpc.aio.AioRpcError as error:
            status = status_of(error)
            if status.message == _WRITE_FAILED:
                await asyncio.wait([server_status], timeout=_STATUS_WITHIN)
            return server_status.result() if server_status.done() else status
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Status(grpc.StatusCode.CANCELLED, "cancelled here")
        else:
            return ENDED
        finally:
            sending.cancel()
            call.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled():
                sending.result()

    def _receive(self, response: decision_service_pb2.DecideResponse) -> None:
        self._session.receive(response, time.monotonic())
        if response.HasField("opened") or self._session.pictures.wanted:  # there may be something to send
            self._to_send.ring()
        self._to_read.ring()
        self._room.ring()

    async def _send_all(self, opening: bytes, call: _Call) -> None:
        """The requests of one call; half-closes it after the last one."""
        try:
            await call.write(opening)
            while True:
                now = time.monotonic()
                request = self._session.next_request(now)
                drawing = None if request is not None else self._session.next_drawing()
                if request is not None:
                    await call.write(request)
                elif drawing is not None:
                    evidence = await asyncio.to_thread(drawing)
                    if evidence is not None:
                        await call.write(evidence)
                elif self._session.half_close():
                    await call.done_writing()
                    return
                elif self._session.stalled(now):
                    call.cancel()
                    return
                else:
                    await self._to_send.wait(self._session.wake_in(now))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call is over, which is seen, with its status, where responses are read

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Tells all who wait. A session that is not over lost its task to somebody who cancelled it: with all others, say."""
        self._session.stop(task_cancelled(self.stream_id))
        self._ring_all()

    def _ring_all(self) -> None:
        self._to_send.ring()
        self._to_read.ring()
        self._room.ring()


def _server_status(call: _Call) -> asyncio.Future[Status]:
    """The status with which the server ended the call, as soon as there is one.

    Where a write fails because the server ended the call, grpc.aio puts a status of its own over the server's (grpc/grpc#36066), and a stream
    that was taken over or refused would look like one that broke. It calls back at each status, though, so the server's can be told from it.
    """
    found: asyncio.Future[Status] = asyncio.get_running_loop().create_future()

    def note(_: object) -> None:
        status = Status.of(_result(call.code()), _result(call.details()), tuple(_result(call.trailing_metadata())))
        if not found.done() and status.message != _WRITE_FAILED:
            found.set_result(status)

    call.add_done_callback(note)
    return found


def _result(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine returns that does not have to wait: a call that is over knows its status."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("_T", stop.value)
    raise RuntimeError("a call that is over has no status")


class _Bell:
    """Wakes all who wait for it: a condition variable without the lock, which one event loop does not need."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for future in self._waiting:
            _resolve(future)

    async def wait(self, seconds: float | None) -> None:
        """Until it rings, or some time has passed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = None if seconds is None or math.isinf(seconds) else loop.call_later(seconds, _resolve, future)
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if timer is not None:
                timer.cancel()


def _is_gone(task: asyncio.Task[Any]) -> bool:
    return task.done()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _each(frames: Iterable[Frame] | AsyncIterable[Frame]) -> AsyncIterator[Frame]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
    else:
        for frame in frames:
            yield frame
