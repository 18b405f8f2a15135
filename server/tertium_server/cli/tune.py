"""`tertium tune`: labelled recordings in, a policy and its figures out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import messages, plain, steps_of, waiting
from .failure import MISUSED, CommandError
from .output import STDOUT, check_places, written
from .recording_options import (
    RESULTS,
    BackendOption,
    ClassNameOption,
    DetectionsFieldOption,
    FpsOption,
    IouOption,
    JobsOption,
    MatchingOption,
    MatchingRule,
    NoCacheOption,
    OptionalDetectionsArgument,
    OptionalFormatOption,
    OptionalTruthArgument,
    Scores,
    ScoresOption,
    SeedOption,
    SequencesOption,
    TruthFieldOption,
    UnitName,
    cache_of,
    check_failed,
    given_besides,
    jobs_of,
    mirrors_of,
    read_pairs,
    reading_of,
)
from .tune_reviews import ReviewTuneRequest

if TYPE_CHECKING:
    from tertium_server.tuning.tune import Tuning

HELP = (
    "Fit a policy to labelled recordings and choose its two thresholds.\n\n"
    "Calibrates scores, fits how evidence is fused and read out by replaying the server's own engine, and says on held-out "
    "sequences what it is worth beside the raw score. Where fusion does not help a class, that class is judged by its calibrated "
    "score alone, and the summary says so.\n\n"
    "[dim]tertium tune recordings/ recordings/ --format mot --out policy.yaml --summary summary.json[/dim]\n\n"
    "With [bold]--reviews[/bold] it is what people answered that tracks are judged by, each answer as often as it stands for: the track "
    "read-out is put right, and the thresholds of tracks are chosen anew. DETECTIONS are then what the server recorded, or left out.\n\n"
    "[dim]tertium tune recordings/ --format tertium --reviews ~/.local/share/tertium --policy policy.yaml --out better.yaml[/dim]"
)

_TUNING = "The tuning"
_REVIEWS = "By what people answered"


_WITH_REVIEWS = frozenset(
    {"detections", "out", "format", "reviews", "policy", "summary", "name", "objective", "bounds", "grid", "seed"}
    | {"no_cache", "sequences"}
)
"""What is asked together with --reviews; all else is of recordings with truth."""


def tune(  # noqa: PLR0913  # the options of the command line
    context: typer.Context,
    detections: OptionalDetectionsArgument = None,
    truth: OptionalTruthArgument = None,
    *,
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="The policy file to write (YAML).", rich_help_panel=RESULTS, show_default=False
        ),
    ],
    format: OptionalFormatOption = None,  # noqa: A002  # the option's name
    reviews: Annotated[
        str | None,
        typer.Option(
            metavar="FROM",
            help="What people answered: the server's data folder, the URL of its store, or a file of "
            "[bold]tertium review export --format jsonl[/bold]. In place of TRUTH.",
            rich_help_panel=_REVIEWS,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The policy whose tracks were reviewed: what is not tuned stays as it has it.",
            rich_help_panel=_REVIEWS,
            show_default="the built-in one",
        ),
    ] = None,
    summary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write all figures as JSON. [bold]-[/bold]: standard output.", rich_help_panel=RESULTS
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a report for people: one HTML page that needs no network.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The policy's name.", rich_help_panel=RESULTS)] = "tuned",
    objective: Annotated[
        str,
        typer.Option(
            metavar="OBJECTIVE",
            help="What the thresholds are for: [bold]f1[/bold]; [bold]targets:precision=.95,recall=.95[,confidence=.9][/bold]; "
            "[bold]cost:fp=5,fn=20,review=1[/bold]; [bold]budget:share=.05[/bold] or [bold]budget:cases_per_hour=40[/bold].",
            rich_help_panel=_TUNING,
        ),
    ] = "f1",
    unit: Annotated[
        list[UnitName] | None,
        typer.Option(
            help="What thresholds are chosen for; may be given several times. Those of boxes and tracks go into the policy, those of "
            "frames are told.",
            rich_help_panel=_TUNING,
            show_default="all three",
        ),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Only thresholds between these.", rich_help_panel=_TUNING),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Only these thresholds, as in 0.1,0.5,0.9 or 0:1:0.1 (start, stop, step); counts at each go into the summary. "
            "Without one every distinct score is tried, which is exact.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    iou_grid: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES", help="IoUs to give figures at, too, as in 0.5:0.95:0.05.", rich_help_panel=_TUNING
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATTERN",
            help="Sequences of such names are a group, with figures and thresholds of its own, which a stream gets that opens with this "
            "group; may be given several times.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Folds of cross-validation, by sequence.",
            show_default="one a sequence, at most 10; of one sequence 5 blocks",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    decision_lag: Annotated[
        int,
        typer.Option(
            min=0,
            max=300,
            metavar="FRAMES",
            help="Have answers wait for so many frames after them, which smooth the evidence; the policy says so to the server. "
            "Whether it is worth the wait differs by detector: compare held-out figures.",
            rich_help_panel=_TUNING,
        ),
    ] = 0,
    matching: MatchingOption = MatchingRule.SCORE,
    iou: IouOption = 0.5,
    seed: SeedOption = 0,
    jobs: JobsOption = None,
    backend: BackendOption = "loky",
    no_cache: NoCacheOption = False,
    sequences: SequencesOption = "*",
    class_name: ClassNameOption = "object",
    scores: ScoresOption = Scores.PROBABILITY,
    fps: FpsOption = None,
    detections_field: DetectionsFieldOption = "",
    truth_field: TruthFieldOption = "",
) -> None:
    """The command; HELP says what it does."""
    if reviews is not None:
        asked = ReviewTuneRequest(
            reviews=reviews, policy=policy, detections=detections, out=out, summary=summary, name=name,
            objective=objective, bounds=bounds, grid=grid, seed=seed, sequences=sequences, no_cache=no_cache,
        )  # fmt: skip
        asked.check(format, given_besides(context, _WITH_REVIEWS))
        asked.run()
        return
    if detections is None or truth is None or format is None:
        named = {"DETECTIONS": detections, "TRUTH": truth, "--format": format}
        missing = ", ".join(option for option, value in named.items() if value is None)
        raise CommandError(f"{missing}: missing; give recordings and their truth, or --reviews", MISUSED)
    if policy is not None:
        raise CommandError("--policy: only with --reviews; recordings with truth are tuned from the start", MISUSED)
    # From here on things are slow to load.
    from tertium_server.policy import dump_policy  # noqa: PLC0415
    from tertium_server.tuning.assigning import parse_groups  # noqa: PLC0415
    from tertium_server.tuning.figures import Matching  # noqa: PLC0415
    from tertium_server.tuning.limits import make_limits, parse_grid  # noqa: PLC0415
    from tertium_server.tuning.matching import Rule  # noqa: PLC0415
    from tertium_server.tuning.objectives import parse_objective  # noqa: PLC0415
    from tertium_server.tuning.tune import TuneOptions  # noqa: PLC0415
    from tertium_server.tuning.tune import tune as tune_policy  # noqa: PLC0415
    from tertium_server.tuning.units import Unit  # noqa: PLC0415

    check_places(out, summary, report)
    options = TuneOptions(
        objective=parse_objective(objective),
        matching=Matching(Rule(matching.value), iou),
        limits=make_limits(bounds, grid),
        units=tuple(Unit(one.value) for one in dict.fromkeys(unit or UnitName)),
        iou_grid=parse_grid(iou_grid, "--iou-grid", least=0.01) if iou_grid else (),
        groups=parse_groups(group or []),
        folds=folds,
        seed=seed,
        jobs=jobs_of(jobs),
        backend=backend,
        cache=cache_of(no_cache),
        name=name,
        decision_lag=decision_lag,
    )
    with steps_of("reading; the first time the engine is compiled, too, for half a minute") as say:
        reading = reading_of(class_name, scores, fps, detections_field, truth_field)
        labelled, unread = read_pairs(detections, truth, format, reading, sequences, mirrors_of(say, no_cache=no_cache))
        tuned = tune_policy(labelled, options, say, failed=unread)
    _show(tuned)
    with written(out) as file:
        file.write(dump_policy(tuned.policy, f"Tuned by tertium for {options.name}: {len(tuned.labelled)} sequences."))
    if summary is not None:
        with written(summary) as file:
            file.write(json.dumps(tuned.summary, indent=2, allow_nan=False) + "\n")
    if report is not None:
        _write_report(report, tuned)
    if out != STDOUT:
        messages().print(f"wrote {plain(out)}, policy {tuned.policy.version}", soft_wrap=True)
    check_failed(tuned.summary["failed_sequences"])


def _write_report(path: str, tuned: Tuning) -> None:
    from tertium_server.tuning.report import write_report  # noqa: PLC0415

    with waiting("Writing the report"), written(path) as file:
        write_report(file, tuned)


_RUNGS = {
    "fitted_half": "little data: boxes are judged half by fused evidence, half by their calibrated score",
    "start": "too little data to fit evidence: that of the built-in policy is kept, and put on the scale of these scores",
    "start_half": "too little data to fit evidence: that of the built-in policy has half a say, the calibrated score the other",
    "score": "fusion does not help on held-out folds; judged by its calibrated score",
}
"""What is said where a class is not on the first rung."""


def _show(tuned: Tuning) -> None:
    """Figures for people, on standard error."""
    from rich.table import Table  # noqa: PLC0415

    summary = tuned.summary
    table = Table(box=None, pad_edge=False)
    for column in ("class", "objects", "F1 by fold: score → fused", "log loss", "box: yes / no", "track: yes / no"):
        table.add_column(column, justify="left" if column == "class" else "right")
    held = summary["held_out"]
    for name, chosen in summary["thresholds"]["classes"].items():
        raw, calibrated, fused = (held[which]["classes"][name] for which in ("raw", "calibrated", "fused"))
        table.add_row(
            plain(name),
            f"{raw['objects']:,}",
            f"{_figure(raw['best_f1_by_fold'])} → {_figure(fused['best_f1_by_fold'])}",
            f"{_figure(calibrated.get('log_loss'))} → {_figure(fused.get('log_loss'))}",
            *(_pair(chosen.get(unit)) for unit in ("box", "track")),
        )
    console = messages()
    folds = summary["folds"]
    console.print(table)
    console.print(
        f"Held out by {folds['unit']}, {folds['count']} folds; boxes matched by falling {summary['matching']['rule']}, "
        f"IoU {summary['matching']['iou']:g}; thresholds for {summary['objective']}.",
        soft_wrap=True,
    )
    _show_gain(held["gain"]["overall"], held["gain_over_calibrated"]["overall"])
    for name, one in summary["guard"].items():
        if one["rung"] in _RUNGS:
            console.print(f"[yellow]{plain(name)}[/yellow]: {_RUNGS[one['rung']]}", soft_wrap=True)
    for warning in summary["warnings"]:
        console.print(f"[yellow]warning[/yellow] {plain(warning)}", soft_wrap=True)


def _show_gain(gain: dict[str, Any], pooled: dict[str, Any]) -> None:
    """What fusion adds over all classes: by fold over the raw score; and with an interval over the calibrated score, which is pooled alike."""
    told = f"Fusion gains {gain['best_f1_by_fold']:+.4f} F1 held out, mean over folds, all classes"
    if pooled["best_f1"] is not None and pooled["best_f1_interval"] is not None:
        low, high = pooled["best_f1_interval"]
        told += f"; with folds pooled {pooled['best_f1']:+.4f} over the calibrated score (95 % interval {low:+.4f} to {high:+.4f})"
    messages().print(f"{told}.", soft_wrap=True)


def _pair(chosen: dict[str, Any] | None) -> str:
    return "–" if chosen is None else f"{chosen['yes']:.3f} / {chosen['no']:.3f}"


def _figure(value: Any) -> str:  # noqa: ANN401  # a number of a JSON tree, or none
    return "–" if value is None else f"{value:.4f}"
