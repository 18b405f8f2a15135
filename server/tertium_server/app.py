"""The server as a process: everything wired together, from start to drain."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import uvloop
from prometheus_client import CollectorRegistry

from tertium.recording import Limits, Recorder
from tertium_server.config import Settings, load_settings
from tertium_server.errors import ConfigurationError, StartError
from tertium_server.logs import configure_logs, get_logger
from tertium_server.metrics import Metrics, PolicyLabels
from tertium_server.policy import Policy, PolicyError, default_policy, load_policy

# rpc first of all that imports grpc: it decides how grpc polls (see rpc/__init__.py).
from tertium_server.rpc.call_metrics import CODES
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.checkpoint_key import make_or_read_key, read_key
from tertium_server.rpc.opening import EpochClock, FrameLimits
from tertium_server.rpc.server import RpcServer
from tertium_server.rpc.stream import StreamTerms
from tertium_server.rpc.warm_up import warm_up
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tertium_server.web.server import WebServer

EXIT_OK = 0
EXIT_BAD_START = 2
_REVISION_VARIABLE = "TERTIUM_BUILD_REVISION"
_ADDRESS_FILE = "server.json"


class Service:
    """A whole server inside a running event loop: ``async with Service(settings) as service``. Tests and the demo use it as ``run`` does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._policy = _load_policy(settings)
        self._policy_version = self._policy.version
        self.registry = CollectorRegistry()
        self._metrics = _make_metrics(self.registry, settings, self._policy)
        self._recorder = _make_recorder(settings, self._metrics)
        self._rpc = RpcServer(settings, _make_terms(settings, self._policy, self._recorder), self._metrics)
        self._web = WebServer(make_pages(self.registry, self.readiness), settings.metrics_host, settings.metrics_port)
        self._kernels = False
        self._draining = False
        self._stopped = False
        self._log = get_logger("server")
        self.listen = ""
        """HOST:PORT of gRPC, once started."""
        self.metrics = ""
        """HOST:PORT of the web pages, once started."""

    def readiness(self) -> Readiness:
        """Whether streams are taken. May be called from any thread."""
        return Readiness(self._kernels, self._draining, len(self._rpc.calls))

    async def start(self) -> None:
        """Listens, compiles the kernels, serves, and writes server.json.

        Raises:
            StartError: An address can't be listened on.
        """
        try:
            self.metrics = self._web.start()
            self.listen = str(await self._rpc.start())
        except StartError:
            self._web.stop()
            await self._rpc.stop(0.0)
            await self._stop_recording()
            raise
        self._log.info("listening", listen=self.listen, metrics=f"http://{self.metrics}/metrics")
        started = time.monotonic()
        await asyncio.to_thread(warm_up)
        self._kernels = True
        await self._rpc.serve()
        _write_atomically(self._address_file, {"pid": os.getpid(), "listen": self.listen, "metrics": self.metrics})
        self._log.info(
            "serving",
            listen=self.listen,
            metrics=f"http://{self.metrics}/metrics",
            policy=self._policy_version,
            version=version("tertium"),
            grpcio=version("grpcio"),
            kernels_seconds=round(time.monotonic() - started, 3),
        )

    def stop_taking_calls(self) -> None:
        """Not ready any more: nothing new is taken, what is open goes on."""
        self._draining = True
        self._rpc.calls.close()

    async def stop(self) -> None:
        """Drains and ends, within the settings' drain_seconds. A second time does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.stop_taking_calls()
        self._log.info("draining", streams=len(self._rpc.calls), seconds=self._settings.drain_seconds)
        _remove(self._address_file)
        drained = await self._rpc.stop(self._settings.drain_seconds)
        await asyncio.to_thread(self._web.stop)
        await self._stop_recording()
        self._log.info("stopped", every_stream_drained=drained)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _stop_recording(self) -> None:
        recorder = self._recorder
        if recorder is not None:
            whole = await asyncio.to_thread(recorder.close)
            self._log.info("recording ended", whole=whole, lost_frames=recorder.lost_frames)

    @property
    def _address_file(self) -> Path:
        return self._settings.data_dir / _ADDRESS_FILE


def main() -> int:
    """``python -m tertium_server.app``: the server by environment and file alone, as containers run it."""
    try:
        settings = load_settings()
    except StartError as error:
        return _complain(error)
    return run(settings)


def run(settings: Settings) -> int:
    """Runs the server until SIGTERM or SIGINT; returns the exit code. A second signal ends it at once."""
    configure_logs(settings.log_level, settings.log_format)
    try:
        return uvloop.run(_run(settings))
    except StartError as error:
        return _complain(error)


def _complain(error: StartError) -> int:
    print(f"tertium: {error}", file=sys.stderr)  # noqa: T201 - for the person who typed the command; no log line
    return EXIT_BAD_START


async def _run(settings: Settings) -> int:
    service = Service(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            get_logger("server").warning("second signal: stopping at once", signal=signal.Signals(number).name)
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    starting = asyncio.create_task(service.start())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
    # Kernels that compile can't be interrupted; whoever is in a hurry signals twice.
    await starting
    # What exists now stays for good: the garbage collector need not look at it ever again.
    gc.collect()
    gc.freeze()
    await stop
    await service.stop()
    return EXIT_OK


def _load_policy(settings: Settings) -> Policy:
    if settings.policy is None:
        return default_policy()
    try:
        return load_policy(settings.policy)
    except PolicyError as error:
        raise ConfigurationError(
            "--policy", str(settings.policy), str(error), "mend the file, or leave the option out"
        ) from error


def _make_recorder(settings: Settings, metrics: Metrics) -> Recorder | None:
    if settings.record is None:
        return None
    limits = Limits(part=settings.record_file_bytes, total=settings.record_total_bytes)
    try:
        recorder = Recorder(settings.record, limits)
    except OSError as error:
        raise StartError(
            f"--record {settings.record}: can't be written: {error.strerror}; name another folder"
        ) from error
    metrics.watch_recorder(lambda: recorder.lost_frames, lambda: recorder.pending)
    return recorder


def _make_terms(settings: Settings, policy: Policy, recorder: Recorder | None) -> StreamTerms:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"--data-dir {settings.data_dir}: can't be made: {error.strerror}; name another folder"
        ) from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise StartError(f"--data-dir {settings.data_dir}: can't be written; name another folder")
    return StreamTerms(
        policy=policy,
        policy_version=policy.version,
        sealer=CheckpointSealer(_read_key(settings)),
        limits=FrameLimits(
            settings.max_detections_per_frame, settings.max_tracks_per_stream, settings.max_frames_per_message
        ),
        checkpoint_interval=settings.checkpoint_interval,
        epochs=EpochClock(),
        recorder=recorder,
    )


def _read_key(settings: Settings) -> bytes:
    if settings.checkpoint_key is not None:
        return settings.checkpoint_key.get_secret_value().encode()
    if settings.checkpoint_key_file is not None:
        return read_key(settings.checkpoint_key_file)
    return make_or_read_key(settings.data_dir)


def _make_metrics(registry: CollectorRegistry, settings: Settings, policy: Policy) -> Metrics:
    return Metrics(
        registry,
        version=version("tertium"),
        revision=os.environ.get(_REVISION_VARIABLE, "unknown"),
        policy=PolicyLabels(policy.name, policy.version, policy.sha256, time.time()),
        groups=settings.groups,
        classes=(*policy.class_names(), *settings.classes),
        codes=CODES,
    )


def _write_atomically(path: Path, content: dict[str, object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    temporary.replace(path)


def _remove(path: Path) -> None:
    """Removes our server.json; that of a server which has been started on the same folder since stays."""
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        get_logger("server").debug("server.json was gone already", path=str(path))


if __name__ == "__main__":
    sys.exit(main())
