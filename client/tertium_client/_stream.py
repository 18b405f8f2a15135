"""A stream for threads. What it does is decided in `_session`; here are only the threads, the locks and the calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

import grpc
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
)
from tertium_client.values import Answer


class Stream(StreamFacts):
    """One open stream. Frames go in by send(), answers come out by iterating; see the package for the ways to combine both.

    Sending and reading may happen in different threads. The answers of a frame are handed out once: threads that read share them.
    """

    def __init__(
        self,
        session: Session,
        decide: grpc.StreamStreamMultiCallable[bytes, decision_service_pb2.DecideResponse],
        metadata: Metadata,
    ) -> None:
        super().__init__(session)
        self._decide = decide
        self._metadata = metadata
        self._call: grpc.Call | None = None
        lock = threading.Lock()
        self._lock = lock
        self._to_send = threading.Condition(lock)
        """Something may be due for sending, or the connection is over."""
        self._to_read = threading.Condition(lock)
        """Answers came, the stream opened, or it is over."""
        self._room = threading.Condition(lock)
        """There may be room for a frame, or the stream is over."""
        self._thread = threading.Thread(target=self._run, name=f"tertium {session.settings.stream_id}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __iter__(self) -> Iterator[Answer]:
        return self

    def __next__(self) -> Answer:
        answer = self.receive()
        if answer is None:
            raise StopIteration
        return answer

    # ------------------------------------------------------------------ sending

    def send(
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

        Raises:
            InvalidFrameError: nothing was sent; the stream goes on.
            NobodyReadsError: answers pile up, and nobody reads them.
            StreamClosedError: the stream was finished or closed.
            TertiumError: what ended the stream.
        """
        if detections is None:
            detections = frame_of(boxes, scores, class_ids, track_ids, frame_index, capture_time, picture=frame)
        self._check_process()
        me = threading.current_thread()
        with self._lock:
            self._session.sends(me)
            began = time.monotonic()
            while self._session.full:
                self._session.check_open()
                self._session.sender_waits(me, time.monotonic() - began, _is_gone)
                self._room.wait(1.0)
            index = self._session.accept(detections, time.monotonic())
            self._to_send.notify()
        return index

    def flush(self) -> None:
        """Sends frames that wait for others to share their message."""
        self._check_process()
        with self._lock:
            self._session.flush()
            self._to_send.notify()

    def finish(self) -> None:
        """Says that no more frames will come: iterating ends after the last answer. Tracks end, with their events in an answer without a frame."""
        self._check_process()
        with self._lock:
            self._session.finish(time.monotonic())
            self._to_send.notify()
            self._to_read.notify_all()

    # ------------------------------------------------------------------ reading

    def receive(self, timeout: float | None = None) -> Answer | None:
        """The next answer; None: the stream is finished and all was read. Waits for it, at most `timeout` seconds.

        Raises:
            TimeoutError: no answer came in time.
            UsageError: waiting would never end, because only the waiting thread sends. Not where there is a timeout. Also, as of all methods: the
                stream was opened in another process, of which this one was forked.
            TertiumError: what ended the stream, after the last answer.
        """
        self._check_process()
        me = threading.current_thread()
        longest = longest_wait(timeout)
        until = None if longest is None else time.monotonic() + longest
        with self._lock:
            self._session.reads(me)
            while (answer := self._session.take()) is None:
                if self._session.over:
                    return None
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"no answer of stream {self.stream_id!r} within {timeout} s")
                if self._session.reader_waits(me, for_ever=until is None):
                    self._to_send.notify()
                self._to_read.wait(left)
            self._room.notify()
        return answer

    def ready(self) -> Iterator[Answer]:
        """The answers that are here already, without waiting.

        Raises:
            TertiumError: what ended the stream, after the last answer.
        """
        while True:
            self._check_process()
            with self._lock:
                self._session.reads(threading.current_thread())
                answer = self._session.take()
                self._room.notify()
            if answer is None:
                return
            yield answer

    def drain(self) -> Iterator[Answer]:
        """Answers until every frame sent so far is answered. The stream stays open."""
        while self.unread:
            answer = self.receive()
            if answer is None:
                return
            yield answer
        yield from self.ready()

    def decide(
        self, frames: Iterable[Frame], *, look_ahead: int | None = None, finish: bool = False
    ) -> Iterator[Answer]:
        """Sends frames and yields their answers in step.

        At most `look_ahead` frames (None: max_in_flight) are sent before their answers are yielded; 1 waits for each answer, which live sources
        want that act on it at once. With `finish` the stream is finished after the last frame, and what ends with it is yielded too.
        """
        most = self._most_ahead(look_ahead)
        for frame in frames:
            while self.unread >= most:
                answer = self.receive()
                if answer is None:
                    return
                yield answer
            self.send(frame)
            yield from self.ready()
        if finish:
            self.finish()
            yield from self
        else:
            yield from self.drain()

    # ------------------------------------------------------------------ ending

    def close(self, timeout: float = 10.0) -> None:
        """Finishes the stream and waits until the server has ended it, at most `timeout` seconds. Answers that came can still be read.

        Raises:
            TertiumError: what ended the stream before, if sending and reading have not raised it.
        """
        longest = longest_wait(timeout)
        self.finish()
        try:
            with self._lock:
                if not self._to_read.wait_for(lambda: self._session.over, longest):
                    self._session.stop(not_closed_in_time(self.stream_id, timeout))
        finally:  # also of a wait that Ctrl-C has ended
            self._break_off(None)
        with self._lock:
            if not self._session.error_raised:
                self._session.raise_error()

    def abort(self) -> None:
        """Breaks the stream off: its tracks are not ended, and frames on their way remain unanswered. Answers that came can still be read."""
        self._break_off(None)

    def client_closes(self) -> None:
        """The connection is about to be closed."""
        self._break_off(client_closed(self.stream_id))

    def _break_off(self, error: Exception | None) -> None:
        if self._forked:
            return  # there is nothing here to end: threads and connection stayed in the process that opened it
        self._stop(error)
        self._thread.join()

    def _stop(self, error: Exception | None) -> None:
        """Ends the session and its call, from any thread."""
        with self._lock:
            self._session.stop(error)
            call = self._call
            self._wake_all()
        if call is not None:
            call.cancel()

    def wait_until_open(self) -> None:
        """Waits until the server has opened the stream, and raises what prevents it."""
        with self._lock:
            self._to_read.wait_for(lambda: self._session.opened is not None or self._session.over)
            self._session.raise_error()

    # ------------------------------------------------------------------ the connection (threads of their own)

    def _run(self) -> None:
        """Keeps the stream connected until it is over."""
        delay: float | None = 0.0
        try:
            while delay is not None:
                with self._lock:
                    if self._to_send.wait_for(lambda: self._session.over, delay):
                        break
                status = self._connect_once()
                with self._lock:
                    delay = self._session.ended(status, time.monotonic())
        except Exception as error:  # noqa: BLE001  # whatever it is, a caller who waits has to learn of it
            with self._lock:
                self._session.stop(error)
        finally:
            with self._lock:
                self._wake_all()

    def _connect_once(self) -> Status:
        """One call, from its beginning to its end."""
        ended = threading.Event()
        with self._lock:
            opening = self._session.connect(time.monotonic())
        call = self._decide(self._requests(opening, ended), metadata=self._metadata)
        with self._lock:
            self._call = call
            if self._session.over:
                call.cancel()
        try:
            for response in call:
                self._receive(response)
        except grpc.RpcError as error:
            return status_of(error)
        finally:
            call.cancel()  # does nothing to a call that ended; one whose response broke the contract ends here
            with self._lock:
                self._call = None
                ended.set()
                self._to_send.notify_all()
        return ENDED

    def _receive(self, response: decision_service_pb2.DecideResponse) -> None:
        with self._lock:
            if self._session.over:
                return
            self._session.receive(response, time.monotonic())
            if response.HasField("opened") or self._session.pictures.wanted:  # there may be something to send
                self._to_send.notify()
            self._to_read.notify_all()
            self._room.notify_all()

    def _requests(self, opening: bytes, ended: threading.Event) -> Iterator[bytes]:
        """The requests of one call, pulled by a thread of gRPC; its end half-closes."""
        yield opening
        try:
            while (following := self._next_request(ended)) is not None:
                yield following
        except Exception as error:  # noqa: BLE001  # gRPC would make an UNKNOWN of it that says nothing
            self._stop(error)

    def _next_request(self, ended: threading.Event) -> bytes | None:
        while callable(due := self._due(ended)):
            evidence = due()  # not under the lock: who sends and reads must not wait for pictures
            if evidence is not None:
                return evidence
        return due

    def _due(self, ended: threading.Event) -> bytes | Callable[[], bytes | None] | None:
        """What is to be sent next, waited for: a message, or what draws a picture for one; None: the call's requests end here."""
        with self._lock:
            while not ended.is_set() and not self._session.over:
                now = time.monotonic()
                request = self._session.next_request(now)
                if request is not None:
                    return request
                drawing = self._session.next_drawing()
                if drawing is not None:
                    return drawing
                if self._session.half_close():
                    return None
                if self._session.stalled(now) and self._call is not None:
                    self._call.cancel()
                    return None
                self._to_send.wait(min(self._session.wake_in(now), threading.TIMEOUT_MAX))
        return None

    def _wake_all(self) -> None:
        self._to_send.notify_all()
        self._to_read.notify_all()
        self._room.notify_all()


def _is_gone(thread: threading.Thread) -> bool:
    return not thread.is_alive()
