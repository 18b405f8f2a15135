"""Plots of results, as SVG that looks the same each time."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams.update({"svg.hashsalt": "tertium", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
_PANEL = (5.2, 3.8)


class Chart:
    """One panel: what is drawn in it, before it has a place."""

    def __init__(self, title: str, across: str, up: str, *, logarithmic: bool = False) -> None:
        self._title, self._across, self._up = title, across, up
        self._logarithmic = logarithmic
        self._series: list[tuple[str, Sequence[float], Sequence[float], str]] = []
        self._names: Sequence[str] = ()
        self._from_zero = False

    def line(self, name: str, across: Sequence[float], up: Sequence[float]) -> None:
        """A line with a mark at each value."""
        self._series.append((name, across, up, "o-"))

    def curve(self, name: str, across: Sequence[float], up: Sequence[float]) -> None:
        """A line without marks."""
        self._series.append((name, across, up, "-"))

    def points(self, name: str, across: Sequence[float], up: Sequence[float]) -> None:
        """Marks without a line."""
        self._series.append((name, across, up, "kx"))

    def guide(self, name: str, across: Sequence[float], up: Sequence[float]) -> None:
        """A thin line to compare with."""
        self._series.append((name, across, up, "k:"))

    def label_across(self, names: Sequence[str]) -> None:
        """Names the places 0, 1, 2 … of the axis."""
        self._names = names

    def from_zero(self) -> None:
        """Begins the upright axis at zero."""
        self._from_zero = True

    def draw(self, figure: Figure, panels: int, place: int) -> None:
        """Draws it as one of the panels of a figure."""
        axes = figure.add_subplot(1, panels, place)
        for name, across, up, style in self._series:
            axes.plot(across, up, style, label=name, markersize=4, linewidth=1.2)
        if self._logarithmic:
            axes.set_xscale("log")
            axes.set_yscale("log")
        if self._from_zero:
            axes.set_ylim(bottom=0)
        if self._names:
            axes.set_xticks(range(len(self._names)), self._names)
        axes.set_title(self._title)
        axes.set_xlabel(self._across)
        axes.set_ylabel(self._up)
        axes.legend()


class Comparison:
    """One panel: a row for each subject, and on it a dot for each of those that are compared. The one that matters is drawn over the others."""

    def __init__(self, title: str, across: str, subjects: Sequence[str], *, legend: bool = False) -> None:
        self._title, self._across, self._subjects = title, across, subjects
        self._legend = legend
        self._dots: list[tuple[str, Sequence[float], str, bool]] = []

    def dots(self, name: str, values: Sequence[float], colour: str, *, matters: bool = False) -> None:
        """Values of one, by subject; ``colour``: the same in all panels."""
        self._dots.append((name, values, colour, matters))

    def draw(self, figure: Figure, panels: int, place: int) -> None:
        """Draws it as one of the panels of a figure."""
        axes = figure.add_subplot(1, panels, place)
        rows = range(len(self._subjects), 0, -1)
        for name, values, colour, matters in self._dots:
            size, layer = (9, 4) if matters else (5.5, 3)
            axes.plot(values, rows, "D" if matters else "o", label=name, color=colour, markersize=size, zorder=layer)
        axes.set_yticks(rows, self._subjects if place == 1 else [""] * len(self._subjects))
        axes.set_ylim(0.5, len(self._subjects) + 0.5)
        axes.set_title(self._title)
        axes.set_xlabel(self._across)
        if self._legend:
            axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def save(path: Path, *charts: Chart | Comparison) -> None:
    """Draws panels side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(_PANEL[0] * len(charts), _PANEL[1]), layout="constrained")
    for place, chart in enumerate(charts, start=1):
        chart.draw(figure, len(charts), place)
    figure.savefig(path, metadata={"Date": None})
