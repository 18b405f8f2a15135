"""The server as a process: everything wired together, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
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
from starlette.routing import Route

from tertium.recording import Limits, Recorder
from tertium_server.config import Settings, load_settings
from tertium_server.errors import ConfigurationError, StartError
from tertium_server.logs import configure_logs, get_logger
from tertium_server.metrics import Metrics
from tertium_server.policy import Policy, PolicyError
from tertium_server.policy.keeper import FileSource, PolicyKeeper, PolicySource, StoreSource
from tertium_server.policy.store import FolderStore, LateStore
from tertium_server.quality.department import QualityDepartment
from tertium_server.quality.drift import DriftMetrics
from tertium_server.quality.ledger import Ledger
from tertium_server.review.access import Gate
from tertium_server.review.bridges.label_studio import LabelStudioSettings
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.webhook import WebhookSettings

# rpc first of all that imports grpc: it decides how grpc polls (see rpc/__init__.py).
from tertium_server.rpc.call_metrics import CODES
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.checkpoint_key import make_or_read_key, read_key
from tertium_server.rpc.keeping import DecisionKeeping
from tertium_server.rpc.opening import EpochClock, FrameLimits
from tertium_server.rpc.policy_changes import labels_of
from tertium_server.rpc.quality_service import QualityService
from tertium_server.rpc.review_service import ReviewService
from tertium_server.rpc.reviewing import ReviewLimits, ReviewLink
from tertium_server.rpc.server import RpcServer
from tertium_server.rpc.terms import StreamTerms
from tertium_server.rpc.track_states import TrackStates
from tertium_server.rpc.warm_up import warm_up
from tertium_server.scheduling import schedule_threads
from tertium_server.storage import open_store, sqlite_url
from tertium_server.storage.opening import FILE
from tertium_server.web.door import Door
from tertium_server.web.live_figures import LiveFigures
from tertium_server.web.live_page import LivePages
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tertium_server.web.review_page import ReviewPages
from tertium_server.web.server import WebServer

EXIT_OK = 0
EXIT_BAD_START = 2
_REVISION_VARIABLE = "TERTIUM_BUILD_REVISION"
_ADDRESS_FILE = "server.json"
_REVIEW_STOP_SECONDS = 5.0
_DRIFT_ROUNDS = 4
"""Scores are compared once in so many refreshes of the estimates."""


class Service:
    """A whole server inside a running event loop: ``async with Service(settings) as service``. Tests and the demo use it as ``run`` does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeper = _make_keeper(settings)
        self.registry = CollectorRegistry()
        self._metrics = _make_metrics(self.registry, settings, self._keeper.in_force.policy)
        self.registry.register(TrackStates(self._metrics.streams.active, settings.groups))
        self._recorder = _make_recorder(settings, self._metrics)
        _make_data_dir(settings)
        self._review = _make_review(settings, self._keeper.in_force.policy) if settings.review else None
        self._link = None if self._review is None else _make_link(settings, self._review)
        self._quality = None if self._review is None else _make_quality(settings, self._keeper, self._review)
        self._gate = None if self._review is None else _make_gate(settings)
        self._keeping = None if self._quality is None else _make_keeping(settings)
        terms = _make_terms(settings, self._keeper, self._recorder, self._link, self._keeping)
        service = None if self._review is None or self._gate is None else ReviewService(self._review, self._gate)
        self._rpc = RpcServer(settings, terms, self._keeper, self._metrics, service, self._quality_service())
        pages = make_pages(self.registry, self.readiness, self._review_routes())
        self._web = WebServer(pages, settings.metrics_host, settings.metrics_port)
        self._watches: list[asyncio.Task[None]] = []
        self._stop_watching = asyncio.Event()
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
        review = None if self._review is None else self._review.clerk.state.to_json()
        return Readiness(self._kernels, self._draining, len(self._rpc.calls), review)

    async def start(self) -> None:
        """Listens, compiles the kernels, serves, and writes server.json.

        Raises:
            StartError: An address can't be listened on.
        """
        try:
            self._start_review()
            self.metrics = self._web.start()
            self.listen = str(await self._rpc.start())
        except StartError:
            self._stop_review()
            self._web.stop()
            await self._rpc.stop(0.0)
            await self._stop_recording()
            raise
        self._log.info("listening", listen=self.listen, metrics=f"http://{self.metrics}/metrics")
        started = time.monotonic()
        await asyncio.to_thread(warm_up)
        self._kernels = True
        await self._rpc.serve()
        self._watch_policies()
        _write_atomically(self._address_file, {"pid": os.getpid(), "listen": self.listen, "metrics": self.metrics})
        self._log.info(
            "serving",
            listen=self.listen,
            metrics=f"http://{self.metrics}/metrics",
            policy=self._keeper.in_force.policy.version,
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
        await self._end_watches()
        drained = await self._rpc.stop(self._settings.drain_seconds)
        await asyncio.to_thread(self._web.stop)
        await asyncio.to_thread(self._stop_review)
        await self._stop_recording()
        self._log.info("stopped", every_stream_drained=drained)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def look_for_policies(self) -> None:
        """Has policies read again, whatever their source. A policy that can't be used is logged, and the old one stays."""
        with contextlib.suppress(PolicyError):  # logged and counted where it was found
            await self._rpc.policy_changes.look()

    def _watch_policies(self) -> None:
        changes = self._rpc.policy_changes
        seconds = self._settings.policy_poll_seconds
        if self._keeper.watched is not None:
            self._watches.append(asyncio.create_task(changes.watch(self._stop_watching, seconds)))
        if self._keeper.is_shared:
            self._watches.append(asyncio.create_task(changes.look_again_and_again(seconds)))

    async def _end_watches(self) -> None:
        self._stop_watching.set()
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _review_routes(self) -> list[Route]:
        if self._review is None or self._gate is None or self._link is None:
            return []
        link = self._link
        self._review.metrics.snapshot.lost_messages = lambda: link.lost
        self.registry.register(self._review.metrics)
        self._watch_drift(self._review)
        if self._quality is not None:
            self.registry.register(self._quality.metrics)
        if self._keeping is not None:
            self.registry.register(self._keeping)
        header = self._settings.trusted_proxy_header
        live = LivePages(
            LiveFigures(self.registry, self._review.store, self._settings.groups), Door(self._gate, header)
        )
        return [*live.routes(), *ReviewPages(self._review, self._gate, header).routes()]

    def _quality_service(self) -> QualityService | None:
        if self._quality is None or self._gate is None:
            return None
        return QualityService(self._quality, self._keeping, self._gate)

    def _watch_drift(self, review: ReviewDepartment) -> None:
        keeper = self._keeper
        classes = _classes(self._settings, keeper.in_force.policy)
        drift = DriftMetrics(review.store, lambda: keeper.in_force.policy, classes)
        self.registry.register(drift)
        review.clerk.add_chore(drift.update, every=_DRIFT_ROUNDS * self._settings.estimate_seconds)

    def _start_review(self) -> None:
        if self._review is not None and self._link is not None:
            self._review.start()
            self._link.start()
        if self._quality is not None:
            self._quality.start()
        if self._keeping is not None:
            self._keeping.start()

    def _stop_review(self) -> None:
        if self._quality is not None:
            self._quality.stop(_REVIEW_STOP_SECONDS)
        if self._keeping is not None:
            self._keeping.stop(_REVIEW_STOP_SECONDS)
        if self._review is not None and self._link is not None:
            self._link.stop(_REVIEW_STOP_SECONDS)
            self._review.stop(_REVIEW_STOP_SECONDS)

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
    schedule_threads(settings.scheduling)
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

    tasks: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: tasks.add(loop.create_task(service.look_for_policies())))
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


