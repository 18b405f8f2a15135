"""A real server under simulated traffic with people who answer, and a real Prometheus with our rules that scrapes it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
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
_GHOSTS, _GHOST_FRAMES = 120, 40
"""Things that a detector sees where nothing is, and for how long."""


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


def free_address() -> str:
    """HOST:PORT that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


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
        address = free_address()
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
                if self.ask("up == 1"):
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
        self._footage = list(simulate(preset("busy-street", cameras=4, frames=100, seed=3, **CROWDED)))
        self._policy = folder / "policy.yaml"
        _write_policy(self._policy, {})
        # It starts while the server does, so it has to be told beforehand where that will be.
        target = free_address()
        self.prometheus = Prometheus(folder / "prometheus", target)
        self._stack.callback(self.prometheus.close)
        sink = Sink()
        self._stack.callback(sink.close)
        self.server = self._stack.enter_context(
            ServerProcess(
                folder / "server",
                TERTIUM_METRICS_PORT=target.rpartition(":")[2],
                TERTIUM_GROUPS=",".join(GROUPS),
                TERTIUM_CLASSES=",".join(CLASSES),
                TERTIUM_POLICY=str(self._policy),
                TERTIUM_POLICY_POLL_SECONDS="1",
                TERTIUM_TOKENS=str(_tokens(folder / "tokens.toml")),
                TERTIUM_WEBHOOK=sink.url,
                TERTIUM_WEBHOOK_SECRET="sixteen letters or more",  # noqa: S106 - nobody's
                TERTIUM_RECORD=str(folder / "recordings"),
                TERTIUM_ESTIMATE_SECONDS="1",
            )
        )
        address = f"http://{self.server.metrics}/review/api/"
        self._reviewers = [
            self._stack.enter_context(httpx.Client(base_url=address, headers=_signed(name), timeout=PATIENCE))
            for name in REVIEWERS
        ]
        camera = (("authorization", "Bearer camera token"),)
        self._client = self._stack.enter_context(Client(self.server.listen, metadata=camera))
        self._streams = self._stack.enter_context(ExitStack())

    def live(self) -> None:
        """The first cameras play, and people answer."""
        self.prometheus.wait_until_ready()
        for footage in self._footage[:-2]:
            with ExitStack() as streams:
                for _ in _play(streams, self._client, footage, GROUPS[0]):
                    pass
            self.answer()

    def tune(self) -> None:
        """Writes into the policy what scores of tracks look like now, as tuning does; the server reads it again."""
        _write_policy(self._policy, {name: self.scores(name) for name in CLASSES})

    def live_on(self) -> None:
        """A detector goes mad: it is sure of persons all over the picture. Then the last cameras play, and people answer."""
        with ExitStack() as streams:
            _haunt(streams, self._client)
        last = [
            _play(self._streams, self._client, footage, group)
            for footage, group in zip(self._footage[-2:], GROUPS, strict=True)
        ]
        for _ in zip(*last, strict=True):
            pass
        self.answer()

    def waiting(self) -> float:
        """Decisions that are not in the store yet."""
        return sum(self.server.sample("tertium_review_pending_bookings", place=place) for place in ("memory", "spool"))

    def scores(self, class_name: str) -> list[int]:
        """Decided tracks by P(real object), in twenty bins."""
        name = "tertium_decision_score_ratio_bucket"
        text = httpx.get(f"http://{self.server.metrics}/metrics").text
        below = [
            round(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels["class"] == class_name and sample.labels["le"] != "+Inf"
        ]
        return [after - before for before, after in pairwise([0, *below])]

    def answer(self) -> None:
        """Two people answer what waits, both alike; a few cases are left lying."""
        while sum([self._answer_some(client) for client in self._reviewers]):
            pass

    @staticmethod
    def _answer_some(client: httpx.Client) -> int:
        leases = client.post("lease", json={"count": 8}).json()["leases"]
        for lease in leases:
            chance = int(lease["case"][:2], 16)
            case = {"case": lease["case"], "token": lease["token"]}
            if chance > _LEFT:
                client.post("vote", json=case | {"answer": "yes" if chance > _NO else "no"})
        return len(leases)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_policy(path: Path, scores: Mapping[str, list[int]]) -> None:
    """The built-in policy, quick with a yes: cameras play for seconds only. ``scores``: what those of tracks looked like in tuning."""
    tree = default_policy().model_dump(mode="json")
    tree["defaults"]["track"]["thresholds"] |= {"yes": 0.2, "no": 0.1}
    tree["review"] |= {"audit_yes": 0.4, "audit_no": 0.25, "open_after": 0.5}
    tree["reference"] = {"scores": dict(scores)}
    # In one go: the server watches the file.
    new = path.with_suffix(".new")
    new.write_text(dump_policy(Policy.model_validate(tree)))
    new.replace(path)


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


def _haunt(stack: ExitStack, client: Client) -> None:
    """Sends what is nowhere: persons side by side who do not move."""
    corners = np.stack(np.meshgrid(np.arange(15) * 120, np.arange(8) * 130), axis=-1).reshape(_GHOSTS, 2)
    boxes = np.concatenate([corners, corners + np.array([50, 110])], axis=1).astype(np.float32)
    stream = stack.enter_context(
        client.open("haunted", batch=8, group=GROUPS[1], class_names=dict(enumerate(CLASSES)), nominal_fps=10)
    )
    for _ in range(_GHOST_FRAMES):
        stream.send(boxes=boxes, scores=np.full(_GHOSTS, 0.95, np.float32), class_ids=np.zeros(_GHOSTS, np.uint32))
    for _ in stream.drain():
        pass


def missing(programs: Sequence[str]) -> str:
    """Which of these programs are not here."""
    return ", ".join(name for name in programs if shutil.which(name) is None)
