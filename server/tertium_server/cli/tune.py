"""`tertium tune`: labelled recordings in, a policy and its figures out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import messages, waiting
from .output import STDOUT, written
from .replay import Format, Scores

if TYPE_CHECKING:
    from tertium_server.tuning.tune import Tuning

HELP = (
    "Fit a policy to labelled recordings and choose its two thresholds.\n\n"
    "Calibrates scores, fits how evidence is fused and read out by replaying the server's own engine, and says on held-out "
    "sequences what it is worth beside the raw score. Where fusion does not help a class, that class is judged by its calibrated "
    "score alone, and the summary says so.\n\n"
    "[dim]tertium tune recordings/ recordings/ --format mot --out policy.yaml --summary summary.json[/dim]"
)

_RECORDING, _TUNING, _RESULTS = "The recording", "The tuning", "Results"


def tune(  # noqa: PLR0913  # the options of the command line
    detections: Annotated[
        Path, typer.Argument(metavar="DETECTIONS", help="What the detector said, as for replay.", show_default=False)
    ],
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH",
            help="What there was to see; may be the same folder. [bold]mot[/bold]: */gt/gt.txt. [bold]kitti[/bold]: labels/.",
            show_default=False,
        ),
    ],
    format: Annotated[  # noqa: A002  # the option's name
        Format, typer.Option(help="The recording's format.", rich_help_panel=_RECORDING, show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The policy file to write (YAML).", rich_help_panel=_RESULTS, show_default=False
        ),
    ],
    *,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write all figures as JSON. [bold]-[/bold]: standard output.", rich_help_panel=_RESULTS
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a report for people: one HTML page that needs no network.",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The policy's name.", rich_help_panel=_RESULTS)] = "tuned",
    objective: Annotated[
        str,
        typer.Option(
            metavar="OBJECTIVE",
            help="What the thresholds are for: [bold]f1[/bold]; [bold]targets:precision=.95,recall=.95[,confidence=.9][/bold]; "
            "[bold]cost:fp=5,fn=20,review=1[/bold]; [bold]budget:share=.05[/bold] or [bold]budget:cases_per_hour=40[/bold].",
            rich_help_panel=_TUNING,
        ),
    ] = "f1",
    iou: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="The IoU from which a box is right.", rich_help_panel=_TUNING)
    ] = 0.5,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Folds of cross-validation, by sequence.",
            show_default="one a sequence, at most 5",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Deals sequences into folds.", rich_help_panel=_TUNING)] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes at a time. The result is the same.", rich_help_panel=_TUNING)
    ] = 1,
    sequences: Annotated[
        str,
        typer.Option(
            metavar="PATTERN", help="Only sequences of such names, as in 'MOT17-0*'.", rich_help_panel=_RECORDING
        ),
    ] = "*",
    class_name: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The class of detections in files that name none (mot).", rich_help_panel=_RECORDING
        ),
    ] = "object",
    scores: Annotated[
        Scores, typer.Option(help="The scale of the scores: 0 to 1, or log-odds.", rich_help_panel=_RECORDING)
    ] = Scores.PROBABILITY,
) -> None:
    """The command; HELP says what it does."""
    # From here on things are slow to load.
    from tertium_server.policy import dump_policy  # noqa: PLC0415
    from tertium_server.tuning.figures import Matching  # noqa: PLC0415
    from tertium_server.tuning.objectives import parse_objective  # noqa: PLC0415
    from tertium_server.tuning.readers import Options, read_labelled  # noqa: PLC0415
    from tertium_server.tuning.tune import TuneOptions  # noqa: PLC0415
    from tertium_server.tuning.tune import tune as tune_policy  # noqa: PLC0415

    options = TuneOptions(
        objective=parse_objective(objective), matching=Matching(iou=iou), folds=folds, seed=seed, jobs=jobs, name=name
    )
    reading = Options(class_name=class_name, logits=scores is Scores.LOGIT)
    labelled = read_labelled(detections, truth, format.value, reading, sequences)
    with waiting("Reading") as say:
        tuned = tune_policy(labelled, options, say)
    _show(tuned)
    with written(out) as file:
        file.write(dump_policy(tuned.policy, f"Tuned by tertium for {options.name}: {len(labelled)} sequences."))
    if summary is not None:
        with written(summary) as file:
            file.write(json.dumps(tuned.summary, indent=2, allow_nan=False) + "\n")
    if report is not None:
        _write_report(report, tuned)
    if out != STDOUT:
        messages().print(f"wrote {out}, policy {tuned.policy.version}", soft_wrap=True)


def _write_report(path: Path, tuned: Tuning) -> None:
    from tertium_server.tuning.report import write_report  # noqa: PLC0415

    with waiting("Writing the report"), written(path) as file:
        write_report(file, tuned)


def _show(tuned: Tuning) -> None:
    """Figures for people, on standard error."""
    from rich.table import Table  # noqa: PLC0415

    summary = tuned.summary
    table = Table(box=None, pad_edge=False)
    for column in ("class", "objects", "F1: score → fused", "log loss", "box: yes / no", "track: yes / no"):
        table.add_column(column, justify="left" if column == "class" else "right")
    held = summary["held_out"]
    for name, chosen in summary["thresholds"]["classes"].items():
        raw, calibrated, fused = (held[which]["classes"][name] for which in ("raw", "calibrated", "fused"))
        table.add_row(
            name,
            f"{raw['objects']:,}",
            f"{_figure(raw['best_f1'])} → {_figure(fused['best_f1'])}",
            f"{_figure(calibrated.get('log_loss'))} → {_figure(fused.get('log_loss'))}",
            *(
                f"{chosen[unit]['yes']:.3f} / {chosen[unit]['no']:.3f}" if unit in chosen else "–"
                for unit in ("box", "track")
            ),
        )
    console = messages()
    folds = summary["folds"]
    console.print(table)
    console.print(
        f"Held out by {folds['unit']}, {folds['count']} folds; boxes matched by falling {summary['matching']['rule']}, "
        f"IoU {summary['matching']['iou']:g}; thresholds for {summary['objective']}.",
        soft_wrap=True,
    )
    for name in summary["fusion_does_not_help"]:
        console.print(
            f"[yellow]{name}[/yellow]: fusion does not help on held-out folds; judged by its calibrated score",
            soft_wrap=True,
        )
    for warning in summary["warnings"]:
        console.print(f"[yellow]warning[/yellow] {warning}", soft_wrap=True)


def _figure(value: Any) -> str:  # noqa: ANN401  # a number of a JSON tree, or none
    return "–" if value is None else f"{value:.4f}"
