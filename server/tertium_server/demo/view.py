"""The screen of the demo: what is judged now, why, and what happened last."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tertium_client import EventType, Verdict

from .board import Board, CameraBoard, Happening, Track
from .gauges import Gauges
from .words import STYLES, headline, percent, reason, short_reason

_MOST_TRACKS = 8
_CHROME = 4
"""Lines of a camera's panel beside its tracks: two edges, the headings, the sums."""
_EDGES = 2
_FOOTER = 2
_LEAST_EVENTS = 3
_WIDE = 110
"""Columns from which events are told at length."""
_NUMBERS = 57
"""Columns that the table of tracks needs beside the bar."""


class Screen:
    """Draws itself for whatever size the terminal has, 80 × 24 or more."""

    def __init__(self, board: Board, gauges: Gauges, pace: str) -> None:
        self._board = board
        self._gauges = gauges
        self._pace = pace

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All of it, in the height there is."""
        width = options.max_width
        cameras = len(self._board.cameras)
        room = (options.height or console.height) - 1 - _FOOTER - _EDGES - cameras * _CHROME
        tracks = max(1, min(_MOST_TRACKS, (room - _LEAST_EVENTS) // cameras))
        with self._board.lock:
            panels = [_camera(camera, tracks, width) for camera in self._board.cameras]
            events = _events(reversed(self._board.happenings), max(1, room - cameras * tracks), wide=width >= _WIDE)
            happened = self._board.happened
        yield Text.assemble(
            ("Tertium", "bold"), f" judges two recorded cameras at {self._pace}.  ", ("Ctrl-C ends.", "dim")
        )
        yield from panels
        title = f"[bold]What happened, and why[/bold] [dim]newest of {happened:,} first[/dim]"
        yield Panel(events, title=title, title_align="left", box=ROUNDED, border_style="dim")
        yield _metrics(self._gauges)
        yield Text("evidence: log-odds at the track's last event · score: its last box's", "dim")


def _camera(camera: CameraBoard, rows: int, width: int) -> Panel:
    source = camera.camera
    tracks = sorted(camera.alive.values(), key=lambda track: (track.verdict, track.probability), reverse=True)
    named = [track for track in tracks if track.verdict > Verdict.NO]
    bar = max(8, width - _EDGES - 2 - _NUMBERS)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(source.class_name, width=6, justify="right")
    table.add_column("", width=5, justify="right")
    table.add_column("real? 95 % interval", width=bar)
    table.add_column("", width=5, justify="right")
    for name in ("score", "boxes", "misses", "evidence"):
        table.add_column(name, width=max(6, len(name)), justify="right")
    for track in named[:rows]:
        table.add_row(*_cells(track, bar))
    for _ in range(rows - len(named)):
        table.add_row("")
    ended = camera.frames >= source.sequence.length
    progress = "ended" if ended else f"frame {camera.frames:,} of {source.sequence.length:,}"
    return Panel(
        Group(table, _sums(camera, len(named) - rows, len(tracks) - len(named))),
        title=f"[bold]{source.name}[/bold] [dim]{progress}[/dim]",
        title_align="left",
        box=ROUNDED,
        border_style="dim" if ended else "cyan",
    )


def _sums(camera: CameraBoard, hidden: int, candidates: int) -> Text:
    more = f"+{hidden} more, " if hidden > 0 else ""
    tally = f"{more}{candidates} candidates are NO · boxes so far:"
    line = Text.assemble((tally, "dim"), *_counts(camera))
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _counts(camera: CameraBoard) -> Iterable[tuple[str, str]]:
    for verdict in (Verdict.YES, Verdict.MAYBE, Verdict.NO):
        yield f"  {camera.tally.boxes[verdict]:,} {verdict.name}", STYLES[verdict]


def _cells(track: Track, width: int) -> tuple[Text | str, ...]:
    style = STYLES[track.verdict]
    return (
        str(track.number),
        Text(track.verdict.name, f"bold {style}"),
        interval_bar(track.probability, track.lower, track.upper, width, style),
        percent(track.probability),
        f"{track.score:.2f}" if track.seen else Text("unseen", "dim"),
        f"{track.hits:,}",
        f"{track.misses:,}",
        "" if track.evidence is None else f"{track.evidence:+.1f}",
    )


def interval_bar(value: float, lower: float, upper: float, width: int, style: str) -> Text:
    """A scale from 0 to 1: the interval as a thick line on a thin one, the value as a dot."""
    last = width - 1
    first, dot, end = (round(min(max(share, 0.0), 1.0) * last) for share in (lower, value, upper))
    text = Text()
    for place in range(width):
        if place == dot:
            text.append("●", f"bold {style}")
        elif first <= place <= end:
            text.append("━", style)
        else:
            text.append("─", "dim")
    return text


def _events(newest_first: Iterable[Happening], rows: int, *, wide: bool) -> Text:
    """As many of the last events as fit, newest first; of candidates that end as NO there are too many to tell."""
    told = (happening for happening in newest_first if not is_minor(happening))
    lines = [describe(happening, wide=wide) for happening in islice(told, rows)]
    text = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
    text.append("\n" * (rows - max(1, len(lines))))
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def is_minor(happening: Happening) -> bool:
    """Whether it is the end of a track that was no more than a candidate."""
    return happening.event.type is EventType.ENDED and happening.event.to_verdict is Verdict.NO


def describe(happening: Happening, *, wide: bool) -> Text:
    """An event in one line, at length or in short."""
    return Text.assemble(
        (f"{happening.seconds:5.1f} s  ", "dim"),
        (headline(happening), STYLES[happening.event.to_verdict]),
        f"  {reason(happening) if wide else short_reason(happening)}",
    )


def _metrics(gauges: Gauges) -> Text:
    figures = gauges.figures
    said = (
        ""
        if figures is None
        else f"{figures.frames:,} frames · {figures.tracks:,} tracks · {figures.milliseconds:.1f} ms each"
    )
    line = Text.assemble(("Metrics ", "bold"), (gauges.url, "underline"), f"  {said}")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
