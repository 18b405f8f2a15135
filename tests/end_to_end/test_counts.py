"""Metrics after a scenario are its exact counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import grpc

from tertium.v1 import decisions_pb2
from tests.rpc.builders import Frames, Response, batched, one_frame, person, recording, solo, told
from tests.rpc.live import ServerProcess, open_call, until

PERSON = (100, 100, 140, 200, 0.9)
VERDICTS = {decisions_pb2.VERDICT_NO: "no", decisions_pb2.VERDICT_MAYBE: "maybe", decisions_pb2.VERDICT_YES: "yes"}


async def play(channel: grpc.aio.Channel, name: str, messages: list[Frames], **changes: object) -> Response:
    call = await open_call(channel, stream_id=name, **changes)
    return told([*(await call.play(messages)), await call.close()])


async def test_metrics_are_the_exact_counts_of_what_happened(tmp_path: Path) -> None:
    people, cars = recording(1), recording(2)
    with ServerProcess(tmp_path, TERTIUM_GROUPS="default,north", TERTIUM_CLASSES="person,car") as server:
        async with grpc.aio.insecure_channel(server.listen) as channel:
            first = await play(channel, "a", people, class_names={1: "person"})
            second = await play(channel, "b", list(batched(cars, 8)), class_names={1: "car"}, group="north")
            third = await play(channel, "c", people, class_names={1: "giraffe"}, group="nowhere")
            bad = one_frame(3, [(5, 5, 1, 1, 0.5)])
            refused = [
                person(0),
                person(0),
                bad,
                one_frame(200, [PERSON], time=10**15),
                person(4),
                one_frame(201, time=0),
            ]
            await play(channel, "d", refused, class_names={1: "person"}, group="north")
            holding = await open_call(channel, stream_id="e", group="north")
            await holding.ask(person(0))

            assert server.sample("tertium_streams_active", group="north") == 1
            assert server.sample("tertium_tracks_active", group="north") == 1
            frames = {
                group: server.sample("tertium_frames_received_total", group=group)
                for group in ("default", "north", "other")
            }
            assert frames == {"default": 80, "north": 80 + 6 + 1, "other": 80}
            rejected = {
                reason: server.sample("tertium_frames_rejected_total", group="north", reason=reason)
                for reason in ("late", "duplicate", "gap", "invalid", "overload")
            }
            # Frame 200 comes eleven days after frame 0; frame 201 lies before it in time.
            assert rejected == {"late": 1, "duplicate": 1, "gap": 2, "invalid": 1, "overload": 0}
            assert_decisions(server, "car", Counter(second.decisions.verdicts))
            assert_decisions(server, "other", Counter(third.decisions.verdicts))
            own = Counter(first.decisions.verdicts)
            people_total = server.sample("tertium_detections_received_total", **{"class": "person"})
            assert people_total == sum(own.values()) + 3  # frames 0 and 200 of d, frame 0 of e
            ends = closed(first) + closed(second) + closed(third)
            assert server.sample("tertium_tracks_closed_total", reason="evicted") == 0
            assert (
                server.sample("tertium_tracks_closed_total", reason="stream_ended")
                >= ends[decisions_pb2.TrackEvent.REASON_STREAM_ENDED]
            )
            messages = 80 + 10 + 80 + 6 + 1
            assert server.sample("tertium_fusion_latency_seconds_count") == messages
            assert server.sample("grpc_server_msg_received_total", **DECIDE) == messages + 5
            # A message is counted when it is on its way: its caller may know of it first.
            await until(lambda: server.sample("grpc_server_msg_sent_total", **DECIDE) == messages + 5 + 4)
            holding.cancel()
    assert first == solo(people, stream_id="a", class_names={1: "person"})


DECIDE = {"grpc_type": "bidi_stream", "grpc_service": "tertium.v1.DecisionService", "grpc_method": "Decide"}


def assert_decisions(server: ServerProcess, name: str, expected: Counter[decisions_pb2.Verdict]) -> None:
    for number, verdict in VERDICTS.items():
        labels = {"class": name, "verdict": verdict, "reason": "threshold"}
        assert server.sample("tertium_decisions_total", **labels) == expected[number]


def closed(total: Response) -> Counter[int]:
    """Ends of announced tracks, by reason; candidates end silently."""
    return Counter(event.reason for event in total.events if event.type == decisions_pb2.TrackEvent.TYPE_ENDED)
