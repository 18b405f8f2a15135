"""grpc.health.v1 and reflection, as probes and tools see them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tertium.v1 import decision_service_pb2
from tertium_server.app import Service
from tests.rpc.builders import open_message
from tests.rpc.live import Live, ending_of, health_stub, reflection_call, serving, settings, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
NAMES = ["", "tertium.v1.DecisionService"]


async def check(channel: grpc.aio.Channel, name: str) -> int:
    response = await health_stub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    status: int = response.status
    return status


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_takes_streams_serves(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as live:
        assert await check(live.channel, name) == SERVING


async def test_a_service_nobody_knows_is_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        ending = await ending_of(check(live.channel, "nobody.v1.Nothing"))
        assert ending.code is grpc.StatusCode.NOT_FOUND


async def test_before_the_kernels_are_compiled_nothing_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        "tertium_server.app.service.warm_up", lambda: asyncio.run_coroutine_threadsafe(compiled.wait(), loop).result()
    )
    service = Service(settings(tmp_path))
    starting = asyncio.create_task(service.start())
    await until(lambda: service.listen)
    async with grpc.aio.insecure_channel(service.listen) as channel:
        assert [await check(channel, name) for name in NAMES] == [NOT_SERVING, NOT_SERVING]
        assert not service.readiness().ready
        batch = decision_service_pb2.DecideBatchRequest(open=open_message())
        live = Live(service, channel)
        ending = await ending_of(live.stub.DecideBatch(batch))
        assert (ending.code, ending.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 1)
        compiled.set()
        await starting
        assert [await check(channel, name) for name in NAMES] == [SERVING, SERVING]
        assert (await live.stub.DecideBatch(batch)).checkpoint.state
        await service.stop()


async def test_watchers_are_told_when_the_server_drains(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        watches = [
            health_stub(live.channel).Watch(health_pb2.HealthCheckRequest(service=name)) for name in [*NAMES, "x"]
        ]
        assert [(await watch.read()).status for watch in watches] == [SERVING, SERVING, SERVICE_UNKNOWN]
        stopping = asyncio.create_task(live.service.stop())
        assert [(await watch.read()).status for watch in watches[:2]] == [NOT_SERVING, NOT_SERVING]
        await stopping


async def test_watchers_do_not_hold_up_the_end(tmp_path: Path) -> None:
    """A Watch call never ends by itself: the server has to end it, long before its drain_seconds are over."""
    async with serving(tmp_path, drain_seconds=3600) as live:
        watch = health_stub(live.channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await asyncio.wait_for(live.service.stop(), 60)


async def services(channel: grpc.aio.Channel) -> list[str]:
    call = reflection_call(channel)
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    response = await call.read()
    await call.done_writing()
    return [service.name for service in response.list_services_response.service]


async def test_reflection_tells_what_there_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        assert set(await services(live.channel)) == {
            "tertium.v1.DecisionService",
            "tertium.v1.PolicyService",
            "tertium.v1.QualityService",
            "tertium.v1.ReviewService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, reflection=False) as live:
        ending = await ending_of(services(live.channel))
        assert ending.code is grpc.StatusCode.UNIMPLEMENTED
