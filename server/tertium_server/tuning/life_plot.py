"""A track's life as a picture: probabilities and verdicts, scores and levels, and the parts that add up. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tertium_server.engine import EventType, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .life import LifeFrame

_COLOURS = {Verdict.YES: "#2a9d4a", Verdict.MAYBE: "#e0a100", Verdict.NO: "#c0392b"}
_SIZE = (11.0, 9.0)
_DOTS_PER_INCH = 120
_TITLE: dict[str, Any] = {"loc": "left", "fontsize": 9}
_LEAST_ROOM = 0.02  # of the width, for a word


def draw(frames: Sequence[LifeFrame], title: str, path: Path) -> None:
    """Writes the picture of a life, as the name's ending says: .png or .svg. The same life gives the same file."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    figure.suptitle(title, parse_math=False)  # a name may have dollars in it
    _probabilities(top, frames)
    _levels(middle, frames)
    _parts(bottom, frames)
    bottom.set_xlabel("frame")
    with mpl.rc_context({"svg.hashsalt": "tertium"}):
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Date": None} if path.suffix == ".svg" else None)


def _probabilities(axes: Axes, frames: Sequence[LifeFrame]) -> None:
    at = [one.frame for one in frames]
    for first, last, verdict in _spans(frames):
        axes.axvspan(first - 0.5, last + 0.5, color=_COLOURS[verdict], alpha=0.12, linewidth=0)
    axes.fill_between(at, [one.lower for one in frames], [one.upper for one in frames], color="#34495e", alpha=0.15)
    axes.plot(at, [one.probability for one in frames], color="#34495e", label="track, with its 95 % interval")
    for verdict in (Verdict.NO, Verdict.MAYBE, Verdict.YES):
        boxes = [
            (one.frame, one.box.probability) for one in frames if one.box is not None and one.box.verdict is verdict
        ]
        if boxes:
            at_boxes, values = zip(*boxes, strict=True)
            axes.scatter(at_boxes, values, s=14, color=_COLOURS[verdict], label=f"box, {verdict.name}", zorder=3)
    thresholds = frames[-1].why
    axes.step(
        at,
        [one.why.yes for one in frames],
        "k--",
        linewidth=0.8,
        where="mid",
        label=f"track thresholds ({thresholds.yes:.3g}, {thresholds.no:.3g})",
    )
    axes.step(at, [one.why.no for one in frames], "k--", linewidth=0.8, where="mid")
    _mark_people(axes, frames)
    _write_happenings(axes, frames)
    axes.set_title("What was said of it (background: the verdict on the track)", **_TITLE)
    axes.set_ylim(-0.03, 1.28)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_ylabel("probability")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _mark_people(axes: Axes, frames: Sequence[LifeFrame]) -> None:
    """A bar under the curves for as long as people's answer stood over the machine."""
    ruled = [one for one in frames if one.human is not None]
    if not ruled or ruled[0].human is None:
        return
    verdict = ruled[0].human.verdict
    at = (ruled[0].frame - 0.5, ruled[-1].frame + 0.5)
    axes.plot(
        at, (0.0, 0.0), color=_COLOURS[verdict], linewidth=5, solid_capstyle="butt", label=f"people: {verdict.name}"
    )


def _write_happenings(axes: Axes, frames: Sequence[LifeFrame]) -> None:
    """Names what was told, over the picture; of several that would lie on one another, the last."""
    told = [(one.frame, happening) for one in frames for happening in one.happenings]
    room = (frames[-1].frame - frames[0].frame) * _LEAST_ROOM
    for place, (frame, happening) in enumerate(told):
        if place + 1 < len(told) and told[place + 1][0] - frame <= room:
            continue
        word = "ended" if happening.type is EventType.ENDED else happening.after.name
        axes.annotate(word, (frame, 1.04), rotation=60, fontsize=7, color=_COLOURS[happening.after])


def _spans(frames: Sequence[LifeFrame]) -> Iterator[tuple[int, int, Verdict]]:
    """Stretches of frames with one verdict on the track."""
    first = frames[0]
    for one, following in zip(frames, [*frames[1:], None], strict=True):
        if following is None or following.verdict is not one.verdict:
            yield first.frame, one.frame, one.verdict
            if following is not None:
                first = following


def _levels(axes: Axes, frames: Sequence[LifeFrame]) -> None:
    at = [one.frame for one in frames]
    boxes = [(one.frame, one.box.measurement) for one in frames if one.box is not None]
    at_boxes, values = zip(*boxes, strict=True)  # a track begins with one
    axes.scatter(at_boxes, values, s=14, color="#2c7fb8", label="score, calibrated (z)", zorder=3)
    axes.plot(at, [one.fast.level for one in frames], color="#7fcdbb", label="fast level")
    axes.plot(at, [one.slow.level for one in frames], color="#253494", label="slow level")
    floor = axes.get_ylim()[0]
    for hidden, marker, word in ((False, "x", "miss"), (True, "|", "hidden: no evidence")):
        missed = [one.frame for one in frames if one.box is None and one.hidden is hidden]
        if missed:
            axes.scatter(
                missed,
                [floor] * len(missed),
                marker=marker,
                color="#c0392b" if not hidden else "#888888",
                s=22,
                label=word,
            )
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_title("What was seen: scores on one scale, and the two levels of evidence that follow them", **_TITLE)
    axes.set_ylabel("evidence, log-odds")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _parts(axes: Axes, frames: Sequence[LifeFrame]) -> None:
    """The parts of the track's log-odds on top of one another: what pulls up above the line, what pulls down under it."""
    at = np.array([one.frame for one in frames])
    names = [part.name for part in frames[0].why.parts]
    values = np.array([[part.log_odds for part in one.why.parts] for one in frames])
    shown = [place for place in range(len(names)) if np.abs(values[:, place]).max() > 0.0]
    up, down = np.zeros(len(frames)), np.zeros(len(frames))
    for place in shown:
        part, colour = values[:, place], mpl.colormaps["tab10"](place)
        above, below = np.maximum(part, 0.0), np.minimum(part, 0.0)
        axes.fill_between(at, up, up + above, step="mid", color=colour, alpha=0.75, linewidth=0, label=names[place])
        axes.fill_between(at, down, down + below, step="mid", color=colour, alpha=0.75, linewidth=0)
        up, down = up + above, down + below
    axes.plot(at, values.sum(axis=1), color="black", label="their sum")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_title("What that makes of the track: parts above the line speak for it, parts under it against", **_TITLE)
    axes.set_ylabel("track's log-odds, by part")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
