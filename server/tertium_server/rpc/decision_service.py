"""tertium.v1.DecisionService: bytes in and out, no (de)serializer of grpc's between."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

import grpc
from grpc import aio

from tertium.v1 import decision_service_pb2
from tertium_server.errors import (
    DrainingError,
    InvalidRequestError,
    LimitExceededError,
    OpenTimeoutError,
    RequestError,
    TakenOverError,
)
from tertium_server.logs import Throttle, get_logger
from tertium_server.metrics import LatencyHistogram, MethodCounts, StreamMetrics
from tertium_server.rpc import wire
from tertium_server.rpc.answers import Answer
from tertium_server.rpc.calls import Call, Calls
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.heavy import HeavyWork
from tertium_server.rpc.opening import check_open
from tertium_server.rpc.status import Context, abort
from tertium_server.rpc.stream import SILENCE, TOO_HEAVY, Stream
from tertium_server.rpc.terms import StreamTerms

SERVICE = decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name

_LIGHT_BYTES = 2500  # a batch of 100 detections or so: never worth a thread
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What the service holds callers to, beside the limits of frames."""

    open_seconds: float
    """How long a call may wait before its Open."""

    max_batches: int
    """Most DecideBatch requests at a time."""


class DecisionService:
    """The servicer. Everything but heavy messages runs in the event loop's thread."""

    def __init__(
        self,
        terms: StreamTerms,
        limits: ServiceLimits,
        *,
        calls: Calls,
        heavy: HeavyWork,
        streams: StreamMetrics,
        latency: LatencyHistogram,
        counts: MethodCounts,
    ) -> None:
        self._terms = terms
        self._limits = limits
        self._calls = calls
        self._heavy = heavy
        self._streams = streams
        self._latency = latency
        self._counts = counts
        self._desk = Desk()
        self._batches = 0
        self._log = get_logger("decisions")
        self._refusals = Throttle()

    def handler(self) -> grpc.GenericRpcHandler:
        """The methods, on raw bytes."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Decide": grpc.stream_stream_rpc_method_handler(self.decide),
                "DecideBatch": grpc.unary_unary_rpc_method_handler(self.decide_batch),
            },
        )

    async def decide(self, _requests: object, context: Context) -> None:
        """One stream."""
        try:
            await self._decide(context)
        except (asyncio.CancelledError, aio.AbortError):
            raise
        except aio.InternalError as error:  # what grpc raises when the caller is gone in the middle of a write
            raise asyncio.CancelledError from error
        except Exception as error:  # noqa: BLE001 - a bug in one stream must not end the process, nor another stream
            await self._refuse("Decide", context, error)

    async def decide_batch(self, data: bytes, context: Context) -> bytes:
        """A piece of a stream."""
        self._batches += 1
        try:
            return await self._take_batch(data)
        except Exception as error:
            await self._refuse("DecideBatch", context, error)
            raise  # not reached: an abort raises
        finally:
            self._batches -= 1

    async def _take_batch(self, data: bytes) -> bytes:
        most = self._limits.max_batches
        if self._batches > most:
            raise LimitExceededError("max_streams", f"{most} requests wait, as many as may", retry_after=_RETRY_SECONDS)
        self._calls.check_open()
        if len(data) <= _LIGHT_BYTES:
            return self._decide_batch(data, self._desk)
        return await self._heavy.run(lambda desk: self._decide_batch(data, desk))

    def _decide_batch(self, data: bytes, desk: Desk) -> bytes:
        request, frames = wire.read_batch(data)
        if not request.HasField("open"):
            raise InvalidRequestError.of("open", "has to be set: it names the stream and its classes")
        stream = Stream(check_open(request.open, self._terms.limits), self._terms)
        self._calls.counted.skip(stream)
        answer = Answer(batch=True)
        answer.add_opened(stream.opened())
        stream.run(frames, answer, desk)
        if request.end_of_stream:
            stream.finish(answer, desk)
        else:
            stream.flush(answer, desk)  # a caller that can hold no stream is answered whole
            stream.add_checkpoint(answer)
        self._streams.absorb(stream.group, stream.counts())
        self._calls.counted.remember(stream)
        stream.attach_review_to_a_piece()
        return stream.reviewed(frames, answer.to_bytes())

    async def _decide(self, context: Context) -> None:
        task = asyncio.current_task()
        if task is None:  # grpc runs every handler in a task
            raise RuntimeError("a handler outside of any task")
        call = self._calls.enter(task)
        try:
            await self._converse(call, context)
        except asyncio.CancelledError:
            if call.leaving is None:
                raise
            task.uncancel()
        finally:
            self._let_go(call)
        if call.leaving is not None:
            raise call.leaving

    async def _converse(self, call: Call, context: Context) -> None:
        """Open, then frames until the caller closes or the call has to leave."""
        stream = await self._open(call, context)
        if stream is None:
            return
        try:
            await self._loop(call, stream, context)
        except asyncio.CancelledError:
            if not isinstance(call.leaving, DrainingError):
                raise
            call.reading = False
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # _decide has seen it
        if isinstance(call.leaving, DrainingError):
            await context.write(stream.send_away())
            self._counts.sent += 1

    async def _open(self, call: Call, context: Context) -> Stream | None:
        """Reads the Open and answers it. None: the caller closed, or the server drains, before there was one."""
        call.reading = True
        try:
            async with asyncio.timeout(self._limits.open_seconds):
                data = await context.read()
        except TimeoutError as error:
            raise OpenTimeoutError(f"no Open came within {self._limits.open_seconds:g} seconds") from error
        finally:
            call.reading = False
        if data is aio.EOF:
            raise InvalidRequestError.of("open", "the first message has to be Open, but none came at all")
        self._counts.received += 1
        request = wire.read_request(data)
        if request.WhichOneof("message") != "open":
            raise InvalidRequestError.of(
                "open", f"the first message has to be Open, not {request.WhichOneof('message')}"
            )
        stream = Stream(check_open(request.open, self._terms.limits), self._terms)
        await self._calls.open(call, stream)
        stream.attach_review()
        self._streams.enter(stream)
        self._log.info(
            "stream opened",
            stream=stream.stream_id,
            group=stream.group,
            epoch=stream.epoch,
            resumed=bool(request.open.checkpoint),
        )
        await context.write(stream.greet())
        self._counts.sent += 1
        return stream

    async def _loop(self, call: Call, stream: Stream, context: Context) -> None:
        """The hot path: read, answer, write."""
        read, write, answer, observe = context.read, context.write, stream.answer, self._latency.observe
        desk, counts = self._desk, self._counts
        while call.leaving is None:
            call.reading = True
            data = await read()
            call.reading = False
            if data is aio.EOF:
                await write(stream.say_goodbye(desk))
                stream.settle()
                counts.sent += 1
                return
            started = perf_counter()
            counts.received += 1
            response = answer(data, desk)
            if response is TOO_HEAVY:
                response = await self._heavy.run(lambda desk: stream.answer_heavy(data, desk))  # noqa: B023 - awaited here and now
            if response is SILENCE:
                continue
            response = stream.reviewed(data, response)
            observe(perf_counter() - started)
            await write(response)
            counts.sent += 1

    def _let_go(self, call: Call) -> None:
        """Forgets a call; what its stream has counted stays."""
        stream = call.stream
        self._calls.exit(call)
        if stream is None:
            return
        stream.leave()
        self._streams.retire(stream)
        counts = stream.counts()
        self._log.info(
            "stream closed",
            stream=stream.stream_id,
            group=stream.group,
            epoch=stream.epoch,
            why=_why(call, stream),
            frames=counts.frames,
            rejected=sum(counts.rejected),
            last_frame=stream.engine.last_frame,
            tracks_closed=sum(counts.closed),
        )

    async def _refuse(self, method: str, context: Context, error: Exception) -> None:
        """Ends a call with an error's status. Bugs are logged each; refusals now and then."""
        if not isinstance(error, RequestError):
            self._log.error("internal error", method=method, exc_info=error)
        elif not isinstance(error, TakenOverError | DrainingError):
            held = self._refusals.admit(type(error).__name__)
            if held is not None:
                self._log.warning(
                    "call refused", method=method, error=type(error).__name__, message=str(error)[:500], held_back=held
                )
        await abort(context, error)


def _why(call: Call, stream: Stream) -> str:
    """Why a stream is over, for the log."""
    if isinstance(call.leaving, TakenOverError):
        return "taken over"
    if isinstance(call.leaving, DrainingError):
        return "draining"
    return "ended" if stream.ended else "broken off"
