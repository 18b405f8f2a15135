"""The Decide calls that are open: how many there may be, who takes over from whom, and how all of them are told to leave."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict

from tertium_server.errors import DrainingError, LimitExceededError, NotReadyError, RequestError, TakenOverError
from tertium_server.rpc.stream import Stream

_LAST_WRITE_SECONDS = 1.0
_RETRY_SECONDS = 5.0
_REMEMBERED_STREAMS = 4096


class Call:
    """One Decide call, from its start to its end.

    A call is told to leave by cancelling its task where that is safe: while it reads. While it writes, it is left to finish (two writes at a time
    are an error), and sees that it has to leave before it reads again.
    """

    __slots__ = ("_task", "ended", "leaving", "reading", "stream")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self.stream: Stream | None = None
        """Once it is open."""
        self.leaving: RequestError | None = None
        """Why the call has to end."""
        self.reading = False
        """Whether the task waits for a message."""
        self.ended = asyncio.Event()

    def leave(self, reason: RequestError) -> None:
        """Asks the call to end for a reason; the first one counts."""
        if self.leaving is not None:
            return
        self.leaving = reason
        if self.reading:
            self._task.cancel()
        elif isinstance(reason, TakenOverError):
            # No status can be sent while a write is under way, so the write may end. But its caller may have gone away without a word.
            asyncio.get_running_loop().call_later(_LAST_WRITE_SECONDS, self._stop)

    def _stop(self) -> None:
        if not self.ended.is_set():
            self._task.cancel()


class CountedFrames:
    """Up to which frame each recent stream, and its decisions, were counted, for when it comes back with frames since: no frame counts twice."""

    def __init__(self) -> None:
        self._counted: OrderedDict[tuple[str, int], tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, stream: Stream) -> None:
        """Keeps in mind how far a stream has come; the stream longest unheard of is forgotten."""
        key = (stream.stream_id, stream.epoch)
        with self._lock:
            counted, judged = self._counted.get(key, (-1, -1))
            self._counted[key] = (max(stream.counted, counted), max(stream.judged, judged))
            self._counted.move_to_end(key)
            while len(self._counted) > _REMEMBERED_STREAMS:
                self._counted.popitem(last=False)

    def skip(self, stream: Stream) -> None:
        """Has a stream count nothing that was counted before."""
        with self._lock:
            counted = self._counted.get((stream.stream_id, stream.epoch))
        if counted is not None:
            stream.skip_counting(*counted)


class Calls:
    """All Decide calls of a server. Used by the event loop's thread only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: set[Call] = set()
        self._by_stream: dict[str, Call] = {}
        self.counted = CountedFrames()
        self._empty = asyncio.Event()
        self._empty.set()
        self.refusal: RequestError | None = NotReadyError(
            "the server is starting; try again in a moment", retry_after=1.0
        )
        """Why no call is taken; None: calls are taken."""

    def __len__(self) -> int:
        return len(self._calls)

    def streams(self) -> list[Stream]:
        """The streams that are open."""
        return [call.stream for call in self._calls if call.stream is not None]

    def check_open(self) -> None:
        """Raises the reason for which nothing new is taken.

        Raises:
            RequestError: The server is starting, or draining.
        """
        if self.refusal is not None:
            # A fresh one: an exception that is raised twice drags the first traceback along.
            raise type(self.refusal)(str(self.refusal), retry_after=self.refusal.retry_after)

    def enter(self, task: asyncio.Task[None]) -> Call:
        """Takes a call in.

        Raises:
            RequestError: There are as many as there may be, or none are taken at all.
        """
        self.check_open()
        if len(self._calls) >= self._most:
            raise LimitExceededError(
                "max_streams", f"the server holds {self._most} streams, as many as it may", retry_after=_RETRY_SECONDS
            )
        call = Call(task)
        self._calls.add(call)
        self._empty.clear()
        return call

    async def open(self, call: Call, stream: Stream) -> None:
        """Gives a call its stream. An older call with the same stream is ended first, so that what it counted is known."""
        older = self._by_stream.get(stream.stream_id)
        call.stream = stream
        self._by_stream[stream.stream_id] = call
        if older is not None:
            older.leave(TakenOverError("a newer call has opened this stream"))
            await older.ended.wait()
        self.counted.skip(stream)

    def exit(self, call: Call) -> None:
        """Lets a call go."""
        stream = call.stream
        if stream is not None:
            self.counted.remember(stream)
            if self._by_stream.get(stream.stream_id) is call:
                del self._by_stream[stream.stream_id]
        self._calls.discard(call)
        call.ended.set()
        if not self._calls:
            self._empty.set()

    def close(self) -> None:
        """Takes nothing more."""
        self.refusal = _draining()

    async def drain(self) -> None:
        """Takes no more calls, asks all to leave, and returns when they have."""
        self.close()
        for call in list(self._calls):
            call.leave(_draining())
        await self._empty.wait()


def _draining() -> DrainingError:
    return DrainingError("the server is about to stop; connect to another, or try again in a moment", retry_after=1.0)