def _make_keeper(settings: Settings) -> PolicyKeeper:
    option, value, remedy = "--store", "the store", "mend it, or name another"
    source: PolicySource
    if settings.policy is not None:
        option, value, remedy = "--policy", str(settings.policy), "mend the file, or leave the option out"
        source = FileSource(settings.policy)
    elif settings.policy_dir is not None:
        option, value, remedy = "--policy-dir", str(settings.policy_dir), "mend the folder, or leave the option out"
        source = StoreSource(FolderStore(_existing(settings.policy_dir)))
    else:
        source = StoreSource(_policy_store(settings))
    try:
        return PolicyKeeper(source)
    except PolicyError as error:
        raise ConfigurationError(option, value, str(error), remedy) from error


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigurationError("--policy-dir", str(folder), "there is no such folder", "make it, or name another")
    return folder


def _policy_store(settings: Settings) -> LateStore:
    if settings.store is not None:
        url = settings.store.get_secret_value()
        return LateStore(lambda: open_store(url), lambda: True)
    url = sqlite_url(settings.data_dir)
    return LateStore(lambda: open_store(url), (settings.data_dir / FILE).exists)


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


def _make_review(settings: Settings, policy: Policy) -> ReviewDepartment:
    url = sqlite_url(settings.data_dir) if settings.store is None else settings.store.get_secret_value()
    return ReviewDepartment(
        ReviewSettings(
            store_url=url,
            spool_folder=settings.data_dir / "spool",
            evidence_url=settings.evidence or str((settings.data_dir / "evidence").absolute()),
            evidence_days=settings.evidence_days,
            classes=_classes(settings, policy),
            webhook=_webhook_settings(settings),
            label_studio=_label_studio_settings(settings),
            poll_seconds=settings.label_studio_poll_seconds,
        )
    )


