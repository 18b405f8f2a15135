"""The gRPC server: the decision service, health and reflection on one port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from tertium.v1 import (
    decision_service_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    quality_service_pb2,
    quality_service_pb2_grpc,
    review_service_pb2,
    review_service_pb2_grpc,
)
from tertium_server.config import Settings, split_address
from tertium_server.errors import StartError
from tertium_server.logs import get_logger
from tertium_server.metrics import MethodCounts, Metrics
from tertium_server.policy.keeper import PolicyKeeper
from tertium_server.review.access import Gate
from tertium_server.rpc.call_metrics import CallCounter
from tertium_server.rpc.calls import Calls
from tertium_server.rpc.decision_service import DecisionService, ServiceLimits
from tertium_server.rpc.heavy import HeavyWork
from tertium_server.rpc.ingest_gate import IngestGate
from tertium_server.rpc.listening import refusal
from tertium_server.rpc.policy_changes import PolicyChanges
from tertium_server.rpc.policy_service import PolicyService
from tertium_server.rpc.quality_service import QualityService
from tertium_server.rpc.review_service import ReviewService
from tertium_server.rpc.terms import StreamTerms
from tertium_server.rpc.tls import Certificates

_DECISIONS = decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"]
_POLICIES = policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"]
_REVIEWS = review_service_pb2.DESCRIPTOR.services_by_name["ReviewService"]
_QUALITY = quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"]
# Any: grpc leaves the types of its own services open.
_HEALTH: Any = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTION: Any = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]

_Add = Callable[[Any, aio.Server], None]
"""What adds a servicer to a server."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# A watcher that does not read holds the health servicer's lock: telling the others must not wait for it for ever.
_TELL_SECONDS = 2.0
# Statuses of calls that have ended are still on their way when the last call is gone.
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server is reached."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RpcServer:
    """Listens from ``start`` on, serves from ``serve`` on, drains and ends with ``stop``."""

    def __init__(
        self,
        settings: Settings,
        terms: StreamTerms,
        keeper: PolicyKeeper,
        metrics: Metrics,
        review: ReviewService | None = None,
        quality: QualityService | None = None,
    ) -> None:
        self._settings = settings
        self.calls = Calls(settings.max_streams)
        self.policy_changes = PolicyChanges(keeper, self.calls, metrics.policy)
        self._heavy = HeavyWork(settings.heavy_workers)
        counter = CallCounter(metrics.calls)
        decide = counter.add(_DECISIONS, counting_themselves=["Decide"])["Decide"]
        gate = None if settings.tokens is None else Gate.of_file(settings.tokens)
        # Outermost: what the counter has wrapped once it hands out without asking anybody again.
        doors = () if gate is None else (IngestGate(gate, _DECISIONS.full_name),)
        self._server = aio.server(interceptors=(*doors, counter), options=grpc_options(settings))
        self._server.add_generic_rpc_handlers((self._decisions(terms, metrics, decide).handler(),))
        policies = PolicyService(keeper, self.policy_changes, gate)
        self._health = health.aio.HealthServicer()
        others: list[tuple[_Add, object, ServiceDescriptor]] = [
            (policy_service_pb2_grpc.add_PolicyServiceServicer_to_server, policies, _POLICIES)
        ]
        if review is not None:
            others.append((review_service_pb2_grpc.add_ReviewServiceServicer_to_server, review, _REVIEWS))
        if quality is not None:
            others.append((quality_service_pb2_grpc.add_QualityServiceServicer_to_server, quality, _QUALITY))
        self._services = [_DECISIONS.full_name, *(service.full_name for *_, service in others)]
        others.append((health_pb2_grpc.add_HealthServicer_to_server, self._health, _HEALTH))
        for add, servicer, service in others:
            add(servicer, self._server)
            counter.add(service)
        if settings.reflection:
            counter.add(_REFLECTION)
            names = (*self._services, _HEALTH.full_name, _REFLECTION.full_name)
            reflection.enable_server_reflection(names, self._server)
        self._log = get_logger("rpc")

    def _decisions(self, terms: StreamTerms, metrics: Metrics, counts: MethodCounts) -> DecisionService:
        return DecisionService(
            terms,
            ServiceLimits(self._settings.open_seconds, self._settings.max_streams),
            calls=self.calls,
            heavy=self._heavy,
            streams=metrics.streams,
            latency=metrics.fusion_latency,
            counts=counts,
        )

    async def start(self) -> Listening:
        """Listens, and answers health checks with NOT_SERVING.

        Raises:
            StartError: The address can't be listened on.
        """
        for name in ("", *self._services):
            await self._health.set(name, _NOT_SERVING)
        listen = self._settings.listen
        host, _ = split_address(listen)
        remedy = "is another server running? Name another port, or 0 for any"
        said = refusal(listen, shared=self._settings.reuse_port)
        if said:
            raise StartError(f"--listen {listen}: can't listen there: {said}; {remedy}")
        try:
            port = self._add_port()
        except RuntimeError as error:  # somebody was quicker
            raise StartError(f"--listen {listen}: can't listen there; {remedy}") from error
        await self._server.start()
        return Listening(host, port)

    def _add_port(self) -> int:
        settings = self._settings
        if settings.tls_certificate is None or settings.tls_key is None:
            return self._server.add_insecure_port(settings.listen)
        certificates = Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        return self._server.add_secure_port(settings.listen, certificates.credentials())

    async def serve(self) -> None:
        """Takes calls from now on, and says so."""
        self.calls.refusal = None
        for name in ("", *self._services):
            await self._health.set(name, _SERVING)

    async def stop(self, seconds: float) -> bool:
        """Drains: NOT_SERVING, no new calls, final checkpoints, the end, all within ``seconds``. Returns whether every stream got its checkpoint."""
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            await asyncio.wait_for(self._health.enter_graceful_shutdown(), min(_TELL_SECONDS, seconds))
        except TimeoutError:
            self._log.warning("a health watcher does not read; it was not told that the server stops")
        try:
            async with asyncio.timeout_at(deadline):
                await self.calls.drain()
            drained = True
        except TimeoutError:
            self._log.warning("not every stream could be sent away in time", streams=len(self.calls))
            drained = False
        # Watch calls never end by themselves; stop() cancels what is left after its grace.
        left = deadline - asyncio.get_running_loop().time()
        await self._server.stop(max(0.0, min(_LAST_WORDS_SECONDS, left)))
        self._heavy.close()
        return drained


def grpc_options(settings: Settings) -> list[tuple[str, Any]]:
    """The channel arguments of a server with these settings: limits, keepalive, ports."""
    return [
        ("grpc.so_reuseport", int(settings.reuse_port)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.bdp_probe", 0),  # its pings cost more than the windows they find
        ("grpc.keepalive_time_ms", round(settings.keepalive_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.keepalive_timeout_seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", round(settings.min_ping_seconds * 1000)),
    ]
