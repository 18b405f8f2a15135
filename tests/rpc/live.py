"""The real server, in this process or in one of its own, and raw calls to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # nobody's stubs
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from tertium.v1 import decision_service_pb2_grpc
from tertium_server.app import Service
from tertium_server.config import Settings
from tertium_server.policy import default_policy
from tests.rpc.builders import Frames, Request, Response, opening

STARTS_WITHIN = 300.0
"""Seconds: kernels may have to be compiled on a busy machine."""


def settings(data_dir: Path, **changes: Any) -> Settings:
    """Settings of a server on ports of its own."""
    fields: dict[str, Any] = {"listen": "127.0.0.1:0", "metrics_port": 0, "data_dir": data_dir, "drain_seconds": 20}
    # Requests for pictures come when cases are stored, now sooner, now later; responses are compared byte by byte.
    fields["evidence_pictures"] = 0
    return Settings(**(fields | changes))


class Live:
    """A server in this process, and a channel to it."""

    def __init__(self, service: Service, channel: grpc.aio.Channel) -> None:
        self.service = service
        self.channel = channel
        self.stub = decision_service_pb2_grpc.DecisionServiceStub(channel)

    async def open(self, **changes: Any) -> Call:
        """A call whose stream is open."""
        return await open_call(self.channel, **changes)

    def sample(self, name: str, **labels: str) -> float:
        """A value of a metric, straight from the registry."""
        value = self.service.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no {name}{labels}"
        return value


@asynccontextmanager
async def serving(data_dir: Path, **changes: Any) -> AsyncGenerator[Live, None]:
    """A server that runs while the block does."""
    async with Service(settings(data_dir, **changes)) as service, grpc.aio.insecure_channel(service.listen) as channel:
        yield Live(service, channel)


def raw_decide(channel: grpc.aio.Channel) -> Any:
    """grpc's own call object of a Decide call on raw bytes."""
    method: Any = channel.stream_stream("/tertium.v1.DecisionService/Decide")
    return method()


def health_stub(channel: grpc.aio.Channel) -> Any:
    """A stub whose methods the stubs of types leave out."""
    return health_pb2_grpc.HealthStub(channel)


def reflection_call(channel: grpc.aio.Channel) -> Any:
    """An open call to reflection."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    return stub(channel).ServerReflectionInfo()


class Call:
    """A Decide call on raw bytes."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call = raw_decide(channel)
        self.opened = Response()

    async def send(self, data: bytes) -> None:
        """Writes a message."""
        await self._call.write(data)

    async def receive(self) -> Response:
        """The next response; raises what the call ended with."""
        data = await self._call.read()
        assert data is not grpc.aio.EOF, "the call is over"
        return Response.FromString(data)

    async def ask(self, frames: Frames) -> Response:
        """The response to frames."""
        await self.send(Request(frames=frames).SerializeToString())
        return await self.receive()

    async def play(self, messages: Iterable[Frames]) -> list[Response]:
        """The responses to messages, one after another."""
        return [await self.ask(message) for message in messages]

    async def close(self) -> Response:
        """Closes the stream; its last response."""
        await self._call.done_writing()
        last = await self.receive()
        assert await self._call.read() is grpc.aio.EOF
        assert await self._call.code() is grpc.StatusCode.OK
        return last

    def cancel(self) -> None:
        """Breaks the call off."""
        self._call.cancel()

    async def end(self) -> Ending:
        """How the call ended, once it has."""
        code = await self._call.code()
        return Ending(code, await self._call.details(), await self._call.trailing_metadata())


async def open_call(channel: grpc.aio.Channel, **changes: Any) -> Call:
    """A Decide call whose stream is open."""
    call = Call(channel)
    await call.send(opening(**changes).SerializeToString())
    call.opened = await call.receive()
    # Or whatever is compared with a run in this process compares policies, not servers.
    assert call.opened.opened.policy_version == default_policy().version
    return call


class Ending:
    """A status with its details."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Iterable[tuple[str, Any]]) -> None:
        self.code = code
        self.message = message
        self._status = status_pb2.Status.FromString(dict(trailers).get("grpc-status-details-bin", b""))

    @property
    def fields(self) -> list[str]:
        """The fields at fault."""
        bad = self._detail(error_details_pb2.BadRequest)
        return [] if bad is None else [violation.field for violation in bad.field_violations]

    @property
    def retry_seconds(self) -> float | None:
        """When another try may succeed."""
        retry = self._detail(error_details_pb2.RetryInfo)
        return None if retry is None else retry.retry_delay.ToMilliseconds() / 1000

    def _detail(self, kind: Any) -> Any:
        for packed in self._status.details:
            found = kind()
            if packed.Unpack(found):
                return found
        return None


async def ending_of(awaitable: Any) -> Ending:
    """How a unary call failed."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return Ending(error.code(), error.details() or "", error.trailing_metadata())
    raise AssertionError("the call succeeded")


async def until(condition: Any, seconds: float = 120.0) -> None:
    """Waits for a condition; gives up so late that a busy machine makes no difference."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


class ServerProcess:
    """The server in a process of its own."""

    def __init__(self, data_dir: Path, arguments: Sequence[str] = (), **environment: str) -> None:
        self.data_dir = data_dir
        variables = {
            "TERTIUM_LISTEN": "127.0.0.1:0",
            "TERTIUM_METRICS_PORT": "0",
            "TERTIUM_DATA_DIR": str(data_dir),
            "TERTIUM_LOG_FORMAT": "json",
            "TERTIUM_EVIDENCE_PICTURES": "0",  # what a stream is asked for depends on when; its answers do not
        }
        data_dir.mkdir(parents=True, exist_ok=True)
        self._log = data_dir / "server.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tertium_server.app", *arguments],
                env={**os.environ, **variables, **environment},
                stdout=log,
                stderr=log,
            )
        self.listen = ""
        self.metrics = ""

    def wait_until_ready(self) -> Self:
        """Returns when the server takes streams."""
        deadline = time.monotonic() + STARTS_WITHIN
        while self.process.poll() is None and time.monotonic() < deadline:
            found = self._addresses()
            if found.get("pid") == self.process.pid:
                self.listen, self.metrics = found["listen"], found["metrics"]
                return self
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log}")

    def _addresses(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "server.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    @property
    def log(self) -> str:
        """All it has said."""
        return self._log.read_text()

    def sample(self, name: str, **labels: str) -> float:
        """A value of a metric, scraped."""
        text = httpx.get(f"http://{self.metrics}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"there is no {name}{labels}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(STARTS_WITHIN)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            return self.wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.kill()
