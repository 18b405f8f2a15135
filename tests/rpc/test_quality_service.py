"""QualityService on the real server: truth about frames that were decided, in time, late, wrong and again; and estimates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tertium.v1 import decisions_pb2, quality_service_pb2_grpc
from tertium.v1 import quality_service_pb2 as pb
from tertium_server.quality import truths
from tertium_server.review.access import make_or_read_token
from tests.rpc.builders import Frames, Response, batched, one_frame
from tests.rpc.live import Live, ending_of, serving

Box = tuple[float, float, float, float]
CLASSES = {1: "person", 4: "car"}
Row = tuple[float, float, float, float, float]


class Quality:
    """A server's QualityService."""

    def __init__(self, live: Live, folder: Path) -> None:
        self._stub: Any = quality_service_pb2_grpc.QualityServiceStub(live.channel)
        self._shows = [("authorization", f"Bearer {make_or_read_token(folder)}")]

    async def report(self, *requests: pb.ReportTruthRequest) -> pb.ReportTruthResponse:
        response: pb.ReportTruthResponse = await self._stub.ReportTruth(iter(requests), metadata=self._shows)
        return response

    async def estimates(self) -> pb.GetEstimatesResponse:
        response: pb.GetEstimatesResponse = await self._stub.GetEstimates(
            pb.GetEstimatesRequest(), metadata=self._shows
        )
        return response


def world(seed: int, length: int) -> tuple[list[Frames], list[list[Box]]]:
    """Two people of which one flickers, false alarms, cars; and the people's true boxes. Each frame as a message."""
    rng = np.random.default_rng(seed)
    frames, truth = [], []
    for index in range(length):
        people: list[Box] = [(100.0 + index, 100, 140.0 + index, 200), (400, 50, 450, 180)]
        rows: list[Row] = [
            (x1 + rng.normal(0, 2), y1 + rng.normal(0, 2), x2, y2, float(rng.uniform(0.6, 0.95)))
            for x1, y1, x2, y2 in people
            if rng.random() < 0.8
        ]
        rows += [(x, 220.0, x + 40, 300.0, float(rng.uniform(0.1, 0.6))) for x in rng.uniform(0, 500, rng.poisson(0.7))]
        frame = one_frame(index, rows)
        if index % 3 == 0:
            car = one_frame(index, [(500, 200, 600, 260, 0.9)], class_id=4)
            frame.detection_counts[0] += 1
            frame.boxes.extend(car.boxes)
            frame.scores.extend(car.scores)
            frame.class_ids.extend(car.class_ids)
        frames.append(frame)
        truth.append(people)
    return frames, truth


def labelled(index: int, people: Sequence[Box], name: str = "person") -> pb.LabelledFrame:
    objects = [pb.LabelledObject(class_name=name, x1=x1, y1=y1, x2=x2, y2=y2) for x1, y1, x2, y2 in people]
    return pb.LabelledFrame(frame_index=index, objects=objects)


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if min(width, height) <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def expected(frames: Sequence[Frames], responses: Sequence[Response], truth: Sequence[Sequence[Box]]) -> Counter[str]:
    """Counts of people at YES and MAYBE, one box after another: the surest takes the object it overlaps most."""
    counts: Counter[str] = Counter()
    for frame, response, people in zip(frames, responses, truth, strict=True):
        verdicts, probabilities = list(response.decisions.verdicts), list(response.decisions.probabilities)
        own = [place for place, class_id in enumerate(frame.class_ids) if class_id == 1]
        free = list(people)
        for place in sorted(own, key=lambda one: (verdicts[one], probabilities[one]), reverse=True):
            box = frame.boxes[4 * place : 4 * place + 4]
            best = max(free, key=lambda person: overlap(box, person), default=None)
            right = best is not None and overlap(box, best) >= 0.5
            if right:
                free.remove(best)  # type: ignore[arg-type]  # there is one
            if verdicts[place] == decisions_pb2.VERDICT_YES:
                counts["tp" if right else "fp"] += 1
            elif verdicts[place] == decisions_pb2.VERDICT_MAYBE:
                counts["maybe_tp" if right else "maybe_fp"] += 1
        counts["objects"] += len(people)
    counts["fn"] = counts.pop("objects") - counts["tp"]
    return counts