def _make_quality(settings: Settings, keeper: PolicyKeeper, review: ReviewDepartment) -> QualityDepartment:
    classes = _classes(settings, keeper.in_force.policy)
    return QualityDepartment(review.store, classes, seconds=settings.estimate_seconds)


def _make_keeping(settings: Settings) -> DecisionKeeping | None:
    if not settings.ledger_bytes:
        return None
    folder = settings.data_dir / "ledger"
    try:
        return DecisionKeeping(Ledger(folder, settings.ledger_bytes, 3600.0 * settings.ledger_hours))
    except OSError as error:
        raise StartError(f"{folder}: can't be written: {error.strerror}") from error


def _make_gate(settings: Settings) -> Gate:
    return Gate.of_folder(settings.data_dir) if settings.tokens is None else Gate.of_file(settings.tokens)


def _webhook_settings(settings: Settings) -> WebhookSettings | None:
    if settings.webhook is None or settings.webhook_secret is None:
        return None
    return WebhookSettings(settings.webhook, settings.webhook_secret.get_secret_value().encode())


def _label_studio_settings(settings: Settings) -> LabelStudioSettings | None:
    if settings.label_studio is None or settings.label_studio_token is None:
        return None
    token = settings.label_studio_token.get_secret_value()
    return LabelStudioSettings(settings.label_studio, token, settings.label_studio_project)


def _make_link(settings: Settings, review: ReviewDepartment) -> ReviewLink:
    limits = ReviewLimits(pictures=settings.evidence_pictures)
    return ReviewLink(review.office, review.clerk, review.gallery, limits)


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"--data-dir {settings.data_dir}: can't be made: {error.strerror}; name another folder"
        ) from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise StartError(f"--data-dir {settings.data_dir}: can't be written; name another folder")


_TYPICAL_TRACKS = 20  # what a detection is compared with, in settings that count work in detections


def _make_terms(
    settings: Settings,
    keeper: PolicyKeeper,
    recorder: Recorder | None,
    link: ReviewLink | None,
    keeping: DecisionKeeping | None,
) -> StreamTerms:
    return StreamTerms(
        policies=keeper,
        shadow_share=settings.shadow_share,
        sealer=CheckpointSealer(_read_key(settings)),
        limits=FrameLimits(
            settings.max_detections_per_frame, settings.max_tracks_per_stream, settings.max_frames_per_message
        ),
        checkpoint_interval=settings.checkpoint_interval,
        epochs=EpochClock(),
        recorder=recorder,
        review=link,
        most_work=settings.heavy_detections * _TYPICAL_TRACKS,
        keeping=keeping,
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
        policy=labels_of(policy),
        groups=settings.groups,
        classes=_classes(settings, policy),
        codes=CODES,
    )


def _classes(settings: Settings, policy: Policy) -> tuple[str, ...]:
    """Classes that metrics tell apart."""
    return (*policy.class_names(), *settings.classes)


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
