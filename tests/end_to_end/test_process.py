"""The server as a process: how it starts, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
from importlib import resources
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from tertium.v1 import decisions_pb2
from tests.rpc.builders import recording
from tests.rpc.live import ServerProcess, health_stub, open_call, until


def fails(server: ServerProcess) -> str:
    """The line a server ends with that can't start."""
    assert server.wait() == 2, server.log
    (line,) = [line for line in server.log.splitlines() if line.startswith("tertium: ")]
    assert "Traceback" not in server.log
    return line


def test_while_it_runs_server_json_tells_where_it_is(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        content = json.loads((tmp_path / "server.json").read_text())
        assert content == {"pid": server.process.pid, "listen": server.listen, "metrics": server.metrics}
        assert httpx.get(f"http://{server.metrics}/readyz").status_code == 200
        if sys.platform == "linux":
            assert os.sched_getscheduler(server.process.pid) == os.SCHED_BATCH
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.key",
        "ledger",
        "review-token",
        "server.log",
        "spool",
        "tertium.sqlite",
    ]
    for secret in ("checkpoint.key", "review-token"):
        assert stat.S_IMODE((tmp_path / secret).stat().st_mode) == 0o600


def test_the_log_tells_of_start_and_end_in_json(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.signal(signal.SIGINT)
        assert server.wait() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert [line["event"] for line in lines] == ["listening", "serving", "draining", "stopped"]
    assert {"listen", "metrics", "policy", "version"} <= set(lines[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.listen) as channel:
            watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(service="tertium.v1.DecisionService"))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            call = await open_call(channel)
            await call.play(recording()[:12])
            server.signal(number)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            last = await call.receive()
            assert [notice.code for notice in last.notices] == [decisions_pb2.Notice.CODE_DRAINING]
            assert last.checkpoint.last_frame == 11
            assert (await call.end()).code is grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 0
        assert not (tmp_path / "server.json").exists()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A caller that does not read would keep it for an hour otherwise."""
    with ServerProcess(tmp_path, TERTIUM_DRAIN_SECONDS="3600") as server:
        async with grpc.aio.insecure_channel(server.listen) as channel:
            await open_call(channel)
            server.process.send_signal(signal.SIGSTOP)  # the two signals arrive together, before it can drain
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGINT)
            server.process.send_signal(signal.SIGCONT)
            await until(lambda: server.process.poll() is not None)
        assert server.process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT)


def test_a_port_that_is_taken_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = fails(ServerProcess(tmp_path, TERTIUM_LISTEN=address))
    assert f"--listen {address}" in line
    assert "another port" in line


def test_a_second_server_on_the_same_port_does_not_share_it_unasked(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "a") as first:
        assert "--listen" in fails(ServerProcess(tmp_path / "b", TERTIUM_LISTEN=first.listen))


def test_servers_that_are_asked_to_share_a_port(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "a", TERTIUM_REUSE_PORT="true") as first,
        ServerProcess(tmp_path / "b", TERTIUM_REUSE_PORT="true", TERTIUM_LISTEN=first.listen) as second,
    ):
        assert second.listen == first.listen


def test_a_metrics_port_that_is_taken_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--metrics-port {port}" in fails(ServerProcess(tmp_path, TERTIUM_METRICS_PORT=port))


def test_a_data_folder_that_can_not_be_made_ends_it_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    line = fails(ServerProcess(tmp_path, TERTIUM_DATA_DIR=str(file / "below")))
    assert "--data-dir" in line
    assert "Not a directory" in line


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TERTIUM_MAX_STREAMS", "none", "TERTIUM_MAX_STREAMS"),
        ("TERTIUM_POLICY", "/nowhere/policy.yaml", "/nowhere/policy.yaml"),
        ("TERTIUM_CHECKPOINT_KEY_FILE", "/nowhere/key", "--checkpoint-key-file"),
        ("TERTIUM_CONFIG", "/nowhere/tertium.toml", "TERTIUM_CONFIG"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(tmp_path: Path, variable: str, value: str, told: str) -> None:
    assert told in fails(ServerProcess(tmp_path, **{variable: value}))


def test_a_policy_file_is_what_it_judges_by(tmp_path: Path) -> None:
    text = resources.files("tertium_server.policy").joinpath("default.yaml").read_text()
    policy = tmp_path / "policy.yaml"
    policy.write_text(text.replace("name: built-in", "name: mine").replace("number: 0", "number: 5"))
    with ServerProcess(tmp_path, TERTIUM_POLICY=str(policy)) as server:
        metrics = httpx.get(f"http://{server.metrics}/metrics").text
        assert 'policy="mine"' in metrics
