"""`tertium tune --reviews`: what people answered in, a policy and its figures out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import messages, plain, steps_of
from .failure import MISUSED, CommandError
from .output import STDOUT, check_places, written
from .policy_file import policy_at
from .recording_options import Format, mirrors_of
from .review_store import open_store_of

if TYPE_CHECKING:
    from tertium_server.tuning.reviewed.cases import Reviews


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTuneRequest:
    """What was asked for."""

    reviews: str
    policy: str | None
    detections: str | None
    out: str
    summary: str | None
    name: str
    objective: str
    bounds: str | None
    grid: str | None
    seed: int
    sequences: str
    no_cache: bool

    def check(self, form: Format | None, unfit: list[str]) -> None:
        """Says so where options don't go together.

        Raises:
            CommandError: some don't.
        """
        if unfit:
            raise CommandError(
                f"{', '.join(unfit)}: not with --reviews, which tunes tracks by what people answered", MISUSED
            )
        if self.detections is not None and form is not Format.TERTIUM:
            raise CommandError("--format: with --reviews, DETECTIONS are what a server recorded: give tertium", MISUSED)

    def run(self) -> None:
        """Tunes, and writes what was asked for."""
        from tertium_server.policy import dump_policy  # noqa: PLC0415  # slow to load
        from tertium_server.tuning.limits import make_limits  # noqa: PLC0415
        from tertium_server.tuning.objectives import parse_objective  # noqa: PLC0415
        from tertium_server.tuning.reviewed.recordings import read_runs  # noqa: PLC0415
        from tertium_server.tuning.reviewed.tune import tune_on_reviews  # noqa: PLC0415
        from tertium_server.tuning.reviewed.work import ReviewTuneOptions  # noqa: PLC0415

        check_places(self.out, self.summary)
        options = ReviewTuneOptions(
            objective=parse_objective(self.objective),
            limits=make_limits(self.bounds, self.grid),
            seed=self.seed,
            name=self.name,
        )
        start = policy_at(self.policy)
        with steps_of("reading; the first time the engine is compiled, too, for half a minute") as say:
            runs = (
                None
                if self.detections is None
                else read_runs(self.detections, self.sequences, mirrors_of(say, no_cache=self.no_cache))
            )
            tuned = tune_on_reviews(read_answers(self.reviews, sample=True), start, runs, options, say)
        _show(tuned.summary)
        with written(self.out) as file:
            file.write(dump_policy(tuned.policy, f"Tuned by tertium on {tuned.summary['answers']} answers."))
        if self.summary is not None:
            with written(self.summary) as file:
                file.write(json.dumps(tuned.summary, indent=2, allow_nan=False) + "\n")
        if self.out != STDOUT:
            messages().print(f"wrote {plain(self.out)}, policy {tuned.policy.version}", soft_wrap=True)


def read_answers(where: str, *, sample: bool = False) -> Reviews:
    """Answers of a store (data folder or URL), with how many tracks they are a sample of, or of an exported file.

    ``sample``: without those on tracks that were decided before the ones that are still counted (`serve --case-days`).

    Raises:
        ReviewsError: The file is no export.
        CommandError: There is no store.
    """
    from tertium_server.tuning.reviewed.cases import read_reviews  # noqa: PLC0415  # slow to load

    if "://" in where:
        return _of_store(None, where, sample=sample)
    path = Path(where)
    return _of_store(path, None, sample=sample) if path.is_dir() else read_reviews(path)


def _of_store(folder: Path | None, url: str | None, *, sample: bool) -> Reviews:
    from tertium_server.review.exporting import line_of  # noqa: PLC0415  # loads the store
    from tertium_server.review.reading import decided_since, decided_tracks, reviewed  # noqa: PLC0415
    from tertium_server.tuning.reviewed.cases import Cell, Reviews, tracks_of  # noqa: PLC0415

    with open_store_of(folder, url, option="--reviews") as store:
        with store.read() as connection:
            since = decided_since(connection) if sample else 0
            population = {
                Cell(each.stream_id, each.epoch, each.class_name, each.stratum, each.policy_version): each.count
                for each in decided_tracks(connection)
            }
        tracks = tracks_of(line_of(each) for each in reviewed(store) if each.case.decided_at >= since)
        return Reviews(tracks=tracks, population=population, source=store.name)


def _show(summary: dict[str, Any]) -> None:
    """Figures for people, on standard error."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in ("class", "tracks", "yes / no", "YES precise", "YES recall", "MAYBE"):
        table.add_column(column, justify="left" if column == "class" else "right", no_wrap=True)
    for name, one in summary["classes"].items():
        before, after = one["as_it_was"], one["held_out"] or one["all_data"]
        table.add_row(plain(name))
        for which, figures, pair in (("  before", before, before["thresholds"]), ("  tuned", after, one["thresholds"])):
            table.add_row(
                which,
                f"{figures['tracks']:,.0f}",
                f"{pair['yes']:.3f} / {pair['no']:.3f}",
                *(_told(figures[key]) for key in ("precision_of_yes", "recall_of_yes", "maybe_share")),
            )
    console = messages()
    console.print(table)
    for warning in summary["warnings"]:
        console.print(f"[yellow]{plain(warning)}[/yellow]", soft_wrap=True)
    if not summary["replayed"]:
        console.print("no recordings: tracks have the probability they were decided with", soft_wrap=True)
    console.print(
        f"{summary['answers']:,} answers, with 95 % intervals; tuned: held out, on folds that thresholds were not chosen on. "
        "Recall is over tracks that were decided, not over objects.",
        soft_wrap=True,
    )


def _told(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    low, high = figure["interval"] or (None, None)
    return f"{figure['value']:.2f}" + ("" if low is None else f" {low:.2f}–{high:.2f}")
