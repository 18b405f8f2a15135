"""The figures of an evaluation as tables for people, on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .console import messages, plain

if TYPE_CHECKING:
    from rich.table import Table

_UNITS = {"box": "boxes", "track": "tracks", "frame": "frames"}
_MOST_SLICES = 12


def show(found: dict[str, Any]) -> None:
    """All tables."""
    console = messages()
    _policy(found)
    if "against" in found:
        _policy(found["against"])
        console.print(_differences(found["difference"]["units"]))
    around = found["intervals"]
    blocks = "sequences" if around["of"] == "sequence" else "blocks of frames"
    console.print(
        f"Boxes matched by falling {found['matching']['rule']}, IoU {found['matching']['iou']:g}; intervals of "
        f"{around['level']:.0%} over {around['blocks']} {blocks}.",
        soft_wrap=True,
    )
    for warning in found["warnings"]:
        console.print(f"[yellow]warning[/yellow] {plain(warning)}", soft_wrap=True)


def _policy(found: dict[str, Any]) -> None:
    console, policy = messages(), found["policy"]
    console.print(f"policy {plain(policy['name'])} {policy['version']}", style="bold")
    console.print(_figures(found["units"]))
    console.print(_more(found))
    console.print(_confusion(found["confusion"]))
    for way, parts in found["slices"].items():
        if len(parts) > 1:
            console.print(_slices(way, parts))
    for name, values in found["metrics"].items():
        said = ", ".join(
            f"{plain(key)} {_figure(value)}" if key != "value" else _figure(value) for key, value in values.items()
        )
        console.print(f"{plain(name)}: {said}", soft_wrap=True)


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # slow to load
    from rich.table import Table  # noqa: PLC0415  # likewise

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place, overflow="fold")
    return table


def _rows_of(units: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    for unit, parts in units.items():
        rows.append((_UNITS[unit], parts["overall"]))
        if len(parts["classes"]) > 1:
            rows += [(f"  {plain(name)}", one) for name, one in parts["classes"].items()]
    return rows


def _figures(units: dict[str, Any]) -> Table:
    """What the verdicts are worth."""
    table = _table("", "objects", "precision of YES", "recall of YES", "F1 of YES", "recall with MAYBE", "cases MAYBE")
    for name, one in _rows_of(units):
        around = one["intervals"]
        table.add_row(
            name,
            f"{one['objects']:,}",
            *(_with(one["yes"][key], around[f"yes.{key}"]) for key in ("precision", "recall", "f1")),
            _with(one["yes_and_maybe"]["recall"], around["yes_and_maybe.recall"]),
            f"{one['maybe']:,}\n{_percent(one['maybe_share'])}",
        )
    return table


def _more(found: dict[str, Any]) -> Table:
    """What the probabilities are worth, and how long YES takes."""
    table = _table("", "best F1", "AP", "log loss", "calibration error", "until YES, median")
    delay = found["delay"]
    for name, one in _rows_of(found["units"]):
        around = one["intervals"]
        waits = delay["overall"] if name == "tracks" else None
        table.add_row(
            name,
            *(
                _with(one.get(key), around.get(key)) if key in one else "–"
                for key in ("best_f1", "average_precision", "log_loss", "calibration_error")
            ),
            "–" if waits is None or waits["frames"]["median"] is None
            else f"{waits['frames']['median']:g} frames, {waits['seconds']['median']:.2f} s\nnever: {waits['never_yes']}",
        )  # fmt: skip
    return table


def _confusion(matrix: dict[str, Any]) -> Table:
    table = _table("there was ↓  said →", *map(plain, matrix["columns"]))
    for name, counts in zip(matrix["rows"], matrix["counts"], strict=True):
        table.add_row(plain(name), *(f"{count:,}" for count in counts))
    return table


def _slices(way: str, parts: dict[str, Any]) -> Table:
    table = _table(f"by {way}", "objects", "precision of YES", "recall of YES", "F1 of YES", "cases MAYBE")
    for name, one in list(parts.items())[:_MOST_SLICES]:
        table.add_row(
            plain(name),
            f"{one['objects']:,}",
            _figure(one["yes"]["precision"]),
            _figure(one["yes"]["recall"]),
            _with(one["yes"]["f1"], one["intervals"]["yes.f1"]),
            f"{one['maybe']:,}\n{_percent(one['maybe_share'])}",
        )
    if len(parts) > _MOST_SLICES:
        table.add_row(f"… {len(parts) - _MOST_SLICES} more", "", "", "", "", "in --json")
    return table


_COMPARED = {
    "yes.precision": "precision of YES",
    "yes.recall": "recall of YES",
    "yes.f1": "F1 of YES",
    "maybe_share": "share of MAYBE",
    "best_f1": "best F1",
    "average_precision": "AP",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def _differences(units: dict[str, Any]) -> Table:
    """The first policy's figures less the second's; in bold what is unlikely to be chance."""
    table = _table("first less second", "figure", "difference", "interval")
    for name, one in _rows_of(units):
        for place, (key, words) in enumerate((key, words) for key, words in _COMPARED.items() if key in one):
            found = one[key]
            value = "–" if found["difference"] is None else f"{found['difference']:+.4f}"
            low, high = found["interval"] or (None, None)
            around = "–" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
            is_sure = low is not None and high is not None and (low > 0.0 or high < 0.0)
            table.add_row("" if place else name, words, f"[bold]{value}[/bold]" if is_sure else value, around)
    return table


def _with(value: float | None, around: list[float] | None) -> str:
    return _figure(value) if around is None else f"{_figure(value)}\n{around[0]:.3f}–{around[1]:.3f}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
