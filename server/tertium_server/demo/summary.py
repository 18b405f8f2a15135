"""What the demo has shown, in numbers."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tertium_client import Verdict

from .board import STRONG, Board, CameraBoard
from .words import STYLES


def summarize(board: Board) -> RenderableType:
    """A table and a few sentences."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for camera in board.cameras:
        table.add_column(f"{camera.camera.name}: {camera.camera.class_name}s", justify="right")
    for name, style, figures in _rows(board.cameras):
        table.add_row(Text(name, style), *(Text(f"{figure:,}", style) for figure in figures))
    versions = sorted({camera.policy_version for camera in board.cameras if camera.policy_version})
    return Group(
        table,
        *(Text(_sentence(camera)) for camera in board.cameras),
        Text(f"Judged by the built-in policy {', '.join(versions) or '(no frame was judged)'}.", "dim"),
    )


def _rows(cameras: tuple[CameraBoard, ...]) -> list[tuple[str, str, list[int]]]:
    tallies = [camera.tally for camera in cameras]
    rows = [
        ("frames", "", [camera.frames for camera in cameras]),
        ("boxes the detector drew", "", [tally.total for tally in tallies]),
        (f"a threshold of {STRONG:.1f} keeps", "bold", [tally.strong for tally in tallies]),
    ]
    rows += [
        (f"Tertium says {verdict.name}", STYLES[verdict], [tally.boxes[verdict] for tally in tallies])
        for verdict in (Verdict.YES, Verdict.MAYBE, Verdict.NO)
    ]
    confirmed = [camera.confirmed.values() for camera in cameras]
    rows += [
        ("tracks, candidates included", "", [sum(tally.tracks.values()) for tally in tallies]),
        ("… that came to MAYBE at most", STYLES[Verdict.MAYBE], [tally.tracks[Verdict.MAYBE] for tally in tallies]),
        ("… that were ever YES", STYLES[Verdict.YES], [tally.tracks[Verdict.YES] for tally in tallies]),
        ("boxes of the YES tracks", "", [sum(track.boxes for track in tracks) for tracks in confirmed]),
        (
            f"… that the threshold of {STRONG:.1f} keeps",
            "bold",
            [sum(track.strong for track in tracks) for tracks in confirmed],
        ),
        ("boxes it keeps that are not YES", "", [tally.strong_not_yes for tally in tallies]),
    ]
    return rows


def _sentence(camera: CameraBoard) -> str:
    tally, source = camera.tally, camera.camera
    asked, kept = tally.tracks[Verdict.MAYBE], tally.strong
    if not tally.total:
        return f"{source.name}: nothing was seen yet."
    if not camera.confirmed:
        return (
            f"{source.name}: the threshold keeps {kept:,} of {tally.total:,} boxes. Tertium is sure of no {source.class_name} yet; "
            f"it would have a person look at {asked:,} of {sum(tally.tracks.values()):,} tracks."
        )
    boxes = sum(track.boxes for track in camera.confirmed.values())
    found = sum(track.strong for track in camera.confirmed.values())
    return (
        f"{source.name}: {_tracks(len(camera.confirmed))} real. The threshold keeps {found:,} of the {boxes:,} boxes found there, "
        f"and {tally.strong_not_yes:,} boxes that the evidence does not make a YES."
    )


def _tracks(count: int) -> str:
    return "1 track is" if count == 1 else f"{count:,} tracks are"
