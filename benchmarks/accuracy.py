"""Measures what fused probabilities are worth beside scores and rules of thumb, on labelled recordings: ``make accuracy DATA="FOLDER …"``.

A FOLDER holds one detector's labelled recordings, or is a folder of such folders; its format is found out, or given as in mot:FOLDER. Each sequence
is judged by a policy fitted without it, as ``tertium tune`` fits it. Rules see the same tracks and the same matches (by falling score of the
detector, IoU 0.5). F1, AP and bands are taken sequence by sequence, each at its own best threshold, and weighted by objects: probabilities of
different folds have different intercepts, and pooling them would hide gains and losses alike. Pooled figures are in the JSON beside them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.plots import Comparison, save
from harness.report import Bound, describe_machine, print_table, write_json
from scoring.reading import read_sets
from scoring.runs import CALIBRATED, FUSED, RAW, Effort, measure

_RESULTS = Path(__file__).parent / "results"
_COLOURS = ("#888888", "#444444", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#d00000")
"""Of rules, in the order of the tables: those of Okabe and Ito, which people tell apart who see few colours, and red for ours."""
_HEAD = (
    "rule",
    "F1",
    "AP",
    "log loss",
    "ECE",
    "R@90",
    "R@95",
    "R@98",
    "maybe",
    "tracks",
    "98/2",
    "tracks",
    "until YES",
    "never",
)


def rows_of(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each class of each data set, by a name for people, with its figures by rule."""
    rows = []
    for name, data in results["data"].items():
        alone = len(data["classes"]) == 1
        rows += [(name if alone else f"{name} {kind}", figures["rules"]) for kind, figures in data["classes"].items()]
    return rows


