"""A server that keeps the wire contract, with an engine that is a hash: what it decides depends on all frames before, so that any frame that is
lost, repeated or swapped on the way shows in everything after it. It breaks where the script says."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NoReturn, Self

import grpc
import numpy as np
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # generated, without stubs

from tertium.v1 import decision_service_pb2, decision_service_pb2_grpc, decisions_pb2, frames_pb2, stream_pb2

POLICY = "0-0123456789ab"
REFUSED_LEFT_EDGE = 666.0
"""A frame whose first box begins here is refused."""

Request = decision_service_pb2.DecideRequest
Response = decision_service_pb2.DecideResponse
BatchRequest = decision_service_pb2.DecideBatchRequest
BatchResponse = decision_service_pb2.DecideBatchResponse


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a call breaks: it is answered until so many responses were sent, counting Opened, then it ends with this status."""

    after: int
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    draining: bool = False
    """Word of draining and a checkpoint come before."""
    hangs: bool = False
    """Instead of breaking, the call stays open and nothing comes any more."""
    loses_one: bool = False
    """One more request is read and computed, but its response is lost."""


@dataclass(slots=True)
class HashEngine:
    """Chains frames by a hash. Every seventh frame brings an event, every fifth a notice that is no refusal."""

    state: bytes = b"\0" * 16
    last: int = -1
    taken: int = 0

    def advance(self, index: int, boxes: Sequence[float], rest: bytes) -> decision_service_pb2.DecideResponse:
        out = Response()
        if index <= self.last or (boxes and boxes[0] == REFUSED_LEFT_EDGE):
            code = decisions_pb2.Notice.CODE_LATE if index <= self.last else decisions_pb2.Notice.CODE_INVALID
            out.notices.add(code=code, frame_index=index, field="frames.boxes[0]", message="refused", refused_frames=1)
            return out
        content = struct.pack(f"<Q{len(boxes)}f", index, *boxes) + rest
        self.state = hashlib.blake2b(self.state + content, digest_size=16).digest()
        self.last, self.taken = index, self.taken + 1
        count = len(boxes) // 4
        draw = np.random.default_rng(int.from_bytes(self.state, "little"))
        decided = out.decisions
        decided.frame_indices.append(index)
        decided.detection_counts.append(count)
        decided.track_ids.extend(draw.integers(1, 2**62, count).tolist())
        decided.probabilities.extend(draw.random(count, np.float32).tolist())
        decided.verdicts.extend(draw.integers(1, 4, count).tolist())
        decided.policy_version = POLICY
        if self.taken % 7 == 0:
            event = out.events.add(
                type=decisions_pb2.TrackEvent.TYPE_STARTED, track_id=self.taken, frame_index=index, first_frame=index
            )
            event.why.hits = self.taken
        if self.taken % 5 == 0:
            out.notices.add(code=decisions_pb2.Notice.CODE_RESET_GAP, frame_index=index, message="a gap")
        return out

    def finish(self) -> decision_service_pb2.DecideResponse:
        out = Response()
        out.events.add(
            type=decisions_pb2.TrackEvent.TYPE_ENDED,
            reason=decisions_pb2.TrackEvent.REASON_STREAM_ENDED,
            track_id=int.from_bytes(self.state[:7], "little"),
            frame_index=max(self.last, 0),
        )
        return out

    def checkpoint(self) -> stream_pb2.Checkpoint:
        state = struct.pack("<16sqq", self.state, self.last, self.taken)
        return stream_pb2.Checkpoint(state=state, last_frame=self.last if self.last >= 0 else None)

    @classmethod
    def restore(cls, state: bytes) -> Self:
        return cls(*struct.unpack("<16sqq", state)) if state else cls()

    def advance_all(self, frames: frames_pb2.Frames, after: int) -> decision_service_pb2.DecideResponse:
        """A whole message; nothing is said of frames up to `after`."""
        out = Response()
        start = 0
        for position, (index, count) in enumerate(zip(frames.frame_indices, frames.detection_counts, strict=True)):
            rows = slice(start, start + count)
            start += count
            rest = struct.pack(f"<{len(frames.scores[rows])}f", *frames.scores[rows])
            rest += struct.pack(f"<{len(frames.class_ids[rows])}I", *frames.class_ids[rows])
            rest += struct.pack(f"<{len(frames.track_ids[rows])}Q", *frames.track_ids[rows])
            rest += struct.pack("<q", frames.capture_times[position]) if frames.capture_times else b""
            answer = self.advance(index, frames.boxes[4 * rows.start : 4 * rows.stop], rest)
            for notice in answer.notices:
                notice.field = notice.field and f"frames.boxes[{4 * rows.start}]"  # as it stands in the message
            if index > after:
                out.MergeFrom(answer)
        return out


