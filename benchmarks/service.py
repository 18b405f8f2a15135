"""The service beside an echo server on the same gRPC stack, in rounds of one after the other.

The echo server answers every message with as many bytes as the service does on average, in the same read/write loop, on grpc.aio and uvloop with the
same options and scheduling: it shows what gRPC itself takes. The ratio of the two survives a change of machine; the absolute figures do not. Beside
them go the service without review and ledger (lean), and a plain echo: grpc.aio and uvloop as they come.

Throughput: 64 calls with one message each on its way, the server on one core and the load on another. Latency: 64 cameras at 30 frames a second that
don't wait for answers, server and load free on both cores; a frame's latency counts from the moment it was due, so that a late load does not
flatter the server.
"""

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness.plots import Chart, save
from harness.processes import Load, Server, decision_server, echo_server, two_cores
from harness.report import Bound, median, print_table
from harness.scenes import FPS, crossing, split

STREAMS = 64
DETECTIONS = 20
BOUNDS = {1: 0.6, 16: 0.7}
"""Least throughput beside the echo's, by frames a message: what issue 2 asks for."""

_PACED = ("service", "lean", "echo")
"""Servers whose latency is measured."""
_LEAN = {"TERTIUM_REVIEW": "0", "TERTIUM_LEDGER_BYTES": "0"}
"""What makes a server do nothing but decide."""
_MICROSECONDS = 1e6
_MILLISECONDS = 1e3
_SPARE = 2.0  # messages made beyond those counted: calls don't advance in step
_QUANTILES = (50, 90, 99, 99.9)


def measure(*, quick: bool) -> dict[str, Any]:
    """Throughput, processor time a message, and latency; for the service, the echo, and as ratios."""
    if sys.platform != "linux":
        return {"skipped": "the load goes by epoll, and processor time by /proc"}
    return {
        "streams": STREAMS,
        "detections_a_frame": DETECTIONS,
        "throughput": [_saturate(batch, quick=quick) for batch in BOUNDS],
        "latency": _pace(quick=quick),
    }