def told(response: pb.ReportTruthResponse, name: str = "person") -> dict[str, int]:
    (found,) = [each for each in response.counts if each.class_name == name]
    return {field: getattr(found, field) for field in ("tp", "fp", "fn", "maybe_tp", "maybe_fp")}


async def test_truth_is_matched_to_what_was_decided_in_time_late_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truths, "SCENE_FRAMES", 4)  # so few frames are one scene otherwise, and one scene says nothing
    frames, truth = world(5, 160)
    async with serving(tmp_path) as live:
        call = await live.open(class_names=CLASSES)
        responses = await call.play(frames)
        quality = Quality(live, tmp_path)
        requests = [
            pb.ReportTruthRequest(
                stream_id="camera", frames=[labelled(index, truth[index]) for index in range(first, first + 40)]
            )
            for first in range(0, 160, 40)
        ]
        response = await quality.report(*requests)
        assert (response.accepted, response.replaced, response.refused) == (160, 0, 0)
        counts = expected(frames, responses, truth)
        assert min(counts["tp"], counts["fn"], counts["maybe_tp"] + counts["maybe_fp"]) > 0
        assert told(response) == {name: counts[name] for name in ("tp", "fp", "fn", "maybe_tp", "maybe_fp")}
        # Nobody labelled the cars: each that was accepted is held against it.
        assert told(response, "car")["tp"] == 0
        assert told(response, "car")["fp"] > 0
        # The same again changes nothing.
        again = await quality.report(requests[0])
        assert (again.accepted, again.replaced) == (40, 40)
        await call.close()
    async with serving(tmp_path, classes=("person",), estimate_seconds=0.2) as live:
        quality = Quality(live, tmp_path)
        late = await quality.report(*requests)
        assert (late.accepted, late.replaced) == (160, 160)
        assert told(late) == told(response)
        assert live.service.oversight is not None
        live.service.oversight.quality.refresh()
        estimates = await quality.estimates()
        (by_truth,) = [
            each
            for each in estimates.estimates
            if (each.class_name, each.window, each.method) == ("person", "1d", "truth")
        ]
        assert by_truth.precision.value == counts["tp"] / (counts["tp"] + counts["fp"])
        assert by_truth.recall.value == counts["tp"] / 320
        value = live.sample("tertium_recall_estimate_ratio", **{"class": "person", "window": "1d", "method": "truth"})
        assert value == by_truth.recall.value
        assert len({(each.class_name, each.window, each.stratum) for each in estimates.strata}) == 3 * 3 * 3


