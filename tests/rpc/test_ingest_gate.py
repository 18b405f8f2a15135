"""With a file of tokens only those with the role ingest may send frames; without one, whoever reaches the server may."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from tertium.v1 import decision_service_pb2
from tertium_client import Client, TertiumError
from tertium_server.review.access import Role, entry_for
from tests.rpc.builders import opening, person
from tests.rpc.live import Live, health_stub, serving

SERVICE = "/tertium.v1.DecisionService"


def tokens(folder: Path) -> Path:
    file = folder / "tokens.toml"
    names = {"camera": [Role.INGEST], "anna": [Role.REVIEW], "chief": [Role.ADMIN], "robot": [Role.INGEST, Role.REVIEW]}
    file.write_text("".join(entry_for(f"{name} token", name, roles) for name, roles in names.items()))
    return file


async def decide(live: Live, token: str) -> grpc.StatusCode:
    """How a stream ends that is opened with a token and sends nothing."""
    # Not by grpc.aio: a client of its that is refused while it writes says INTERNAL, whatever the server has said.
    return await asyncio.to_thread(_decide, live.service.listen, token)


def _decide(address: str, token: str) -> grpc.StatusCode:
    with grpc.insecure_channel(address) as channel:
        method: Any = channel.stream_stream(f"{SERVICE}/Decide")
        call = method(
            iter([opening(stream_id="gate").SerializeToString()]),
            metadata=(("authorization", token),) if token else (),
        )
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass  # its code tells
        code: grpc.StatusCode = call.code()
        return code


async def decide_batch(live: Live, token: str) -> grpc.StatusCode:
    """How a unary call ends."""
    request = decision_service_pb2.DecideBatchRequest(open=opening(stream_id="yard").open, frames=person(0))
    method: Any = live.channel.unary_unary(
        f"{SERVICE}/DecideBatch", request_serializer=decision_service_pb2.DecideBatchRequest.SerializeToString
    )
    call = method(request, metadata=(("authorization", token),) if token else ())
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.parametrize("send", [decide, decide_batch])
async def test_frames_are_taken_from_those_who_may_send_them(tmp_path: Path, send: Any) -> None:
    expected = {
        "": grpc.StatusCode.UNAUTHENTICATED,
        "Bearer nobody's": grpc.StatusCode.UNAUTHENTICATED,
        "camera token": grpc.StatusCode.UNAUTHENTICATED,
        "Bearer anna token": grpc.StatusCode.PERMISSION_DENIED,
        "Bearer chief token": grpc.StatusCode.PERMISSION_DENIED,
        "Bearer camera token": grpc.StatusCode.OK,
        "bearer robot token": grpc.StatusCode.OK,
    }
    async with serving(tmp_path, tokens=tokens(tmp_path)) as live:
        assert {token: await send(live, token) for token in expected} == expected
        # Probes show no token.
        assert (await health_stub(live.channel).Check(_health())).status == 1


@pytest.mark.parametrize("send", [decide, decide_batch])
async def test_without_a_file_of_tokens_anybody_may(tmp_path: Path, send: Any) -> None:
    async with serving(tmp_path) as live:
        assert await send(live, "") is grpc.StatusCode.OK


async def test_the_client_shows_its_token_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415 - the client for threads, in a thread

    def use(address: str, token: str) -> str:
        with Client(address, metadata=(("authorization", f"Bearer {token}"),)) as client:
            try:
                with client.open("gate", class_names={0: "person"}, nominal_fps=25) as stream:
                    stream.close()
            except TertiumError as error:
                return str(error)
        return "taken"

    async with serving(tmp_path, tokens=tokens(tmp_path)) as live:
        address = live.service.listen
        assert await asyncio.to_thread(use, address, "camera token") == "taken"
        assert "ingest" in await asyncio.to_thread(use, address, "anna token")
        assert "token" in await asyncio.to_thread(use, address, "nobody's")


def _health() -> Any:
    from grpc_health.v1 import health_pb2  # noqa: PLC0415 - for this alone

    return health_pb2.HealthCheckRequest()
