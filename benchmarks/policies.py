"""What policies cost while a server runs: a policy in the shadow, a change of policy, zones, and profiles that go by the clock.

    .venv/bin/python benchmarks/policies.py [--out benchmarks/results/policies.json]

Messages are answered by a stream's session in this process, without gRPC. Times are processor time, the least of several rounds, in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tertium.v1 import decision_service_pb2, frames_pb2, stream_pb2
from tertium_server.policy import Policy, compile_parameters, default_policy
from tertium_server.policy.keeper import InForce
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.opening import EpochClock, FrameLimits, Opening, check_open
from tertium_server.rpc.stream import Stream
from tertium_server.rpc.terms import StreamTerms
from tertium_server.rpc.warm_up import warm_up

_FRAMES = 600
_ROUNDS = 7
_INTERVAL = 40_000_000
_LIMITS = FrameLimits(max_detections=1000, max_tracks=2000, max_frames=256)


@dataclass
class _Held:
    in_force: InForce


def _messages(detections: int, batch: int) -> list[bytes]:
    """Boxes that walk, scores that tremble; seeded."""
    random = np.random.default_rng(detections)
    places, speeds = random.uniform(100, 1700, (detections, 2)), random.uniform(-2, 2, (detections, 2))
    messages: list[bytes] = []
    for first in range(0, _FRAMES, batch):
        frames = frames_pb2.Frames()
        for index in range(first, first + batch):
            centres = places + speeds * index
            frames.frame_indices.append(index)
            frames.capture_times.append(index * _INTERVAL)
            frames.detection_counts.append(detections)
            frames.boxes.extend(np.concatenate([centres - 20, centres + 20], 1).ravel().tolist())
            frames.scores.extend(random.uniform(0.2, 0.9, detections).tolist())
        messages.append(decision_service_pb2.DecideRequest(frames=frames).SerializeToString())
    return messages


def _opening() -> Opening:
    request = stream_pb2.Open(
        stream_id="bench",
        class_names={0: "person"},
        frame_width=1920,
        frame_height=1080,
        epoch=1,
        checkpoint_interval=10_000,
    )
    return check_open(request, _LIMITS)


def _stream(in_force: InForce) -> Stream:
    terms = StreamTerms(_Held(in_force), CheckpointSealer(b"benchmark" * 8), _LIMITS, 10_000, EpochClock())
    return Stream(_opening(), terms)


def _microseconds(in_force: InForce, messages: list[bytes], desk: Desk) -> float:
    """Processor time a frame."""
    stream = _stream(in_force)
    started = time.process_time()
    for message in messages:
        stream.answer(message, desk)
    return (time.process_time() - started) / _FRAMES * 1e6


def _with(sections: dict[str, Any]) -> Policy:
    return Policy.model_validate(default_policy().model_dump(mode="json") | sections)


def _zones(count: int) -> dict[str, Any]:
    """Zones side by side, each with twelve corners and thresholds of its own."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return {
        "zones": {
            f"zone-{number}": {
                "polygon": [
                    [float(x), float(y)]
                    for x, y in zip(
                        (number + 0.5 + 0.45 * np.cos(angles)) / count, 0.5 + 0.45 * np.sin(angles), strict=True
                    )
                ],
                "all": {"box": {"thresholds": {"yes": 0.6 + number / 100}}},
            }
            for number in range(count)
        }
    }


_NIGHT = {
    "profiles": {
        "night": {
            "schedule": [{"opens": "22:00", "closes": "06:00"}],
            "time_zone": "Europe/Berlin",
            "all": {"box": {"thresholds": {"yes": 0.7}}},
        }
    }
}


def _variants() -> dict[str, InForce]:
    plain = default_policy()
    return {
        "plain": InForce(plain),
        "shadow": InForce(plain, _with({"name": "candidate"})),
        "8 zones of 12 corners": InForce(_with(_zones(8))),
        "a profile by the clock": InForce(_with(_NIGHT)),
    }


def _per_frame() -> list[dict[str, Any]]:
    desk, rows = Desk(), []
    for detections in (20, 100):
        for batch in (1, 16):
            messages = _messages(detections, batch)
            best = dict.fromkeys(_variants(), float("inf"))
            for _ in range(_ROUNDS):
                for name, in_force in _variants().items():
                    best[name] = min(best[name], _microseconds(in_force, messages, desk))
            rows.append({"detections": detections, "frames_a_message": batch, "microseconds_a_frame": best})
    return rows


def _least(work: Callable[[], object]) -> float:
    """Microseconds of processor time, the least of many."""
    best = float("inf")
    for _ in range(50):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1e6


def _changes() -> dict[str, float]:
    """What a change costs each stream: compiled beside its messages, then taken up between two of them."""
    policy = _with(_zones(8))
    stream = _stream(InForce(default_policy()))
    settings = check_open(
        stream_pb2.Open(
            stream_id="x",
            class_names={number: f"class-{number}" for number in range(80)},
            frame_width=1920,
            frame_height=1080,
        ),
        _LIMITS,
    ).settings
    single = _opening().settings
    parameters = [compile_parameters(each, single, "bench") for each in (default_policy(), policy)]
    turns = iter(range(1_000_000))
    return {
        "compile, 1 class": _least(lambda: compile_parameters(default_policy(), single, "bench")),
        "compile, 1 class and 8 zones": _least(lambda: compile_parameters(policy, single, "bench")),
        "compile, 80 classes": _least(lambda: compile_parameters(default_policy(), settings, "x")),
        "take up": _least(lambda: stream.engine.adopt(parameters[next(turns) % 2])),
    }


def main() -> None:
    """Measures, prints, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/policies.json")
    arguments = parser.parse_args()
    warm_up()
    frames, changes = _per_frame(), _changes()
    arguments.out.write_text(
        json.dumps({"per_frame": frames, "change_microseconds": changes}, indent=1) + "\n", encoding="utf-8"
    )
    for row in frames:
        costs = ", ".join(f"{name} {cost:.1f}" for name, cost in row["microseconds_a_frame"].items())
        print(f"{row['detections']} detections, {row['frames_a_message']} a message, µs a frame: {costs}")
    print("a change, µs: " + ", ".join(f"{name} {cost:.0f}" for name, cost in changes.items()))


if __name__ == "__main__":
    main()
