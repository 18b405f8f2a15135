"""Messages to values."""

from __future__ import annotations

import numpy as np
import pytest

from tertium.v1 import decision_service_pb2, decisions_pb2
from tertium_client import (
    DecidedBy,
    EventReason,
    EventType,
    NoticeCode,
    ProtocolError,
    TrackEvent,
    Verdict,
    Why,
    values,
)
from tertium_client._decode import answers
from tertium_client._encode import EncodedFrame
from tertium_client._settings import StreamSettings

Event = decisions_pb2.TrackEvent
Notice = decisions_pb2.Notice

PLAIN = StreamSettings(stream_id="s")
ALL = StreamSettings(stream_id="s", include_boxes=True, include_tracks=True, include_coasted=True)


def response(**parts: object) -> decision_service_pb2.DecideResponse:
    return decision_service_pb2.DecideResponse(**parts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a builder


def decisions(counts: list[int], first: int = 0) -> decisions_pb2.Decisions:
    total = sum(counts)
    return decisions_pb2.Decisions(
        frame_indices=range(first, first + len(counts)),
        detection_counts=counts,
        track_ids=range(2**62, 2**62 + total),
        probabilities=[k / 100 for k in range(total)],
        verdicts=[1 + k % 3 for k in range(total)],  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # numbers of Verdict
        policy_version="1-abc",
    )


def test_a_message_is_cut_at_its_frames() -> None:
    first, empty, last = answers(response(decisions=decisions([2, 0, 1], first=7)), [7, 8, 9], PLAIN)
    assert first.decisions is not None
    assert empty.decisions is not None
    assert last.decisions is not None
    assert [answer.frame_index for answer in (first, empty, last)] == [7, 8, 9]
    assert first.decisions.track_ids.tolist() == [2**62, 2**62 + 1]
    assert [len(answer.decisions) for answer in (first, empty, last) if answer.decisions is not None] == [2, 0, 1]
    assert last.decisions.probabilities.tolist() == pytest.approx([0.02])
    assert (last.decisions.verdicts == Verdict.YES).tolist() == [True]
    assert first.decisions.policy_version == "1-abc"
    assert first.decisions.boxes is None
    assert first.decisions.coasted is None
    kinds = [first.decisions.track_ids.dtype, first.decisions.probabilities.dtype, first.decisions.verdicts.dtype]
    assert kinds == [np.int64, np.float32, np.uint8]


def test_arrays_are_read_only() -> None:
    answer = answers(response(decisions=decisions([1])), [0], PLAIN)[0]
    assert answer.decisions is not None
    with pytest.raises(ValueError, match="read-only"):
        answer.decisions.probabilities[0] = 1


def test_what_comes_on_request_is_there_for_every_frame_even_if_it_is_empty() -> None:
    message = decisions([2, 0])
    message.boxes.extend(range(8))
    for field in (message.track_probabilities, message.track_lower, message.track_upper):
        field.extend([0.25, 0.5])
    message.track_verdicts.extend([1, 2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # numbers of Verdict
    message.coasted_counts.extend([0, 1])
    message.coasted_track_ids.append(99)
    message.coasted_boxes.extend([1, 2, 3, 4])
    message.coasted_probabilities.append(0.75)
    message.coasted_verdicts.append(decisions_pb2.VERDICT_MAYBE)
    first, second = (answer.decisions for answer in answers(response(decisions=message), [0, 1], ALL))
    assert first is not None
    assert second is not None
    assert first.boxes is not None
    assert second.boxes is not None
    assert first.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert second.boxes.shape == (0, 4)
    assert first.track_upper is not None
    assert first.track_upper.tolist() == [0.25, 0.5]
    assert first.track_verdicts is not None
    assert first.track_verdicts.tolist() == [1, 2]
    assert first.coasted is not None
    assert second.coasted is not None
    assert first.coasted.boxes.shape == (0, 4)
    assert second.coasted.track_ids.tolist() == [99]
    assert second.coasted.boxes.tolist() == [[1, 2, 3, 4]]
    assert second.coasted.verdicts.tolist() == [Verdict.MAYBE]


def test_refused_frames_have_a_notice_instead_of_decisions() -> None:
    message = response(
        decisions=decisions([1], first=1),
        notices=[
            Notice(code=Notice.CODE_INVALID, frame_index=0, field="frames.boxes[3]", message="m", refused_frames=1),
            Notice(code=Notice.CODE_RESET_GAP, frame_index=1),
        ],
    )
    refused, taken = answers(message, [0, 1], PLAIN)
    assert refused.decisions is None
    assert refused.refusal == values.Notice(NoticeCode.INVALID, 0, "frames.boxes[3]", "m", 1)
    assert taken.refusal is None
    assert [notice.code for notice in taken.notices] == [NoticeCode.RESET_GAP]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("frames.boxes[14]", "boxes[1, 2]"),
        ("frames.scores[3]", "scores[1]"),
        ("frames.class_ids[2]", "class_ids[0]"),
        ("frames.track_ids[2]", "track_ids[0]"),
        ("frames.frame_indices[1]", "frame_index"),
        ("frames.capture_times[1]", "capture_time"),
        ("frames.capture_times", "capture_time"),
        ("frames.detection_counts[1]", "boxes"),
        ("frames.class_ids", "class_ids"),
        ("", ""),
        ("something.else[3]", "something.else[3]"),
    ],
)
def test_a_notice_names_the_field_as_it_stands_in_the_frame_however_frames_were_batched(path: str, meant: str) -> None:
    sent = [EncodedFrame(7, 2, None, b"", None, None, None), EncodedFrame(9, 3, None, b"", None, None, None)]
    message = response(notices=[Notice(code=Notice.CODE_INVALID, frame_index=9, field=path, refused_frames=1)])
    (answer,) = answers(message, [9], PLAIN, sent)
    assert answer.refusal is not None
    assert answer.refusal.field == meant


def test_a_message_refused_as_a_whole_refuses_each_of_its_frames() -> None:
    message = response(notices=[Notice(code=Notice.CODE_LIMIT, field="frames", refused_frames=2)])
    first, second = answers(message, [4, 9], PLAIN)
    assert first.refusal is not None
    assert first.refusal == second.refusal
    assert (first.frame_index, second.frame_index) == (4, 9)


def test_an_event_comes_with_the_frame_that_brought_it_about() -> None:
    events = [Event(track_id=k, frame_index=frame) for k, frame in enumerate([3, 5, 6, 6, 8, 9])]
    first, second, loose = answers(response(decisions=decisions([0, 0], first=5), events=events), [5, 6], PLAIN)
    # What is dated before all of them can only have come of the first.
    assert [event.frame_index for event in first.events] == [3, 5]
    assert [event.track_id for event in second.events] == [2, 3]
    assert loose.frame_index is None
    assert [event.frame_index for event in loose.events] == [8, 9]


def test_what_a_reset_ended_comes_with_the_frame_that_reset_however_frames_were_batched() -> None:
    """The tracks ended at their last frame before; what frame that was decides nothing, nor do refused frames in between."""
    reset = [Event(reason=Event.REASON_RESET, frame_index=5), Event(reason=Event.REASON_RESET, frame_index=8)]
    notices = [
        Notice(code=Notice.CODE_INVALID, frame_index=6, refused_frames=1),
        Notice(code=Notice.CODE_RESET_GAP, frame_index=8),
        Notice(code=Notice.CODE_RESET_TIME_BACKWARDS, frame_index=9),
    ]
    many = decisions([0], first=5)
    many.MergeFrom(decisions([0, 0], first=8))
    batched = answers(response(decisions=many, events=reset, notices=notices), [5, 6, 8, 9], PLAIN)
    assert [(answer.frame_index, len(answer.events)) for answer in batched] == [(5, 0), (6, 0), (8, 1), (9, 1)]
    (single,) = answers(response(decisions=decisions([0], first=8), events=reset[:1], notices=notices[1:2]), [8], PLAIN)
    assert single.events == batched[2].events


def test_all_fields_of_an_event_arrive() -> None:
    why = decisions_pb2.Why(
        probability=0.5,
        lower=0.25,
        upper=0.75,
        threshold=0.5,
        hits=4,
        misses=2,
        evidence_fast=1.5,
        evidence_slow=-1.5,
        score=0.125,
        policy_version="1-a",
    )
    message = Event(
        type=Event.TYPE_VERDICT_CHANGED,
        track_id=2**63 - 1,
        class_id=3,
        frame_index=8,
        first_frame=2,
        from_verdict=decisions_pb2.VERDICT_MAYBE,
        to_verdict=decisions_pb2.VERDICT_YES,
        reason=Event.REASON_THRESHOLD,
        retroactive_from=0,
        why=why,
    )
    (answer,) = answers(response(events=[message]), [], PLAIN)
    assert answer.events == (
        TrackEvent(
            EventType.VERDICT_CHANGED,
            2**63 - 1,
            3,
            8,
            2,
            Verdict.MAYBE,
            Verdict.YES,
            EventReason.THRESHOLD,
            0,
            Why(0.5, 0.25, 0.75, 0.5, 4, 2, 1.5, -1.5, 0.125, "1-a"),
        ),
    )


def test_what_people_decided_of_a_track_comes_with_whatever_frame_is_answered_next() -> None:
    # Its own frame is of long ago, or of another epoch, where frames had larger indices.
    for frame in (3, 10_000):
        event = Event(
            type=Event.TYPE_REVIEWED,
            reason=Event.REASON_REVIEW,
            frame_index=frame,
            from_verdict=decisions_pb2.VERDICT_MAYBE,
            to_verdict=decisions_pb2.VERDICT_NO,
            decided_by=decisions_pb2.DECIDED_BY_HUMAN,
            case_id="c" * 32,
            correction=True,
        )
        first, second = answers(response(decisions=decisions([1, 1], first=8), events=[event]), [8, 9], PLAIN)
        assert second.events == ()
        assert first.events[0].type is EventType.REVIEWED
        assert first.events[0].decided_by is DecidedBy.HUMAN
        assert (first.events[0].case_id, first.events[0].correction) == ("c" * 32, True)


def test_an_event_that_does_not_say_who_decided_was_the_machine() -> None:
    (answer,) = answers(response(decisions=decisions([1]), events=[Event(frame_index=0)]), [0], PLAIN)
    assert answer.events[0].decided_by is DecidedBy.MACHINE


def test_a_name_that_a_newer_server_may_know_does_not_stop_a_stream() -> None:
    message = response(notices=[Notice(code=100)], events=[Event(type=50, reason=51)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # on purpose
    (answer,) = answers(message, [], PLAIN)
    assert answer.notices[0].code is NoticeCode.UNSPECIFIED
    assert (answer.events[0].type, answer.events[0].reason) == (EventType.UNSPECIFIED, EventReason.UNSPECIFIED)


def test_the_names_are_those_of_the_contract() -> None:
    for kind, wire, prefix in (
        (Verdict, decisions_pb2.Verdict, "VERDICT_"),
        (EventType, Event.Type, "TYPE_"),
        (EventReason, Event.Reason, "REASON_"),
        (DecidedBy, decisions_pb2.DecidedBy, "DECIDED_BY_"),
        (NoticeCode, Notice.Code, "CODE_"),
    ):
        assert {prefix + member.name: member.value for member in kind} == dict(wire.items())


@pytest.mark.parametrize("field", ["track_ids", "probabilities", "verdicts", "detection_counts"])
def test_arrays_that_do_not_fit_are_a_breach_of_contract(field: str) -> None:
    message = decisions([2, 1])
    getattr(message, field).pop()
    with pytest.raises(ProtocolError):
        answers(response(decisions=message), [0, 1], PLAIN)


def test_what_was_asked_for_and_does_not_come_is_a_breach_of_contract() -> None:
    with pytest.raises(ProtocolError, match=r"decisions\.boxes has 0 values"):
        answers(response(decisions=decisions([1])), [0], StreamSettings(stream_id="s", include_boxes=True))
    with pytest.raises(ProtocolError, match="coasted"):
        answers(response(decisions=decisions([1])), [0], StreamSettings(stream_id="s", include_coasted=True))
