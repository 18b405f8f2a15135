"""The server as a process: how it starts, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from tertium.v1 import decisions_pb2
from tertium_server.app import main
from tests.rpc.builders import recording
from tests.rpc.live import ServerProcess, health_stub, open_call, serving, until


def fails(server: ServerProcess) -> str:
    """The line a server ends with that can't start."""
    assert server.wait() == 2, server.log
    (line,) = [line for line in server.log.splitlines() if line.startswith("tertium: ")]
    assert "Traceback" not in server.log
    assert '"level": "warning"' not in server.log, "nothing else is wrong with it"
    assert all(each.startswith("{") for each in server.log.splitlines() if each != line), "a library's own words"
    return line


def test_while_it_runs_server_json_tells_where_it_is_and_its_log_when_it_began_and_ended(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        content = json.loads((tmp_path / "server.json").read_text())
        assert content == {"pid": server.process.pid, "listen": server.listen, "metrics": server.metrics}
        assert httpx.get(f"http://{server.metrics}/readyz").status_code == 200
        in_batches = os.sched_getscheduler(server.process.pid) == os.SCHED_BATCH if sys.platform == "linux" else True
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
    lines = [json.loads(line) for line in server.log.splitlines()]
    by_default = [] if in_batches else ["threads are scheduled as by default"]  # where a sandbox forbids anything else
    assert [line["event"] for line in lines] == [*by_default, "listening", "serving", "draining", "stopped"]
    assert {"listen", "metrics", "policy", "version"} <= set(lines[-3])
    assert lines[-3]["review"] == f"http://{server.metrics}/review"


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
    assert f"--listen {address}: can't listen there: Address already in use; is another server running?" in line
    assert "another port" in line


@contextmanager
def shared_port() -> Generator[str]:
    """An address on which somebody listens who would share it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_port_that_another_would_share_is_not_shared_unasked(tmp_path: Path) -> None:
    with shared_port() as address:
        assert "--listen" in fails(ServerProcess(tmp_path, TERTIUM_LISTEN=address))


def test_a_server_that_is_asked_to_shares_its_port(tmp_path: Path) -> None:
    with shared_port() as address, ServerProcess(tmp_path, TERTIUM_REUSE_PORT="true", TERTIUM_LISTEN=address) as server:
        assert server.listen == address


def test_a_metrics_port_that_is_taken_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--metrics-port {port}" in fails(ServerProcess(tmp_path, TERTIUM_METRICS_PORT=port))


def ends_at_once(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, **environment: str
) -> str:
    """The line that the process's own main function ends with, before it has listened anywhere."""
    variables = {"TERTIUM_LISTEN": "127.0.0.1:0", "TERTIUM_METRICS_PORT": "0", "TERTIUM_DATA_DIR": str(folder)}
    variables["TERTIUM_SCHEDULING"] = "normal"  # this process is the tests', too
    for name, value in (variables | environment).items():
        patch.setenv(name, value)
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tertium: ")
    return line


def test_a_data_folder_that_can_not_be_made_ends_it_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    line = ends_at_once(monkeypatch, capsys, file / "below")
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
def test_a_wrong_setting_ends_it_with_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    told: str,
) -> None:
    assert told in ends_at_once(monkeypatch, capsys, tmp_path, **{variable: value})


async def test_a_policy_file_is_what_it_judges_by(tmp_path: Path) -> None:
    text = resources.files("tertium_server.policy").joinpath("default.yaml").read_text()
    policy = tmp_path / "policy.yaml"
    policy.write_text(text.replace("name: built-in", "name: mine").replace("number: 0", "number: 5"))
    async with serving(tmp_path, policy=policy) as live, httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://{live.service.metrics}/metrics")).text
        assert 'policy="mine"' in metrics
