"""Memory: what a stream takes, and whether a million frames leave anything behind.

The engine runs in a fresh process, the service in its own; resident memory is read before and after, once everything has been used for a while.
"""

import contextlib
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.plots import Chart, save
from harness.processes import Load, decision_server, resident_bytes
from harness.report import Bound, print_table
from harness.scenes import HEIGHT, WIDTH, crossing, split

from tertium_server.engine import FrameColumns, StreamEngine, StreamSettings, Workspace, warm_up
from tertium_server.policy import compile_parameters, default_policy

DETECTIONS = 20
MOST_GROWTH = 4.0
"""MiB that memory may grow over a million frames: the allocator's moods."""

_STREAMS = 1000
_CHUNK = 500  # frames
_MEBIBYTE = 2**20


def measure(*, quick: bool) -> dict[str, Any]:
    """Bytes a stream and growth over many frames, of the engine and of the service."""
    if sys.platform != "linux":
        return {"skipped": "memory is read from /proc"}
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        engine = pool.apply(_measure_engine, (100_000 if quick else 1_000_000,))
    return {"engine": engine, "service": _measure_service(quick=quick)}


def _measure_engine(frames: int) -> dict[str, Any]:
    """Opens many streams, then runs one stream for long."""
    warm_up()
    settings = StreamSettings(class_names={0: "object"}, frame_width=WIDTH, frame_height=HEIGHT)
    parameters = compile_parameters(default_policy(), settings)
    workspace = Workspace()
    chunk = crossing(DETECTIONS, _CHUNK)

    def run(engine: StreamEngine, chunks: int, samples: list[int]) -> None:
        frames_before = engine.frames
        for number in range(chunks):
            start = frames_before + number * _CHUNK
            decisions = engine.advance(_later(chunk, start), workspace)
            assert decisions.detections == _CHUNK * DETECTIONS
            if number % max(1, chunks // 50) == 0:
                samples.append(resident_bytes(os.getpid()))

    run(StreamEngine(parameters, settings), 20, [])
    before = resident_bytes(os.getpid())
    engines = [StreamEngine(parameters, settings) for _ in range(_STREAMS)]
    for engine in engines:
        engine.advance(split(chunk, 16)[0] if engine is engines[0] else _first(chunk), workspace)
    a_stream = (resident_bytes(os.getpid()) - before) / _STREAMS
    nbytes = engines[0].nbytes
    engines.clear()

    engine = StreamEngine(parameters, settings)
    run(engine, 40, [])
    samples: list[int] = [resident_bytes(os.getpid())]
    run(engine, frames // _CHUNK, samples)
    return {
        "bytes_a_stream": a_stream,
        "array_bytes_a_stream": nbytes,
        "frames": frames,
        "growth_mib": (samples[-1] - samples[0]) / _MEBIBYTE,
        "resident_mib": [sample / _MEBIBYTE for sample in samples],
    }


def _first(chunk: FrameColumns) -> FrameColumns:
    return split(chunk, 4)[0]


def _later(chunk: FrameColumns, frames: int) -> FrameColumns:
    """The same detections, so many frames later."""
    interval = chunk.times[1] - chunk.times[0]
    return FrameColumns.of(
        chunk.indices + frames, chunk.times + frames * interval, chunk.counts, chunk.boxes, chunk.scores
    )


def _measure_service(*, quick: bool) -> dict[str, Any]:
    """Opens many calls, then sends many frames in rounds."""
    streams, batch, rounds, frames = (128, 16, 4, 25_600) if quick else (512, 16, 10, 102_400)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(decision_server())
        load = Load(folder, 64, split(crossing(DETECTIONS, frames // 64 * 2), batch))
        options = {"warm": 64, "count": frames // batch - 64}
        for _ in range(2):
            load.run(server, None, options)
        samples = [server.resident_bytes()]
        for _ in range(rounds):
            load.run(server, None, options)
            samples.append(server.resident_bytes())
        many = Load(folder, streams, split(crossing(DETECTIONS, 64), batch))
        opened = many.run(server, None, {"warm": streams, "count": streams})
    return {
        "bytes_a_stream": (opened["server_resident_bytes"] - samples[-1]) / streams,
        "streams": streams,
        "frames": rounds * frames,
        "growth_mib": (samples[-1] - samples[0]) / _MEBIBYTE,
        "resident_mib": [sample / _MEBIBYTE for sample in samples],
    }


def bounds(results: dict[str, Any]) -> list[Bound]:
    """Memory after many frames is what it was before."""
    return [
        Bound(
            f"{name}, growth over {results[name]['frames']:,} frames", results[name]["growth_mib"], MOST_GROWTH, "MiB"
        )
        for name in ("engine", "service")
    ]


def show(results: dict[str, Any]) -> None:
    """Prints the table."""
    rows = [
        (
            name,
            part["bytes_a_stream"] / 1024,
            part.get("array_bytes_a_stream", 0) / 1024,
            f"{part['frames']:,}",
            part["resident_mib"][0],
            part["resident_mib"][-1],
        )
        for name, part in results.items()
    ]
    head = ("", "KiB a stream", "of these arrays", "frames", "MiB before", "MiB after")
    print_table(f"Memory, {DETECTIONS} detections a frame", head, rows)


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draws memory over frames."""
    chart = Chart("Memory over frames", "thousands of frames", "resident MiB")
    for name, part in results.items():
        samples = part["resident_mib"]
        thousands = part["frames"] / 1000
        chart.curve(name, [thousands * place / (len(samples) - 1) for place in range(len(samples))], samples)
    chart.from_zero()
    save(folder / "memory.svg", chart)
