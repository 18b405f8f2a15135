"""The dashboard of quality: precision and recall with their intervals, what they rest on, and drift."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from panels import HALF, PLAIN, SECONDS, SHARE, THIRD, Panel, Query, band, board, choice, filled, heat, lines, one_of

_CLASS = 'class=~"$class"'


def quality(others: Sequence[tuple[str, str]]) -> dashboard.Dashboard:
    """The whole dashboard."""
    about = "Precision and recall of what the system finally says, by audits of random tracks, with 95 % intervals."
    made = (
        board("tertium-quality", "Tertium: quality", about, others)
        .with_variable(choice("class", "Class", "tertium_precision_estimate_ratio"))
        .with_variable(one_of("window", "Window", ("1h", "1d", "7d"), "1d"))
    )
    return filled(
        made, [("Precision", _precision()), ("Recall", _recall()), ("What it rests on", _basis()), ("Drift", _drift())]
    )


def _precision() -> list[Panel]:
    why = (
        "Of tracks that were said to be real, the share that is. The band is the audit's 95 % interval: where it is wide, review more. "
        "By probabilities (calibrated) it is exact, and blind to drift."
    )
    return [band("Precision of $class", why, "precision", "precision_target_ratio")]


def _recall() -> list[Panel]:
    why = (
        "Of real objects that became a track, the share that was said to be real. Objects that the detector never fired on are only "
        "seen by audits of whole frames (frame_audit) and by labelled frames (truth)."
    )
    return [band("Recall of $class", why, "recall", "recall_target_ratio")]


def _basis() -> list[Panel]:
    return [
        lines(
            "Effective samples",
            "As many equally weighed reviews would say as much. Below about 30 there is no estimate.",
            [
                Query(
                    f'max by (class, method) (tertium_precision_estimate_effective_samples{{{_CLASS}, window="$window"}})',
                    "precision, {{class}}, {{method}}",
                ),
                Query(
                    f'max by (class, method) (tertium_recall_estimate_effective_samples{{{_CLASS}, window="$window"}})',
                    "recall, {{class}}, {{method}}",
                ),
            ],
        ),
        lines(
            "Audit weight coverage, last day",
            "What the reviewed stand for, of what there was: about 1. Far off: audits starve in the queue, or got lost, and estimates are biased.",
            [
                Query(
                    f"class_stratum:tertium_audit_weight_coverage:ratio_increase1d{{{_CLASS}}}",
                    "{{class}}, {{stratum}}",
                )
            ],
            SHARE,
        ),
        lines(
            "Decided tracks",
            "The population that audits stand for, by what the machine alone would have said.",
            [
                Query(
                    f"sum by (stratum) (increase(tertium_audit_population_total{{{_CLASS}}}[$__rate_interval]))",
                    "{{stratum}}",
                )
            ],
            span=THIRD,
            stacked=True,
        ),
        lines(
            "Reviewed tracks",
            "By what became of the final verdict.",
            [
                Query(
                    f"sum by (outcome) (increase(tertium_reviewed_total{{{_CLASS}}}[$__rate_interval]))", "{{outcome}}"
                )
            ],
            span=THIRD,
            stacked=True,
        ),
        lines(
            "Age of the estimates",
            "They are computed by one process, from the store.",
            [
                Query("time() - max(tertium_estimate_updated_timestamp_seconds)", "age"),
                Query("max(tertium_threshold:estimate_age_seconds)", "threshold"),
            ],
            SECONDS,
            span=THIRD,
        ),
        lines(
            "Cross-check by counters, last day",
            "The same without intervals, from what Prometheus has counted since servers started.",
            [
                Query(f"class:tertium_precision_weighted:ratio_increase1d{{{_CLASS}}}", "precision, {{class}}"),
                Query(f"class:tertium_recall_weighted:ratio_increase1d{{{_CLASS}}}", "recall, {{class}}"),
            ],
            SHARE,
            span=HALF,
            most=1.0,
        ),
    ]


def _drift() -> list[Panel]:
    return [
        lines(
            "Audit less calibrated",
            "Where audits and probabilities part, scores mean something else than when the policy was tuned: tune again.",
            [
                Query(
                    f'class_window:tertium_precision_gap:ratio{{{_CLASS}, window="$window"}}', "precision, {{class}}"
                ),
                Query(f'class_window:tertium_recall_gap:ratio{{{_CLASS}, window="$window"}}', "recall, {{class}}"),
            ],
            SHARE,
            least=None,
        ),
        lines(
            "Population stability index of scores",
            "The last day's decided tracks against those of tuning; NaN: too few, or the policy has no reference.",
            [
                Query(f"max by (class) (tertium_score_population_stability_index{{{_CLASS}}})", "{{class}}"),
                Query("max(tertium_threshold:population_stability_index)", "threshold"),
            ],
            PLAIN,
        ),
        heat(
            "Scores of decided tracks",
            "P(real object) when they were decided.",
            f"sum by (le) (increase(tertium_decision_score_ratio_bucket{{{_CLASS}}}[$__rate_interval]))",
            SHARE,
        ),
        lines(
            "Share of tracks in doubt, last hour",
            "What people are asked about.",
            [
                Query(f"class:tertium_maybe_share:ratio_increase1h{{{_CLASS}}}", "{{class}}"),
                Query("max(tertium_threshold:maybe_share_ratio)", "threshold"),
            ],
            SHARE,
        ),
        lines(
            "Length of tracks",
            "Frames from a track's first to its decision, mean of the last hour, beside the last week's.",
            [
                Query(
                    "sum(increase(tertium_decision_evidence_frames_sum[1h])) / sum(increase(tertium_decision_evidence_frames_count[1h]))",
                    "last hour",
                ),
                Query(
                    "sum(increase(tertium_decision_evidence_frames_sum[7d])) / sum(increase(tertium_decision_evidence_frames_count[7d]))",
                    "last week",
                ),
            ],
        ),
        lines(
            "Tracks without a detection, last hour",
            "Of established tracks that should be seen, the share that is not: a detector that begins to miss.",
            [
                Query("group:tertium_track_misses:ratio1h", "{{group}}"),
                Query("max(tertium_threshold:miss_ratio)", "threshold"),
            ],
            SHARE,
        ),
    ]