async def test_frames_that_can_not_be_matched_are_refused_by_name_and_the_others_counted(tmp_path: Path) -> None:
    frames, truth = world(6, 20)
    async with serving(tmp_path) as live:
        call = await live.open(class_names=CLASSES, stream_id="gate")
        await call.play(batched(frames, 7))
        quality = Quality(live, tmp_path)
        nothing = pb.LabelledObject(class_name="person", x1=1, y1=1, x2=1, y2=2)
        broken = pb.LabelledObject(class_name="person", x1=math.nan, y1=1, x2=3, y2=2)
        unnamed = pb.LabelledObject(x1=1, y1=1, x2=3, y2=2)
        region = pb.LabelledObject(x1=0, y1=0, x2=640, y2=360, kind=pb.LabelledObject.KIND_REGION)
        response = await quality.report(
            pb.ReportTruthRequest(
                stream_id="gate",
                frames=[
                    labelled(3, truth[3]),
                    labelled(3, []),
                    labelled(99, []),
                    labelled(4, truth[4], "horse"),
                    *(
                        pb.LabelledFrame(frame_index=5 + k, objects=[each])
                        for k, each in enumerate((nothing, broken, unnamed))
                    ),
                    pb.LabelledFrame(frame_index=9, objects=[region]),
                ],
            ),
            pb.ReportTruthRequest(stream_id="nowhere", frames=[labelled(1, [])]),
            pb.ReportTruthRequest(stream_id="gate", epoch=12345, frames=[labelled(1, [])]),
        )
        reasons = {(each.stream_id, each.frame_index): each.reason for each in response.refusals}
        assert reasons == {
            ("gate", 3): pb.RefusedFrame.REASON_REPEATED,
            ("gate", 99): pb.RefusedFrame.REASON_UNKNOWN_FRAME,
            ("gate", 4): pb.RefusedFrame.REASON_UNKNOWN_CLASS,
            ("gate", 5): pb.RefusedFrame.REASON_INVALID_BOX,
            ("gate", 6): pb.RefusedFrame.REASON_INVALID_BOX,
            ("gate", 7): pb.RefusedFrame.REASON_INVALID_BOX,
            ("nowhere", 1): pb.RefusedFrame.REASON_UNKNOWN_FRAME,
            ("gate", 1): pb.RefusedFrame.REASON_UNKNOWN_FRAME,
        }
        # A name is repeated with each refusal: one of a megabyte would make an answer of a gigabyte.
        ending = await ending_of(quality.report(pb.ReportTruthRequest(stream_id=257 * "x", frames=[labelled(1, [])])))
        assert (ending.code, ending.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["stream_id"])
        assert (response.accepted, response.refused) == (2, 8)
        # Frame 9 lies in a region where nothing is judged: all that was counted is frame 3's.
        assert told(response)["tp"] + told(response)["fn"] == len(truth[3])


async def test_a_call_takes_so_many_frames_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertium_server.rpc.quality_service._MOST_FRAMES_A_CALL", 5)
    frames, truth = world(6, 20)
    async with serving(tmp_path) as live:
        call = await live.open(class_names=CLASSES, stream_id="gate")
        await call.play(batched(frames, 7))
        quality = Quality(live, tmp_path)
        first, second = (
            pb.ReportTruthRequest(stream_id="gate", frames=[labelled(index, truth[index]) for index in indices])
            for indices in (range(5), range(5, 8))
        )
        refused = await ending_of(quality.report(first, second))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "make another call" in refused.message
        again = await quality.report(first)
        assert (again.accepted, again.replaced) == (5, 5)
        assert (await quality.report(second)).replaced == 0


async def test_whoever_shows_no_token_and_whoever_asks_for_what_is_not_kept_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, ledger_bytes=0) as live:
        stub: Any = quality_service_pb2_grpc.QualityServiceStub(live.channel)
        nobody = await ending_of(stub.GetEstimates(pb.GetEstimatesRequest()))
        assert nobody.code is grpc.StatusCode.UNAUTHENTICATED
        refused = await ending_of(Quality(live, tmp_path).report(pb.ReportTruthRequest(stream_id="camera")))
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert "--ledger-bytes" in refused.message
    async with serving(tmp_path) as live:
        for request, field in (
            (pb.ReportTruthRequest(), "stream_id"),
            (pb.ReportTruthRequest(stream_id="x", iou=1.5), "iou"),
            (pb.ReportTruthRequest(stream_id="x", least_height=math.nan), "least_height"),
            (pb.ReportTruthRequest(stream_id="x", frames=[labelled(2**63, [])]), "frames[0].frame_index"),
            (pb.ReportTruthRequest(stream_id="x", frames=[labelled(k, []) for k in range(1001)]), "frames"),
        ):
            ending = await ending_of(Quality(live, tmp_path).report(request))
            assert (ending.code, ending.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
