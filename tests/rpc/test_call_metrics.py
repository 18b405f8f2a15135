"""The standard gRPC metrics, against calls made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tertium.v1 import decision_service_pb2, policy_service_pb2, quality_service_pb2, review_service_pb2
from tests.rpc.builders import open_message, person, recording, request
from tests.rpc.live import Call, Live, ending_of, health_stub, reflection_call, serving, until

DECIDE = {"grpc_type": "bidi_stream", "grpc_service": "tertium.v1.DecisionService", "grpc_method": "Decide"}
BATCH = {"grpc_type": "unary", "grpc_service": "tertium.v1.DecisionService", "grpc_method": "DecideBatch"}
CHECK = {"grpc_type": "unary", "grpc_service": "grpc.health.v1.Health", "grpc_method": "Check"}
WATCH = {"grpc_type": "server_stream", "grpc_service": "grpc.health.v1.Health", "grpc_method": "Watch"}
REFLECTION = {
    "grpc_type": "bidi_stream",
    "grpc_service": "grpc.reflection.v1alpha.ServerReflection",
    "grpc_method": "ServerReflectionInfo",
}
LIST = {"grpc_type": "unary", "grpc_service": "grpc.health.v1.Health", "grpc_method": "List"}
METHODS = [DECIDE, BATCH, CHECK, LIST, WATCH, REFLECTION]
# As google.golang.org/grpc/codes prints them.
GO_CODES = (
    *(
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
    ),
    *("ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable"),
    *("DataLoss", "Unauthenticated"),
)


def counts(live: Live, method: dict[str, str]) -> tuple[float, float, float]:
    """Started, received and sent."""
    names = ("grpc_server_started_total", "grpc_server_msg_received_total", "grpc_server_msg_sent_total")
    started, received, sent = (live.sample(name, **method) for name in names)
    return started, received, sent


def handled(live: Live, method: dict[str, str]) -> dict[str, float]:
    """Calls that ended, by code; codes without any left out."""
    by_code = {code: live.sample("grpc_server_handled_total", **method, grpc_code=code) for code in GO_CODES}
    return {code: count for code, count in by_code.items() if count}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["grpc_method"])
async def test_every_label_is_there_from_the_start(tmp_path: Path, method: dict[str, str]) -> None:
    async with serving(tmp_path) as live:
        assert counts(live, method) == (0, 0, 0)
        assert handled(live, method) == {}
        assert live.sample("grpc_server_handling_seconds_count", **method) == 0


async def test_a_stream_counts_its_messages_each_way(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        await call.play(recording()[:10])
        await call.close()
        await until(lambda: handled(live, DECIDE) == {"OK": 1})
        assert counts(live, DECIDE) == (1, 11, 12)
        assert live.sample("grpc_server_handling_seconds_count", **DECIDE) == 1


async def test_calls_count_by_how_they_end(tmp_path: Path) -> None:
    async with serving(tmp_path, max_streams=2) as live:
        refused = Call(live.channel)
        await refused.send(b"\xff")
        await refused.end()
        older = await live.open()
        newer = await live.open()
        await older.end()
        newer.cancel()
        await until(lambda: handled(live, DECIDE) == {"InvalidArgument": 1, "Aborted": 1, "Canceled": 1})
        kept = [await live.open(stream_id=name) for name in "ab"]
        await Call(live.channel).end()
        await until(lambda: handled(live, DECIDE).get("ResourceExhausted") == 1)
        assert live.sample("grpc_server_started_total", **DECIDE) == 6
        assert len(kept) == 2


async def test_unary_calls_count_one_message_each_way(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        await live.stub.DecideBatch(decision_service_pb2.DecideBatchRequest(open=open_message(), frames=person(1)))
        await ending_of(live.stub.DecideBatch(decision_service_pb2.DecideBatchRequest()))
        # A call that is aborted is counted when its status is on its way: its caller may know of it first.
        await until(lambda: handled(live, BATCH) == {"OK": 1, "InvalidArgument": 1})
        assert counts(live, BATCH) == (2, 2, 1)


async def test_health_calls_count(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        stub = health_stub(live.channel)
        await stub.Check(health_pb2.HealthCheckRequest())
        await ending_of(stub.Check(health_pb2.HealthCheckRequest(service="x")))
        await until(lambda: handled(live, CHECK) == {"OK": 1, "NotFound": 1})
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await until(lambda: counts(live, WATCH) == (1, 1, 1))
        watch.cancel()
        await until(lambda: handled(live, WATCH) == {"Canceled": 1})


async def test_reflection_calls_count(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = reflection_call(live.channel)
        for _ in range(3):
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            assert (await call.read()).HasField("list_services_response")
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        await until(lambda: handled(live, REFLECTION) == {"OK": 1})
        assert counts(live, REFLECTION) == (1, 3, 3)


async def test_methods_that_do_not_exist_make_no_labels(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        before = len(list(live.service.registry.collect()))
        for name in ("A", "B"):
            method: Any = live.channel.unary_unary(f"/tertium.v1.DecisionService/{name}")
            ending = await ending_of(method(b""))
            assert ending.code is grpc.StatusCode.UNIMPLEMENTED
        methods = {
            sample.labels["grpc_method"]
            for family in live.service.registry.collect()
            for sample in family.samples
            if "grpc_method" in sample.labels
        }
        assert methods == {method["grpc_method"] for method in METHODS} | {
            method.name
            for service in (
                policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
                review_service_pb2.DESCRIPTOR.services_by_name["ReviewService"],
                quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"],
            )
            for method in service.methods
        }
        assert len(list(live.service.registry.collect())) == before


async def test_messages_under_way_are_counted_by_the_stream_itself(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        for message in recording()[:5]:
            await call.send(request(message))
        await until(lambda: counts(live, DECIDE) == (1, 6, 6))
        call.cancel()
        await asyncio.sleep(0)