@dataclass(slots=True)
class Script:
    """What the server does, and what it saw."""

    cuts: list[Cut] = field(default_factory=list)
    """One for each call, in order; after the last one calls are left alone."""
    checkpoint_interval: int | None = None
    """Frames between checkpoints; None: as the client wants it."""
    most_frames: int = 1000
    most_detections: int = 100
    silent: bool = False
    """Frames are read but never answered."""
    repeat_answers: bool = False
    """A breach of contract: answers that the client has are sent again."""
    opens: list[stream_pb2.Open] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    """The number of frames of each message, in the order of arrival."""
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    batches: int = 0


class ScriptedService(decision_service_pb2_grpc.DecisionServiceServicer):
    """The contract, with breaks."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def Decide(self, request_iterator: Iterator[Request], context: grpc.ServicerContext) -> Iterator[Response]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # noqa: N802  # named by gRPC, whose stubs know asyncio only
        script = self.script
        cut = script.cuts.pop(0) if script.cuts else None
        opening = next(request_iterator).open
        script.opens.append(opening)
        script.metadata.append(dict(context.invocation_metadata()))
        engine = HashEngine.restore(opening.checkpoint)
        for sent, response in enumerate(self._responses(opening, engine, request_iterator, context)):
            if cut is not None and sent == cut.after:
                self._break(cut, context)
            yield response
            if cut is not None and sent + 1 == cut.after and not cut.loses_one:
                if cut.draining:
                    notice = decisions_pb2.Notice(code=decisions_pb2.Notice.CODE_DRAINING, message="draining")
                    yield Response(notices=[notice], checkpoint=engine.checkpoint())
                self._break(cut, context)
        if cut is not None:
            self._break(cut, context)

    def _responses(
        self, opening: stream_pb2.Open, engine: HashEngine, requests: Iterator[Request], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        script = self.script
        after = (
            opening.last_answered_frame if opening.HasField("last_answered_frame") and not script.repeat_answers else -1
        )
        opened = stream_pb2.Opened(
            epoch=opening.epoch or 77,
            policy_version=POLICY,
            first_frame=engine.last + 1,
            max_frames_per_message=script.most_frames,
            max_detections_per_frame=script.most_detections,
        )
        yield Response(opened=opened, checkpoint=engine.checkpoint())
        since = engine.taken
        for request in requests:
            script.messages.append(len(request.frames.frame_indices))
            while script.silent and context.is_active():
                time.sleep(0.005)
            response = engine.advance_all(request.frames, after)
            if engine.taken - since >= (script.checkpoint_interval or opening.checkpoint_interval):
                response.checkpoint.CopyFrom(engine.checkpoint())
                since = engine.taken
            yield response
        yield engine.finish()

    def _break(self, cut: Cut, context: grpc.ServicerContext) -> NoReturn:
        while cut.hangs and context.is_active():
            time.sleep(0.005)
        context.set_trailing_metadata(cut.trailers)
        context.abort(cut.code, f"cut after {cut.after}")
        raise AssertionError("abort raises")

    def DecideBatch(self, request: BatchRequest, context: grpc.ServicerContext) -> BatchResponse:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # noqa: N802  # as above
        self.script.batches += 1
        if self.script.cuts:
            self._break(self.script.cuts.pop(0), context)
        engine = HashEngine.restore(request.open.checkpoint)
        answer = engine.advance_all(request.frames, -1)
        if request.end_of_stream:
            answer.MergeFrom(engine.finish())
        else:
            answer.checkpoint.CopyFrom(engine.checkpoint())
        answer.opened.epoch = request.open.epoch or 77
        # Fields 1 to 5 of both responses are the same.
        return BatchResponse.FromString(answer.SerializeToString())


class ScriptedServer:
    """The service on a port of the loopback. It runs on threads: grpc.aio serves one event loop a process, and that is the client's."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        self._server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(ScriptedService(script), self._server)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # as above
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()


def script(cuts: Iterable[Cut] = (), **changes: Any) -> Script:
    """A script with defaults."""
    return replace(Script(cuts=list(cuts)), **changes)


def room_in(seconds: float) -> tuple[tuple[str, bytes], ...]:
    """What a server says with RESOURCE_EXHAUSTED whose limit passes."""
    information, packed = error_details_pb2.RetryInfo(), any_pb2.Any()
    information.retry_delay.FromNanoseconds(round(seconds * 1e9))
    packed.Pack(information)
    details = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], details=[packed])
    return (("grpc-status-details-bin", details.SerializeToString()),)