def averages(rows: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Of each rule over data sets and classes, each counting alike. Losses as shares of the calibrated score's, and then averaged."""
    plain = ("f1", "average_precision", "calibration_error", "band", "narrow_band")
    return {
        rule: {
            **{key: sum(rules[rule][key] for _, rules in rows) / len(rows) for key in plain},
            "log_loss_share": sum(rules[rule]["log_loss"] / rules[CALIBRATED]["log_loss"] for _, rules in rows)
            / len(rows),
        }
        for rule in rows[0][1]
    }


def bounds(rows: Sequence[tuple[str, dict[str, Any]]]) -> list[Bound]:
    """What fused probabilities must reach, everywhere and on average."""
    found = []
    for name, rules in rows:
        raw, calibrated, fused = rules[RAW], rules[CALIBRATED], rules[FUSED]
        found += [
            Bound(f"{name}: F1 over the calibrated score's", fused["f1"] - calibrated["f1"], -0.001, "", at_least=True),
            Bound(
                f"{name}: AP over the raw score's",
                fused["average_precision"] - raw["average_precision"],
                -0.001,
                "",
                at_least=True,
            ),
            Bound(
                f"{name}: log loss as a share of the calibrated score's",
                fused["log_loss"] / calibrated["log_loss"],
                0.97,
                "",
            ),
        ]
    mean = averages(rows)
    raw, fused = mean[RAW], mean[FUSED]
    found += [
        Bound("average: F1 over the raw score's", fused["f1"] - raw["f1"], 0.008, "", at_least=True),
        Bound("average: log loss as a share of the calibrated score's", fused["log_loss_share"], 0.85, ""),
        Bound(
            "average: maybe band as a share of the raw score's",
            fused["band"] / raw["band"] if raw["band"] else 0.0,
            0.65,
            "",
        ),
        Bound("average: expected calibration error", fused["calibration_error"], 0.03, ""),
    ]
    others = [name for name in mean if name not in {RAW, CALIBRATED, FUSED}]
    for key, word in (("f1", "F1"), ("average_precision", "AP")):
        best = max(others, key=lambda name: mean[name][key])
        found.append(
            Bound(
                f"average: {word} over the best rule's ({best})", fused[key] - mean[best][key], 0.0, "", at_least=True
            )
        )
    best = min(others, key=lambda name: mean[name]["band"])
    found.append(
        Bound(f"average: maybe band over the best rule's ({best})", fused["band"] - mean[best]["band"], 0.0, "")
    )
    return found


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    rows = rows_of(results)
    for name, rules in rows:
        print_table(name, _HEAD, [_row(rule, figures) for rule, figures in rules.items()])
    mean = averages(rows)
    keys = ("f1", "average_precision", "log_loss_share", "calibration_error", "band", "narrow_band")
    print_table(
        f"Average of {len(rows)}",
        ("rule", "F1", "AP", "log loss/calibrated", "ECE", "maybe", "98/2"),
        [(rule, *(_digits(figures[key]) for key in keys)) for rule, figures in mean.items()],
    )


def _row(rule: str, figures: dict[str, Any]) -> tuple[object, ...]:
    until = figures["frames_until_yes"]
    keys = ("f1", "average_precision", "log_loss", "calibration_error")
    return (
        rule,
        *(_digits(figures[key]) for key in keys),
        *(_digits(recall) for recall in figures["recall_at_precision"].values()),
        f"{figures['band']:.1%}", figures["band_tracks"], f"{figures['narrow_band']:.1%}", figures["narrow_band_tracks"],
        "-" if until["median"] is None else f"{until['median']:.0f} ({until['nine_of_ten']:.0f})",
        "-" if until["never"] is None else f"{until['never']:.0%}",
    )  # fmt: skip


def _digits(value: float) -> str:
    return f"{value:.4f}"


def plot(results: dict[str, Any], path: Path) -> None:
    """Draws what each rule gains over the raw score, data set by data set."""
    rows = rows_of(results)
    names = [name.replace("_", " ") for name, _ in rows]
    kinds: tuple[tuple[str, str, Callable[[Any, str], float]], ...] = (
        ("Best F1", "points over the raw score", lambda rules, rule: 100 * (rules[rule]["f1"] - rules[RAW]["f1"])),
        (
            "Average precision",
            "points over the raw score",
            lambda rules, rule: 100 * (rules[rule]["average_precision"] - rules[RAW]["average_precision"]),
        ),
        (
            "Log loss",
            "share of the calibrated score's",
            lambda rules, rule: rules[rule]["log_loss"] / rules[CALIBRATED]["log_loss"],
        ),
        ("Maybe band (95/5)", "% of boxes", lambda rules, rule: 100 * rules[rule]["band"]),
    )
    charts = []
    for place, (title, across, value) in enumerate(kinds):
        chart = Comparison(title, across, names, legend=place == len(kinds) - 1)
        for rule, colour in zip(rows[0][1], _COLOURS, strict=True):
            chart.dots(rule, [value(rules, rule) for _, rules in rows], colour, matters=rule == FUSED)
        charts.append(chart)
    save(path, *charts)


def _tell(name: str, text: str) -> None:
    print(f"  {name}: {text}", file=sys.stderr)


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data",
        nargs="+",
        metavar="[FORMAT:]FOLDER",
        help="labelled recordings of one detector, or a folder of such folders",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time; the figures are the same")
    parser.add_argument(
        "--sweeps", type=int, default=0, help="how hard evidence parameters are searched for; 0, as tertium tune does"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder to write to")
    parser.add_argument(
        "--unguarded",
        action="store_true",
        help="fit every class in full, whatever folds of the training sequences say; faster",
    )
    parser.add_argument(
        "--lag", type=int, default=0, help="frames that answers wait for, to be smoothed: a policy's decision_lag"
    )
    options = parser.parse_args()
    effort = Effort(sweeps=options.sweeps, guarded=not options.unguarded, jobs=options.jobs, lag=options.lag)
    results: dict[str, Any] = {"machine": describe_machine(), "decision_lag": options.lag, "data": {}}
    for argument in options.data:
        for name, labelled in read_sets(argument):
            started = time.monotonic()
            results["data"][name] = measure(labelled, effort, partial(_tell, name))
            _tell(name, f"{time.monotonic() - started:.0f} s")
    show(results)
    rows = rows_of(results)
    checked = bounds(rows)
    print("\nBounds")
    for bound in checked:
        print(f"  {bound}")
    results["average"] = averages(rows)
    results["bounds"] = [
        {"name": one.name, "value": one.value, "limit": one.limit, "met": one.holds} for one in checked
    ]
    write_json(options.out / "accuracy.json", results)
    plot(results, options.out / "accuracy.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
