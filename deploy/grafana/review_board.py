"""The dashboard of review: the queue, the people, and what is exchanged with others."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from panels import PER_SECOND, SECONDS, THIRD, Panel, Query, board, filled, lines, number, quantiles

_RATE = "[$__rate_interval]"


def review(others: Sequence[tuple[str, str]]) -> dashboard.Dashboard:
    """The whole dashboard."""
    made = board(
        "tertium-review", "Tertium: review", "The queue, the people, and what is exchanged with others.", others
    )
    return filled(made, [("", _head()), ("Queue", _queue()), ("People", _people()), ("Behind it", _behind())])


def _head() -> list[Panel]:
    return [
        number(
            "Cases that wait",
            "Of all sources, leased ones too. Gold cases, which are never done, are left out.",
            [Query('sum(max by (source, state) (tertium_review_cases{source!="gold"}))')],
        ),
        number(
            "Oldest",
            "How long it has waited.",
            [Query("max(source:tertium_review_oldest_open:age_seconds) or vector(0)")],
            SECONDS,
        ),
        number("Votes, last hour", "By all reviewers.", [Query("sum(increase(tertium_review_votes_total[1h]))")]),
        number(
            "Opened, last hour",
            "Cases of this hour's tracks.",
            [Query("sum(increase(tertium_review_cases_created_total[1h]))")],
        ),
        number(
            "Deadlines missed, last day",
            "The policy's default holds.",
            [Query("sum(increase(tertium_review_deadline_missed_total[1d]))")],
        ),
        number(
            "Corrections, last day",
            "Final verdicts that people overturned.",
            [Query("sum(increase(tertium_decision_revisions_total[1d]))")],
        ),
    ]


def _queue() -> list[Panel]:
    return [
        lines(
            "Cases that wait",
            "By source. Every server of a store tells the same: the largest is shown.",
            [Query('max by (source) (sum by (instance, source) (tertium_review_cases{source!="gold"}))', "{{source}}")],
            stacked=True,
        ),
        lines(
            "By state",
            "Second reviews and escalations are votes against the machine that wait for another.",
            [Query('max by (state) (sum by (instance, state) (tertium_review_cases{source!="gold"}))', "{{state}}")],
            stacked=True,
        ),
        lines(
            "Age of the oldest",
            "The threshold is that of the alert TertiumReviewQueueStale.",
            [
                Query("source:tertium_review_oldest_open:age_seconds", "{{source}}"),
                Query("max(tertium_threshold:queue_age_seconds)", "threshold"),
            ],
            SECONDS,
        ),
        lines(
            "Opened and voted",
            "Where more is opened than voted, the queue grows.",
            [
                Query(f"sum(rate(tertium_review_cases_created_total{_RATE}))", "opened"),
                Query(f"sum(rate(tertium_review_votes_total{_RATE}))", "votes"),
            ],
            PER_SECOND,
        ),
    ]


def _people() -> list[Panel]:
    return [
        lines(
            "Votes",
            "By answer.",
            [Query(f"sum by (vote) (rate(tertium_review_votes_total{_RATE}))", "{{vote}}")],
            PER_SECOND,
            span=THIRD,
            stacked=True,
        ),
        lines(
            "Against the machine",
            "Share of votes on audits that say otherwise.",
            [
                Query(
                    f'sum by (source) (rate(tertium_review_disagreements_total{{source=~"audit_.*"}}{_RATE}))'
                    f' / sum by (source) (rate(tertium_review_votes_total{{source=~"audit_.*"}}{_RATE}))',
                    "{{source}}",
                )
            ],
            "percentunit",
            span=THIRD,
        ),
        lines(
            "Cases whose answer is known",
            "Wrong answers measure reviewers.",
            [Query(f"sum by (result) (increase(tertium_review_gold_answers_total{_RATE}))", "{{result}}")],
            span=THIRD,
            stacked=True,
        ),
        lines(
            "From a lease to its vote",
            "How long a look takes.",
            quantiles("tertium_review_handling_seconds_bucket", {0.5: "median", 0.9: "90 %"}),
            SECONDS,
            span=THIRD,
        ),
        lines(
            "From the opening of a case to its close",
            "By source.",
            quantiles("tertium_review_resolution_seconds_bucket", {0.9: "90 %"}, by="source"),
            SECONDS,
            span=THIRD,
        ),
        lines(
            "Leases",
            "Expired: somebody left a case lying.",
            [Query(f"sum by (event) (rate(tertium_review_leases_total{_RATE}))", "{{event}}")],
            PER_SECOND,
            span=THIRD,
        ),
    ]


def _behind() -> list[Panel]:
    return [
        lines(
            "Decisions that wait for the store",
            "In memory, and on the disk while the store is away.",
            [Query("sum by (place) (tertium_review_pending_bookings)", "{{place}}")],
            span=THIRD,
        ),
        lines(
            "Store",
            "1: it could be used the last time.",
            [Query("min by (instance) (tertium_review_store_up)", "{{instance}}")],
            span=THIRD,
            most=1.0,
        ),
        lines(
            "Lost",
            "What review could not take in. Anything but 0 biases estimates.",
            [Query(f"sum by (kind) (increase(tertium_review_lost_total{_RATE}))", "{{kind}}")],
            span=THIRD,
        ),
        lines(
            "Since the last exchange",
            "With the webhook and with labelling tools.",
            [
                Query("time() - max by (tool) (tertium_review_sync_last_success_timestamp_seconds)", "{{tool}}"),
                Query("max(tertium_threshold:sync_age_seconds)", "threshold"),
            ],
            SECONDS,
        ),
        lines(
            "Attempts that failed",
            "They are made again.",
            [
                Query(
                    f"sum by (tool, operation) (rate(tertium_review_sync_failures_total{_RATE}))",
                    "{{tool}}, {{operation}}",
                )
            ],
            PER_SECOND,
        ),
    ]