def _saturate(batch: int, *, quick: bool) -> dict[str, Any]:
    """Interleaved rounds at full speed."""
    rounds = 3 if quick else 7
    messages_a_stream = (100 if quick else 400) // (1 if batch == 1 else 4)
    count = STREAMS * messages_a_stream
    options = {"warm": count // 4, "count": count}
    frames = crossing(DETECTIONS, round(_SPARE * 1.25 * messages_a_stream) * batch)
    server_core, load_core = two_cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        load = Load(folder, STREAMS, split(frames, batch))
        service = stack.enter_context(decision_server(server_core))
        first = load.run(service, load_core, options)
        size = round(first["answer_bytes"])
        servers = {
            "service": service,
            "lean": stack.enter_context(decision_server(server_core, environment=_LEAN)),
            "echo": stack.enter_context(echo_server(size, server_core)),
            "plain": stack.enter_context(echo_server(size, server_core, plain=True)),
        }
        for name in ("lean", "echo", "plain"):
            load.run(servers[name], load_core, options)
        results = [
            {name: load.run(server, load_core, options) for name, server in servers.items()} for _ in range(rounds)
        ]
        _check(service, batch, [first, *(result["service"] for result in results)])
    figures = [{name: _figures(result, batch) for name, result in each.items()} for each in results]
    return {
        "frames_a_message": batch,
        "answer_bytes": size,
        **{f"beside_{name}": _beside(figures, name) for name in ("echo", "plain")},
        **{name: {key: median(f[name][key] for f in figures) for key in figures[0][name]} for name in servers},
        "rounds": figures,
    }


def _beside(figures: list[dict[str, dict[str, float]]], other: str) -> dict[str, dict[str, float]]:
    """Throughput and processor time of both services as shares of an echo's; medians over rounds."""
    return {
        name: {
            "throughput": median(f[name]["messages_a_second"] / f[other]["messages_a_second"] for f in figures),
            "processor": median(f[other]["processor_us"] / f[name]["processor_us"] for f in figures),
        }
        for name in ("service", "lean")
    }


def _figures(result: dict[str, Any], batch: int) -> dict[str, float]:
    rate = result["messages"] / result["seconds"]
    return {
        "messages_a_second": rate,
        "frames_a_second": rate * batch,
        "processor_us": result["server_processor_seconds"] / result["messages"] * _MICROSECONDS,
    }


def _check(service: Server, batch: int, results: list[dict[str, Any]]) -> None:
    """Every message that was answered was taken: a server that refuses frames is fast."""
    answered = sum(result["all_messages"] for result in results) * batch
    assert service.read_metric("tertium_frames_received_total") >= answered
    assert service.read_metric("tertium_frames_rejected_total") == 0


def _pace(*, quick: bool) -> dict[str, Any]:
    """Interleaved rounds at the cameras' pace."""
    rounds, seconds = (2, 2.5) if quick else (5, 10.0)
    frames = crossing(DETECTIONS, round(seconds * FPS) + 2)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        load = Load(folder, STREAMS, split(frames, 1))
        servers = {
            "service": stack.enter_context(decision_server()),
            "lean": stack.enter_context(decision_server(environment=_LEAN)),
            "echo": stack.enter_context(echo_server(340)),
        }
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
        for place in range(rounds):
            for name, server in servers.items():
                options = {"rate": FPS, "seconds": seconds, "seed": place}
                results[name].append(_summarize(load.run(server, None, options)))
    return {
        "frames_a_second_a_stream": FPS,
        "unit": "milliseconds",
        **{name: _join(all_) for name, all_ in results.items()},
    }


def _summarize(result: dict[str, Any]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "messages": result["messages"],
        "processor_us": result["server_processor_seconds"] / result["messages"] * _MICROSECONDS,
    }
    for kind in ("from_due", "from_sent"):
        latencies = np.array(result[f"latency_{kind}"]) * _MILLISECONDS
        summary[kind] = {f"p{q:g}": float(np.percentile(latencies, q)) for q in _QUANTILES}
    return summary


def _join(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds."""
    return {
        "processor_us": median(r["processor_us"] for r in rounds),
        **{
            kind: {key: median(r[kind][key] for r in rounds) for key in rounds[0][kind]}
            for kind in ("from_due", "from_sent")
        },
        "rounds": rounds,
    }


def bounds(results: dict[str, Any]) -> list[Bound]:
    """What issue 2 bounds, by both measures: where the load can't keep the echo server busy, throughput alone flatters the service."""
    return [
        Bound(
            f"service, {part['frames_a_message']} frames a message, {name} beside the echo's",
            part["beside_echo"]["service"][key],
            BOUNDS[part["frames_a_message"]],
            "",
            at_least=True,
        )
        for part in results["throughput"]
        for name, key in (("throughput", "throughput"), ("processor time", "processor"))
    ]


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    speeds = [
        (
            part["frames_a_message"],
            name,
            part[name]["messages_a_second"],
            part[name]["frames_a_second"],
            part[name]["processor_us"],
        )
        for part in results["throughput"]
        for name in ("service", "lean", "echo", "plain")
    ]
    head = ("frames a message", "server", "messages/s", "frames/s", "server µs a message")
    print_table(f"Service, {STREAMS} streams, {DETECTIONS} detections a frame, one core", head, speeds)
    ratios = [
        (part["frames_a_message"], name, other, *part[f"beside_{other}"][name].values())
        for part in results["throughput"]
        for name in ("service", "lean")
        for other in ("echo", "plain")
    ]
    print_table("Shares", ("frames a message", "server", "beside", "throughput", "processor time"), ratios)
    latency = results["latency"]
    latencies = [
        (name, kind.replace("_", " "), *latency[name][kind].values(), latency[name]["processor_us"])
        for kind in ("from_sent", "from_due")
        for name in _PACED
    ]
    columns = ("server", "latency", *(f"p{q:g}" for q in _QUANTILES), "server µs a message")
    print_table(f"Latency in ms, {STREAMS} cameras at {FPS:g} frames a second", columns, latencies)


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draws throughput and latency beside the echo's."""
    ratios = Chart("Throughput beside the echo's", "frames a message", "share of the echo's messages/s")
    batches = [part["frames_a_message"] for part in results["throughput"]]
    for part in results["throughput"]:
        values = [f["service"]["messages_a_second"] / f["echo"]["messages_a_second"] for f in part["rounds"]]
        ratios.points("", [part["frames_a_message"]] * len(values), values)
    for other, words in (("echo", ""), ("plain", " beside a plain echo")):
        for name in ("service", "lean"):
            shares = [part[f"beside_{other}"][name]["throughput"] for part in results["throughput"]]
            ratios.line(f"{name}{words}", batches, shares)
    ratios.guide("bound", list(BOUNDS), list(BOUNDS.values()))
    latency = Chart(f"{STREAMS} cameras at {FPS:g} frames a second", "percentile", "ms from when a frame was due")
    for name in _PACED:
        values = results["latency"][name]["from_due"]
        latency.line(name, list(range(len(values))), list(values.values()))
    latency.label_across([f"p{q:g}" for q in _QUANTILES])
    save(folder / "service.svg", ratios, latency)
