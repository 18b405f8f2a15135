"""A whole server inside a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from importlib.metadata import version
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry

from tertium_server.app.address_file import AddressFile
from tertium_server.app.making import make_data_dir, make_keeper, make_metrics, make_recorder, make_terms
from tertium_server.app.oversight import Oversight
from tertium_server.config import Settings
from tertium_server.errors import StartError
from tertium_server.logs import get_logger
from tertium_server.policy import PolicyError
from tertium_server.rpc.server import RpcServer
from tertium_server.rpc.track_states import TrackStates
from tertium_server.rpc.warm_up import warm_up
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tertium_server.web.server import WebServer

_FAILED_START_SECONDS = 1.0
"""More than enough to stop what nobody has called."""


class Service:
    """A whole server inside a running event loop: ``async with Service(settings) as service``. Tests and the demo use it as ``run`` does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeper = make_keeper(settings)
        self.registry = CollectorRegistry()
        metrics = make_metrics(self.registry, settings, self._keeper.in_force.policy)
        self.registry.register(TrackStates(metrics.streams.active, settings.groups))
        self._recorder = make_recorder(settings, metrics)
        make_data_dir(settings)
        self._addresses = AddressFile(settings.data_dir)
        oversight = Oversight.make(settings, self._keeper) if settings.review else None
        self.oversight = oversight
        """Review and quality; None: this server does without."""
        link, keeping = (None, None) if oversight is None else (oversight.link, oversight.keeping)
        terms = make_terms(settings, self._keeper, self._recorder, link, keeping)
        review, quality = (None, None) if oversight is None else oversight.services()
        self._rpc = RpcServer(settings, terms, self._keeper, metrics, review, quality)
        if oversight is not None:
            oversight.register(self.registry, self._keeper, settings)
        routes = [] if oversight is None else oversight.routes(self.registry, settings)
        pages = make_pages(self.registry, self.readiness, routes)
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
        review = None if self.oversight is None else self.oversight.review.clerk.state.to_json()
        return Readiness(self._kernels, self._draining, len(self._rpc.calls), review)

    async def start(self) -> None:
        """Listens, compiles the kernels, serves, and writes server.json.

        Raises:
            StartError: An address can't be listened on.
        """
        try:
            if self.oversight is not None:
                self.oversight.start()
            self.metrics = self._web.start()
            self.listen = str(await self._rpc.start())
        except StartError:
            self._stop_oversight()
            self._web.stop()
            await self._rpc.stop(_FAILED_START_SECONDS)
            await self._stop_recording()
            raise
        self._log.info("listening", listen=self.listen, metrics=f"http://{self.metrics}/metrics")
        started = time.monotonic()
        await asyncio.to_thread(warm_up)
        self._kernels = True
        await self._rpc.serve()
        self._watch_policies()
        self._addresses.write(self.listen, self.metrics)
        self._log.info(
            "serving",
            listen=self.listen,
            metrics=f"http://{self.metrics}/metrics",
            policy=self._keeper.in_force.policy.version,
            version=version("tertium"),
            grpcio=version("grpcio"),
            kernels_seconds=round(time.monotonic() - started, 3),
            review=None if self.oversight is None else f"http://{self.metrics}/review",
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
        self._addresses.remove()
        await self._end_watches()
        drained = await self._rpc.stop(self._settings.drain_seconds)
        await asyncio.to_thread(self._web.stop)
        await asyncio.to_thread(self._stop_oversight)
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

    def _stop_oversight(self) -> None:
        if self.oversight is not None:
            self.oversight.stop()

    async def _stop_recording(self) -> None:
        recorder = self._recorder
        if recorder is not None:
            whole = await asyncio.to_thread(recorder.close)
            self._log.info("recording ended", whole=whole, lost_frames=recorder.lost_frames)
