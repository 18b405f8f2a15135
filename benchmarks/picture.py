"""Draws the README's picture: a stretch of the shipped recording, the scores of every box, and what the tracks come to.

python benchmarks/picture.py [--out docs/images/tracks.png]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from tertium_server.demo.cameras import Camera, load_cameras
from tertium_server.engine import FrameColumns, StreamEngine, StreamSettings, Workspace
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.tuning.replay import stream_settings

SECONDS = (46.0, 82.0)
THRESHOLD = 0.5
LEAST_HITS = 100
COLOURS = ("#0b6e4f", "#1f5fa8", "#7a3e9d", "#b3541e", "#4a4a4a")
GREY = "#9a9a9a"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One track over time."""

    seconds: Any
    scores: Any
    probability: Any
    lower: Any
    upper: Any


def judge(camera: Camera) -> tuple[Any, Any, list[Curve]]:
    """Seconds and scores of all boxes, and the curves of the tracks with most boxes."""
    settings: StreamSettings = stream_settings(camera.sequence, client_tracks=False)
    engine = StreamEngine(compile_parameters(default_policy(), settings), settings)
    frames = camera.frames()
    columns = FrameColumns.of(
        frames.indices, frames.times, frames.counts, frames.boxes, frames.scores, frames.class_ids
    )
    decisions = engine.advance(columns, Workspace())
    seconds = np.repeat(frames.times / 1e9, frames.counts)
    numbers, counts = np.unique(decisions.track_ids, return_counts=True)
    curves = []
    for number in numbers[counts >= LEAST_HITS]:
        own = decisions.track_ids == number
        interval = decisions.track_lower[own], decisions.track_upper[own]
        curves.append(Curve(seconds[own], frames.scores[own], decisions.track_probabilities[own], *interval))
    return seconds, frames.scores, curves


def draw(out: Path) -> None:
    """Two panels: scores as a threshold sees them, and tracks as Tertium judges them."""
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "tertium", "svg.fonttype": "none"})
    camera = load_cameras()[0]
    seconds, scores, curves = judge(camera)
    thresholds = default_policy().defaults.track.thresholds
    figure, (above, below) = plt.subplots(2, 1, figsize=(9.0, 5.0), sharex=True, layout="constrained")
    above.scatter(seconds, scores, s=3, color=GREY, linewidths=0)
    for curve, colour in zip(curves, COLOURS * 9, strict=False):
        above.scatter(curve.seconds, curve.scores, s=4, color=colour, linewidths=0)
        below.fill_between(curve.seconds, curve.lower, curve.upper, color=colour, alpha=0.15, linewidth=0)
        below.plot(curve.seconds, curve.probability, color=colour, linewidth=1.8)
    above.axhline(THRESHOLD, color="black", linewidth=0.8, linestyle="--")
    above.set(
        ylabel="score",
        ylim=(0, 1),
        title="What the detector says, box by box (grey: boxes of short tracks; dashed: a threshold of 0.5)",
    )
    below.axhspan(thresholds.no, thresholds.yes, color="#f2b544", alpha=0.25, linewidth=0)
    between = 0.5 * (thresholds.yes + thresholds.no)
    for height, shift, word in ((thresholds.yes, 4, "YES"), (between, -3, "MAYBE"), (thresholds.no, -10, "NO")):
        below.annotate(word, (SECONDS[1], height), (4, shift), textcoords="offset points", annotation_clip=False)
    for height in (thresholds.yes, thresholds.no):
        below.axhline(height, color="black", linewidth=0.8)
    title = "What Tertium makes of it: the evidence of each track, with its 95 % interval"
    below.set(xlabel="seconds", ylabel="P(track is real)", ylim=(0, 1), xlim=SECONDS, title=title)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, dpi=110)


def main() -> int:
    """Draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/tracks.png"), help="an .svg or .png file")
    draw(parser.parse_args().out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
