"""A real server under simulated traffic with people who answer, and a real Prometheus with our rules that scrapes it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
from ruamel.yaml import YAML

from tertium_client import Client, Stream
from tertium_server.policy import Policy, default_policy, dump_policy
from tertium_server.review.access import Role, entry_for
from tertium_server.simulation import Footage, preset, simulate
from tests.rpc.live import ServerProcess

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
GROUPS = ("north", "south")
CLASSES = ("person", "car")
PATIENCE = 60.0
CROWDED: dict[str, Any] = {
    "classes": [
        {"name": "person", "arrivals_per_minute": 200, "height": 220, "speed": 110, "pauses": 0.3},
        {"name": "car", "arrivals_per_minute": 60, "height": 200, "aspect": 1.8, "speed": 320, "pauses": 0.3},
    ],
    "false_alarms": {"flashes_per_second": 6, "flash": -1.2, "phantoms": 3},
}
REVIEWERS = ("anna", "bert")
_LEFT, _NO = 8, 40
"""Of 256 cases so many are left waiting; so many are left, or not what they were taken for."""


class Sink:
    """Where the webhook's events go."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Prometheus:
    """A Prometheus with the rules that are shipped, which looks twice a second."""

    def __init__(self, folder: Path, target: str) -> None:
        folder.mkdir()
        config = YAML(typ="safe", pure=True).load(PROMETHEUS / "prometheus.yaml")
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / "rules/*.yaml")]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        file = folder / "prometheus.yaml"
        with file.open("w") as stream:
            YAML(typ="safe", pure=True).dump(config, stream)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        self._client = httpx.Client(base_url=f"http://{address}/api/v1/", timeout=30)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, Path(self._log.name).read_text()
            try:
                if self.ask("up"):
                    return
            except (httpx.TransportError, AssertionError):
                pass
            time.sleep(0.1)
        raise AssertionError("Prometheus has scraped nothing")

    def get(self, path: str, **parameters: str) -> Any:
        response = self._client.get(path, params=parameters)
        assert response.status_code == 200, f"{parameters}: {response.text}"
        return response.json()["data"]

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The newest samples of a query."""
        result = self.get("query", query=query)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def close(self) -> None:
        self._client.close()
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._log.close()


class World:
    """Cameras in two groups, most of whose cases are answered, and who watches over it. The last two cameras stay."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._footage = list(simulate(preset("busy-street", cameras=6, frames=100, seed=3, **CROWDED)))
        sink = Sink()
        self._stack.callback(sink.close)
        self.server = self._stack.enter_context(
            ServerProcess(
                folder / "server",
                TERTIUM_GROUPS=",".join(GROUPS),
                TERTIUM_CLASSES=",".join(CLASSES),
                TERTIUM_POLICY=str(_policy(folder / "policy.yaml")),
                TERTIUM_TOKENS=str(_tokens(folder / "tokens.toml")),
                TERTIUM_WEBHOOK=sink.url,
                TERTIUM_WEBHOOK_SECRET="sixteen letters or more",  # noqa: S106 - nobody's
                TERTIUM_RECORD=str(folder / "recordings"),
                TERTIUM_ESTIMATE_SECONDS="2",
            )
        )
        self._streams = self._stack.enter_context(ExitStack())
        self.prometheus = Prometheus(folder / "prometheus", self.server.metrics)
        self._stack.callback(self.prometheus.close)

    def live(self) -> None:
        """What happens: cameras play while people answer."""
        self.prometheus.wait_until_ready()
        camera = (("authorization", "Bearer camera token"),)
        client = self._streams.enter_context(Client(self.server.listen, metadata=camera))
        with self._reviewers() as answer:
            *first, north, south = self._footage
            for footage in first:
                with ExitStack() as streams:
                    for _ in _play(streams, client, footage, GROUPS[0]):
                        pass
                answer()
            last = [_play(self._streams, client, *each) for each in zip((north, south), GROUPS, strict=True)]
            for _ in zip(*last, strict=True):
                answer()
            for _ in range(8):
                time.sleep(0.25)
                answer()

    @contextmanager
    def _reviewers(self) -> Generator[Callable[[], None]]:
        """Has two people answer what waits, both alike: a case in five is left lying."""
        address = f"http://{self.server.metrics}/review/api/"
        with ExitStack() as stack:
            clients = [
                stack.enter_context(httpx.Client(base_url=address, headers=_signed(name), timeout=30))
                for name in REVIEWERS
            ]

            def answer() -> None:
                for client in clients:
                    while leases := client.post("lease", json={"count": 4}).json()["leases"]:
                        for lease in leases:
                            chance = int(lease["case"][:2], 16)
                            case = {"case": lease["case"], "token": lease["token"]}
                            if chance > _LEFT:
                                client.post("vote", json=case | {"answer": "yes" if chance > _NO else "no"})

            yield answer

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _policy(path: Path) -> Path:
    """The built-in policy, quick with a yes: cameras play for seconds only."""
    tree = default_policy().model_dump(mode="json")
    tree["defaults"]["track"]["thresholds"] |= {"yes": 0.2, "no": 0.1}
    tree["review"] |= {"audit_yes": 1.0, "audit_no": 0.4, "open_after": 0.5}
    tree["reference"] = {"scores": dict.fromkeys(CLASSES, [20] * 20)}
    path.write_text(dump_policy(Policy.model_validate(tree)))
    return path


def _tokens(path: Path) -> Path:
    people = [entry_for(f"{name} token", name, [Role.REVIEW]) for name in REVIEWERS]
    path.write_text("".join([*people, entry_for("camera token", "camera", [Role.INGEST])]))
    return path


def _signed(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name} token", "x-tertium": "1"}


def _play(stack: ExitStack, client: Client, footage: Footage, group: str) -> Iterator[None]:
    """Sends a camera's frames, a tenth at a time."""
    world = footage.world
    stream: Stream = stack.enter_context(
        client.open(
            footage.name,
            batch=8,
            group=group,
            class_names=world.class_names,
            frame_size=world.frame_size,
            nominal_fps=world.fps,
        )
    )
    frames = list(footage.frames())
    step = len(frames) // 10
    for first in range(0, len(frames), step):
        for each in frames[first : first + step]:
            stream.send(boxes=each.boxes, scores=each.scores, class_ids=each.class_ids, capture_time=each.capture_time)
        for _ in stream.drain():
            pass
        yield


def missing(programs: Sequence[str]) -> str:
    """Which of these programs are not here."""
    return ", ".join(name for name in programs if shutil.which(name) is None)
