"""The engine alone: one stream, arrays in, decisions out, one core.

Every round runs each scene on a fresh engine, one after the other, so that a busy moment of the machine hits all alike; figures are medians over
rounds.
"""

from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any

import motion
import numpy as np
from harness.plots import Chart, save
from harness.report import Bound, median, print_table
from harness.scenes import HEIGHT, WIDTH, crossing, split

from tertium_server.engine import EngineParameters, FrameColumns, StreamEngine, StreamSettings, Workspace, warm_up
from tertium_server.policy import compile_parameters, default_policy

BOUNDS = {20: 20.0, 100: 80.0, 500: 1500.0}
"""Microseconds a frame, by detections: what issue 2 asks for."""

_BATCHES = (1, 16)
_GROWTH = (5, 10, 20, 50, 100, 200, 500, 1000)
_SETTLING = 32  # frames: until every object has its track
_MICROSECOND = 1e-3


def measure(*, quick: bool) -> dict[str, Any]:
    """Microseconds a frame: the whole step at the bounds' sizes, its growth, and motion beside filterpy and numpy."""
    warm_up()
    rounds = 3 if quick else 15
    steps = {(detections, batch): Step(detections, batch, quick=quick) for detections in BOUNDS for batch in _BATCHES}
    growth = {detections: Step(detections, 1, quick=True) for detections in _GROWTH}
    for _ in range(rounds):
        for step in steps.values():
            step.run()
    for _ in range(max(2, rounds // 3)):
        for step in growth.values():
            step.run()
    return {
        "unit": "microseconds a frame",
        "steps": [step.figures() for step in steps.values()],
        "growth": [step.figures() for step in growth.values()],
        "motion": motion.measure(quick=quick),
    }


class Step:
    """One scene, fed to fresh engines in messages of ``batch`` frames, every output asked for."""

    def __init__(self, detections: int, batch: int, *, quick: bool) -> None:
        frames = _SETTLING + max(8 * batch, min(1600, (4_000 if quick else 16_000) // detections))
        self._detections, self._batch = detections, batch
        self._messages = [
            message for message in split(crossing(detections, frames), batch) if len(message.indices) == batch
        ]
        self._settings = StreamSettings(class_names={0: "object"}, frame_width=WIDTH, frame_height=HEIGHT)
        self._parameters: EngineParameters = compile_parameters(default_policy(), self._settings)
        self._workspace = Workspace()
        self._medians: list[float] = []
        self._times: list[float] = []
        self._processor: list[float] = []

    def run(self) -> None:
        """One round."""
        engine = StreamEngine(self._parameters, self._settings)
        settling = _SETTLING // self._batch
        for message in self._messages[:settling]:
            self._advance(engine, message)
        processor = thread_time_ns()
        times = [self._advance(engine, message) for message in self._messages[settling:]]
        self._processor.append((thread_time_ns() - processor) * _MICROSECOND / (len(times) * self._batch))
        self._medians.append(median(times))
        self._times.extend(times)

    def figures(self) -> dict[str, float]:
        """What came out."""
        return {
            "detections": self._detections,
            "frames_a_call": self._batch,
            "median": median(self._medians),
            "processor": median(self._processor),
            "p99": float(np.percentile(self._times, 99)),
            "calls": len(self._times),
        }

    def _advance(self, engine: StreamEngine, message: FrameColumns) -> float:
        started = perf_counter_ns()
        decisions = engine.advance(message, self._workspace)
        taken = (perf_counter_ns() - started) * _MICROSECOND / self._batch
        assert decisions.detections == self._batch * self._detections
        return taken


def bounds(results: dict[str, Any]) -> list[Bound]:
    """The figures that issue 2 bounds."""
    return [
        Bound(
            f"engine, {step['detections']} detections, one frame a call",
            step["median"],
            BOUNDS[step["detections"]],
            "µs",
        )
        for step in results["steps"]
        if step["frames_a_call"] == 1
    ]


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    head = ("detections", "frames a call", "median", "p99", "processor time", "bound")
    rows = [
        (s["detections"], s["frames_a_call"], s["median"], s["p99"], s["processor"], BOUNDS[s["detections"]])
        for s in results["steps"]
    ]
    print_table("Engine, whole step, µs a frame", head, rows)
    growth = [(g["detections"], g["median"], 1000 * g["median"] / g["detections"]) for g in results["growth"]]
    print_table("Growth, one frame a call", ("detections", "µs a frame", "ns a detection"), growth)
    motion.show(results["motion"])


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draws cost against the number of detections."""
    growth = results["growth"]
    sizes = [step["detections"] for step in growth]
    chart = Chart("Engine: cost of a frame", "detections a frame", "µs a frame", logarithmic=True)
    chart.line("whole step", sizes, [step["median"] for step in growth])
    chart.points("bound", list(BOUNDS), list(BOUNDS.values()))
    per_detection = growth[2]["median"] / growth[2]["detections"]
    chart.guide("in proportion to detections", sizes, [per_detection * size for size in sizes])
    save(folder / "engine.svg", chart)
