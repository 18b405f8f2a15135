"""What a scrape of /metrics costs, and what making the estimates anew does, with a full store and open streams."""

import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from harness.processes import Server, decision_server
from harness.report import Bound, print_table

import tertium_client
from tertium_server.quality.department import QualityDepartment
from tertium_server.storage import Database, open_store, sqlite_url
from tertium_server.storage.tables import review

MOST_MILLISECONDS = 50.0
"""A scrape must not take longer."""

_ACCEPT = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What Prometheus asks for."""
_PAUSE = 0.02
"""Seconds between scrapes."""
_STREAMS, _CASES, _DECISIONS_A_CASE = 64, 100_000, 10
_CLASSES = ("person", "car", "bicycle", "dog")
_WEEK_MICROS = 7 * 86_400 * 1_000_000


def measure(*, quick: bool) -> dict[str, Any]:
    """Milliseconds of scrapes, of a refresh, and series."""
    cases = _CASES // 10 if quick else _CASES
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(sqlite_url(Path(folder)), synchronous="OFF")
        _fill(store, cases)
        refresh = _time_refreshes(store)
        store.close()
        os.environ["TERTIUM_CLASSES"] = ",".join(_CLASSES)
        with decision_server(data=Path(folder)) as server, ExitStack() as stack:
            client = stack.enter_context(tertium_client.Client(f"127.0.0.1:{server.port}"))
            streams = [
                stack.enter_context(client.open(f"camera {number}", class_names={0: "person"}, nominal_fps=25))
                for number in range(_STREAMS)
            ]
            for stream in streams:
                stream.send(tertium_client.Frame(boxes=np.array([[1, 1, 40, 90]], np.float32), frame_index=0))
            found = _scrape(server, 50 if quick else 300)
    return {"streams": _STREAMS, "cases": cases, "decisions": cases * _DECISIONS_A_CASE, "refresh": refresh, **found}


def _fill(store: Database, cases: int) -> None:
    """Decisions spread over the week, one in ten of them answered."""
    rng = np.random.default_rng(1)
    now = time.time_ns() // 1000
    for first in range(0, cases, 10_000):
        decisions: list[dict[str, Any]] = []
        for number in range(first * _DECISIONS_A_CASE, (first + 10_000) * _DECISIONS_A_CASE):
            stratum = ("auto_yes", "auto_no", "maybe")[number % 3]
            decisions.append({
                "id": f"{number:032x}", "stream_id": f"camera {number % _STREAMS}", "stream_group": "default", "epoch": 1,
                "track_id": number, "class_name": _CLASSES[number % len(_CLASSES)], "policy_version": "1",
                "decided_at": now - int(rng.integers(_WEEK_MICROS)), "frame_index": number, "stratum": stratum,
                "probability": float(rng.random()), "pi": 1.0 if stratum == "maybe" else 0.05,
                "chosen": number % _DECISIONS_A_CASE == 0,
            })  # fmt: skip
        rows = [
            {key: value for key, value in each.items() if key != "chosen"}
            | {
                "class_id": 0, "source": {"auto_yes": "audit_yes", "auto_no": "audit_no"}.get(each["stratum"], "maybe"),
                "machine_verdict": "yes", "default_verdict": "maybe", "first_frame": 0, "opened_at": now, "deadline_at": now,
                "due_rank": 0, "priority": 0.5, "state": "closed", "verdict": "yes", "decided_by": "human",
                "answer": str(rng.choice(("yes", "yes", "yes", "no"))), "double_check": False, "revision": 1,
            }
            for each in decisions if each["chosen"]
        ]  # fmt: skip
        with store.write() as connection:
            connection.execute(review.decisions.insert(), decisions)
            connection.execute(review.cases.insert(), rows)


def _time_refreshes(store: Database) -> dict[str, float]:
    """Milliseconds of the first refresh, which reads the whole week, and of those that follow."""
    department = QualityDepartment(store, _CLASSES)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        department.refresh()
        times.append((time.perf_counter() - started) * 1e3)
    return {"first_ms": times[0], "median_ms": statistics.median(times[1:])}


def _scrape(server: Server, times: int) -> dict[str, Any]:
    milliseconds: list[float] = []
    text = ""
    with httpx.Client(base_url=f"http://{server.metrics}", headers={"accept": _ACCEPT}) as client:
        while "tertium_estimate_updated_timestamp_seconds " not in client.get("/metrics").text:
            time.sleep(0.1)
        idle = _cpu_seconds_of_doing_nothing(server.pid)
        began, busy = time.perf_counter(), _cpu_seconds(server.pid)
        for _ in range(times):
            started = time.perf_counter()
            text = client.get("/metrics").text
            milliseconds.append((time.perf_counter() - started) * 1e3)
            time.sleep(_PAUSE)
        busy = _cpu_seconds(server.pid) - busy - idle * (time.perf_counter() - began)
    series = sum(not line.startswith("#") for line in text.splitlines())
    return {
        "series": series,
        "bytes": len(text),
        "cpu_ms": busy / times * 1e3,
        "median_ms": statistics.median(milliseconds),
        "p99_ms": float(np.quantile(milliseconds, 0.99)),
        "worst_ms": max(milliseconds),
    }


def _cpu_seconds_of_doing_nothing(pid: int) -> float:
    """What a process computes in a second in which nobody asks for anything."""
    before, began = _cpu_seconds(pid), time.perf_counter()
    time.sleep(3.0)
    return (_cpu_seconds(pid) - before) / (time.perf_counter() - began)


def _cpu_seconds(pid: int) -> float:
    """What a process has computed; 0 where /proc is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(results: dict[str, Any]) -> None:
    """Prints the figures."""
    print_table(
        f"Scrapes: {results['streams']} streams, {results['cases']:,} cases, {results['decisions']:,} decisions",
        ("series", "bytes", "CPU ms", "median ms", "p99 ms", "worst ms", "first refresh ms", "next ms"),
        [
            (
                results["series"],
                results["bytes"],
                f"{results['cpu_ms']:.1f}",
                f"{results['median_ms']:.1f}",
                f"{results['p99_ms']:.1f}",
                f"{results['worst_ms']:.1f}",
                f"{results['refresh']['first_ms']:.0f}",
                f"{results['refresh']['median_ms']:.0f}",
            )
        ],
    )


def bounds(results: dict[str, Any]) -> list[Bound]:
    """What has to hold."""
    return [Bound("worst scrape", results["worst_ms"], MOST_MILLISECONDS, "ms")]


def plot(results: dict[str, Any], folder: Path) -> None:
    """Nothing to draw: it is one row of figures."""
    del results, folder


if __name__ == "__main__":
    measured = measure(quick=False)
    show(measured)
    for bound in bounds(measured):
        print(bound)
