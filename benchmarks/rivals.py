"""Other trackers' whole update() on the same scenes, one core: in an environment of their own, for they bring OpenCV and more.

Made once in benchmarks/.rivals; what can't be installed is left out, and the results say why. Trackers answer another question than the
engine does (boxes and ids, no probabilities): their figures say what tracking costs in Python, not who is better at it.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from engine import Step
from harness.plots import Chart, save
from harness.report import Bound, print_table
from harness.scenes import crossing

_ENVIRONMENT = Path(__file__).parent / ".rivals"
_WORKER = Path(__file__).parent / "harness" / "rival_worker.py"
_PACKAGES = {"supervision ByteTrack": "supervision", "trackers SORT": "trackers", "norfair": "norfair"}
_SIZES = (20, 100, 500)
_INSTALL_SECONDS = 600
_RUN_SECONDS = 300


def measure(*, quick: bool) -> dict[str, Any]:
    """Microseconds a frame of each tracker that could be installed, beside the engine's."""
    if quick:
        return {"skipped": "not part of a quick run: it installs packages"}
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(_ENVIRONMENT, with_pip=True)
    left_out: dict[str, str] = {}
    figures: dict[str, dict[str, float]] = {"tertium": _ours()}
    with tempfile.TemporaryDirectory() as folder:
        scenes = [_write_scene(Path(folder), size) for size in _SIZES]
        for name, package in _PACKAGES.items():
            reason = _install(python, package)
            outcome = reason or _run(python, name, scenes)
            if isinstance(outcome, str):
                left_out[name] = outcome
            else:
                figures[name] = outcome
    return {"unit": "microseconds a frame", "trackers": figures, "left_out": left_out}


def _ours() -> dict[str, float]:
    figures: dict[str, float] = {}
    for size in _SIZES:
        step = Step(size, 1, quick=True)
        for _ in range(5):
            step.run()
        figures[str(size)] = step.figures()["median"]
    return figures


def _write_scene(folder: Path, size: int) -> Path:
    frames = max(24, min(200, 6000 // size))
    scene = crossing(size, frames)
    path = folder / f"{size}.npz"
    np.savez(path, boxes=scene.boxes.reshape(frames, size, 4), scores=scene.scores.reshape(frames, size))
    return path


def _install(python: Path, package: str) -> str:
    """Installs a package; returns why it could not be, or an empty text."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    return _complaint(command, _INSTALL_SECONDS)[1]


def _run(python: Path, name: str, scenes: Iterable[Path]) -> dict[str, float] | str:
    """Its figures by size, or why there are none."""
    output, complaint = _complaint([str(python), str(_WORKER), name, *map(str, scenes)], _RUN_SECONDS)
    return complaint or dict[str, float](json.loads(output.splitlines()[-1]))


def _complaint(command: list[str], seconds: float) -> tuple[str, str]:
    """What a program prints, and the last line of its complaint if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603 - ours, or pip
    except subprocess.TimeoutExpired:
        return "", f"took longer than {seconds:g} seconds"
    if done.returncode == 0:
        return done.stdout, ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "", lines[-1].strip() if lines else f"ended with {done.returncode}"


def bounds(_results: dict[str, Any]) -> list[Bound]:
    """None: rivals bound nothing."""
    return []


def show(results: dict[str, Any]) -> None:
    """Prints the table."""
    rows = [(name, *(figures[str(size)] for size in _SIZES)) for name, figures in results["trackers"].items()]
    print_table("Whole update, µs a frame", ("tracker", *(f"{size} detections" for size in _SIZES)), rows)
    for name, reason in results["left_out"].items():
        print(f"  {name}: left out. {reason}", file=sys.stderr)


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draws cost against the number of detections."""
    chart = Chart("Whole update of a frame", "detections a frame", "µs a frame", logarithmic=True)
    for name, figures in results["trackers"].items():
        chart.line(name, _SIZES, [figures[str(size)] for size in _SIZES])
    save(folder / "rivals.svg", chart)
