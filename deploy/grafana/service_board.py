"""The dashboard of the service: streams, frames, verdicts, speed."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from panels import (
    PER_SECOND,
    QUARTER,
    SECONDS,
    SHARE,
    Panel,
    Query,
    board,
    choice,
    filled,
    heat,
    lines,
    names,
    number,
    quantiles,
)

_RATE = "[$__rate_interval]"
_GROUP = '{group=~"$group"}'
_LATENCY = "tertium_fusion_latency_seconds_bucket"


def service(others: Sequence[tuple[str, str]]) -> dashboard.Dashboard:
    """The whole dashboard."""
    made = board("tertium-service", "Tertium: service", "Streams, frames, verdicts and speed of all servers.", others)
    rows = [
        ("", _head()),
        ("Traffic", _traffic()),
        ("Verdicts", _verdicts()),
        ("Speed", _speed()),
        ("Processes", _processes()),
    ]
    return filled(made.with_variable(choice("group", "Group", "tertium_streams_active")), rows)


def _head() -> list[Panel]:
    return [
        number("Streams open", "Cameras that are connected now.", [Query(f"sum(tertium_streams_active{_GROUP})")]),
        number(
            "Frames a second",
            "Frames received, refused ones too.",
            [Query(f"sum(rate(tertium_frames_received_total{_GROUP}{_RATE}))")],
            PER_SECOND,
        ),
        number(
            "p99 of a message",
            "From a message of frames, received, to its answer, ready to be sent.",
            [Query("max(tertium_fusion_latency_seconds:p99_5m)")],
            SECONDS,
        ),
        number("Servers up", "Processes that answer Prometheus.", [Query('sum(up{job="tertium"})')]),
        names(
            "Policy in force",
            "Name and version: what decisions are stamped with. More than one: servers differ.",
            [Query("count by (policy, version) (tertium_policy_info)", "{{policy}} {{version}}")],
        ),
    ]


def _traffic() -> list[Panel]:
    return [
        lines(
            "Frames by group",
            "A group that falls to nothing while its streams are open raises TertiumNoFrames.",
            [Query(f"sum by (group) (rate(tertium_frames_received_total{_GROUP}{_RATE}))", "{{group}}")],
            PER_SECOND,
        ),
        lines(
            "Streams by group",
            "Open streams.",
            [Query(f"sum by (group) (tertium_streams_active{_GROUP})", "{{group}}")],
        ),
        lines(
            "Frames refused",
            "By reason. A gap resets its stream, and its frame is taken.",
            [Query(f"sum by (reason) (rate(tertium_frames_rejected_total{_GROUP}{_RATE}))", "{{reason}}")],
            PER_SECOND,
        ),
        lines(
            "Tracks",
            "Alive; established: no candidates any more; coasting: of these, without a detection in the last frame.",
            [
                Query(f"sum(tertium_tracks_active{_GROUP})", "alive"),
                Query(f"sum(tertium_tracks_established{_GROUP})", "established"),
                Query(f"sum(tertium_tracks_coasting{_GROUP})", "coasting"),
            ],
        ),
    ]


def _verdicts() -> list[Panel]:
    otherwise = " + ".join(
        f'sum(rate(tertium_shadow_decisions_total{{active="{verdict}", shadow="{verdict}"}}{_RATE}))'
        for verdict in ("yes", "no", "maybe")
    )
    return [
        lines(
            "Verdicts on boxes",
            "As the machine gave them.",
            [Query(f"sum by (verdict) (rate(tertium_decisions_total{_RATE}))", "{{verdict}}")],
            PER_SECOND,
            stacked=True,
        ),
        lines(
            "Final verdicts on tracks, by whom",
            "A track in doubt is final when a person or a deadline has decided it.",
            [
                Query(
                    f"sum by (verdict, decided_by) (rate(tertium_final_decisions_total{_RATE}))",
                    "{{verdict}} by {{decided_by}}",
                )
            ],
            PER_SECOND,
            stacked=True,
        ),
        lines(
            "Time to a decision",
            "From a track's first news to its decision, by capture times.",
            quantiles("tertium_decision_delay_seconds_bucket", {0.5: "median", 0.9: "90 %"}, by="verdict"),
            SECONDS,
        ),
        lines(
            "Boxes that the policy in the shadow judges otherwise",
            "No data: there is none in the shadow, or nothing to judge.",
            [Query(f"1 - ({otherwise}) / sum(rate(tertium_shadow_decisions_total{_RATE}))", "otherwise")],
            SHARE,
        ),
    ]


def _speed() -> list[Panel]:
    return [
        heat(
            "Latency of messages",
            "From a message of frames, received, to its answer.",
            f"sum by (le) (rate({_LATENCY}{_RATE}))",
            SECONDS,
        ),
        lines(
            "Latency quantiles",
            "The threshold is that of the alert TertiumSlow.",
            [
                *quantiles(_LATENCY, {0.5: "median", 0.99: "99 %"}),
                Query("max(tertium_threshold:latency_p99_seconds)", "threshold"),
            ],
            SECONDS,
        ),
    ]


def _processes() -> list[Panel]:
    return [
        lines(
            "Calls ended",
            "By gRPC status code.",
            [Query(f"sum by (grpc_code) (rate(grpc_server_handled_total{_RATE}))", "{{grpc_code}}")],
            PER_SECOND,
        ),
        lines(
            "Processor",
            "Cores in use by each server process.",
            [Query(f'sum by (instance) (rate(process_cpu_seconds_total{{job="tertium"}}{_RATE}))', "{{instance}}")],
            span=QUARTER,
        ),
        lines(
            "Memory",
            "Resident, of each server process.",
            [Query('sum by (instance) (process_resident_memory_bytes{job="tertium"})', "{{instance}}")],
            "bytes",
            span=QUARTER,
        ),
        lines(
            "Policies changed",
            "Refused: the old one stayed in force.",
            [Query(f"sum by (result) (increase(tertium_policy_reloads_total{_RATE}))", "{{result}}")],
        ),
        lines(
            "Tracks ended",
            "By reason.",
            [Query(f"sum by (reason) (rate(tertium_tracks_closed_total{_RATE}))", "{{reason}}")],
            PER_SECOND,
        ),
    ]
