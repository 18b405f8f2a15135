"""The processes of a measurement: the real server, the echo server, and the load."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from harness.scenes import HEIGHT, WIDTH

from tertium.v1 import decision_service_pb2, frames_pb2, stream_pb2
from tertium_server.engine import FrameColumns

_HERE = Path(__file__).parent
_PATIENCE = 240.0  # seconds: kernels that compile on a busy machine
_PAUSE = 0.2  # seconds: until a server has let go of the calls of the round before


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    port: int
    path: str
    """Of its method."""
    pid: int
    metrics: str = ""
    """HOST:PORT, where it has any."""

    def read_metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urlopen(f"http://{self.metrics}/metrics") as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def resident_bytes(self) -> int:
        """Memory it holds."""
        return resident_bytes(self.pid)


def resident_bytes(pid: int) -> int:
    """Memory a process holds (resident set)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def decision_server(
    core: int | None = None, data: Path | None = None, environment: Mapping[str, str] | None = None
) -> Generator[Server]:
    """The real server, ``tertium serve`` with its defaults, on ports of its own.

    ``data``: a data folder that is there already; ``environment``: variables that change a default.
    """
    with tempfile.TemporaryDirectory() if data is None else contextlib.nullcontext(str(data)) as folder:
        addresses = Path(folder) / "server.json"
        log = Path(folder) / "log"
        options = ["--listen", "127.0.0.1:0", "--metrics-port", "0", "--data-dir", folder, "--log-level", "warning"]
        command = [sys.executable, "-m", "tertium_server.cli", "serve", *options]
        variables = os.environ | (environment or {})
        with log.open("wb") as output, _process(command, core, stdout=output, stderr=output, env=variables) as process:
            deadline = time.monotonic() + _PATIENCE
            while not addresses.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
                time.sleep(0.05)
            written = json.loads(addresses.read_text(encoding="utf-8"))
            port = int(written["listen"].rpartition(":")[2])
            yield Server(port, "/tertium.v1.DecisionService/Decide", process.pid, written["metrics"])


@contextlib.contextmanager
def echo_server(answer_bytes: int, core: int | None = None, *, plain: bool = False) -> Generator[Server]:
    """An echo server on the same gRPC stack, whose answers have the given size; ``plain``: set up as anybody would."""
    command = [sys.executable, str(_HERE / "echo_server.py"), "--answer-bytes", str(answer_bytes)]
    command += ["--plain"] if plain else []
    environment = os.environ | ({"GRPC_EXPERIMENTS": ""} if plain else {})
    with _process(command, core, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().decode().rpartition(":")[2])
        yield Server(port, "/tertium.benchmarks.Echo/Echo", process.pid)


@contextlib.contextmanager
def _process(command: Sequence[str], core: int | None, **streams: Any) -> Generator[subprocess.Popen[Any]]:  # noqa: ANN401 - Popen's own
    process: subprocess.Popen[Any] = subprocess.Popen([*_pinned(core), *command], **streams)  # noqa: S603 - our own programs
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _pinned(core: int | None) -> list[str]:
    """What keeps a program and its threads on one core; nothing where there is just one, or no telling."""
    return [] if core is None else ["taskset", "--cpu-list", str(core)]


def two_cores() -> tuple[int | None, int | None]:
    """A core for the server and one for the load; None where the machine can't give each its own."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


class Load:
    """Runs load processes: ``streams`` calls that all send the same messages."""

    def __init__(self, folder: Path, streams: int, messages: Iterable[FrameColumns]) -> None:
        self._folder, self._streams = folder, streams
        self._messages = _write(folder / "messages", (_request(message) for message in messages))
        self._rounds = 0

    def run(self, server: Server, core: int | None, options: Mapping[str, object]) -> dict[str, Any]:
        """One round; the options are those of load_client.py."""
        self._rounds += 1
        opens = _write(self._folder / "opens", (_open(f"{self._rounds}-{place}") for place in range(self._streams)))
        command = [*_pinned(core), sys.executable, str(_HERE / "load_client.py"), "--port", str(server.port)]
        command += ["--path", server.path, "--pid", str(server.pid), "--opens", str(opens)]
        command += ["--messages", str(self._messages)]
        command += [text for name, value in options.items() for text in (f"--{name}", str(value))]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own program
        time.sleep(_PAUSE)
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def _write(path: Path, messages: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(struct.pack("<I", len(message)) + message for message in messages))
    return path


def _open(stream_id: str) -> bytes:
    opening = stream_pb2.Open(stream_id=stream_id, class_names={0: "object"}, frame_width=WIDTH, frame_height=HEIGHT)
    return decision_service_pb2.DecideRequest(open=opening).SerializeToString()


def _request(frames: FrameColumns) -> bytes:
    message = frames_pb2.Frames(
        frame_indices=frames.indices.tolist(),
        capture_times=frames.times.tolist(),
        detection_counts=frames.counts.tolist(),
        boxes=frames.boxes.ravel().tolist(),
        scores=frames.scores.tolist(),
    )
    return decision_service_pb2.DecideRequest(frames=message).SerializeToString()
