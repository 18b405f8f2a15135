"""The summary of a replay: a table for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tertium_server.tuning.summary import SequenceSummary, total

from .console import messages, plain
from .output import written

_STYLES = {"YES": "green", "MAYBE": "yellow", "NO": "red"}


def report(summaries: list[SequenceSummary], policy_version: str, file: str | None) -> None:
    """The table on standard error, and the JSON where wanted."""
    messages().print(_table(summaries, policy_version))
    if file is not None:
        with written(file) as out:
            json.dump(_document(summaries, policy_version), out, indent=2)
            out.write("\n")


def _table(summaries: list[SequenceSummary], policy_version: str) -> Table:
    everything = total(summaries)
    table = Table(
        box=SIMPLE_HEAD,
        show_footer=len(summaries) > 1,
        caption=f"{everything.frames_per_second:,.0f} frames/s · policy {policy_version}",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    footer = _cells(everything)
    table.add_column("sequence", footer[0], overflow="fold")
    for name, foot in zip(("frames", "boxes", "YES", "MAYBE", "NO", "tracks", "YES"), footer[1:], strict=True):
        table.add_column(name, foot, justify="right", style=_STYLES.get(name), no_wrap=True)
    for summary in summaries:
        table.add_row(*_cells(summary))
    return table


def _cells(summary: SequenceSummary) -> tuple[str, ...]:
    return (
        plain(summary.sequence),
        f"{summary.frames:,}",
        f"{summary.detections:,}",
        *(f"{summary.verdicts[name]:,}" for name in ("YES", "MAYBE", "NO")),
        f"{summary.tracks:,}",
        f"{summary.track_verdicts['YES']:,}",
    )


def _document(summaries: list[SequenceSummary], policy_version: str) -> dict[str, Any]:
    return {
        "version": version("tertium"),
        "policy_version": policy_version,
        "sequences": [_figures(summary) for summary in summaries],
        "total": _figures(total(summaries)),
    }


def _figures(summary: SequenceSummary) -> dict[str, Any]:
    return {**asdict(summary), "frames_per_second": summary.frames_per_second}
