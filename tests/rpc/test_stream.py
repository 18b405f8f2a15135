"""One stream's session, bytes in and bytes out, with the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tertium.v1 import decisions_pb2, evidence_pb2
from tertium_server.engine import StreamEngine, Workspace
from tertium_server.errors import CheckpointRefusedError, InvalidRequestError
from tertium_server.metrics import Rejection
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.rpc import wire
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.opening import FrameLimits, check_open
from tertium_server.rpc.stream import Stream
from tertium_server.rpc.track_ids import page_base
from tests.rpc.builders import (
    EPOCH,
    FRAME_NANOSECONDS,
    Frames,
    Request,
    Response,
    batched,
    close,
    make_stream,
    one_frame,
    open_message,
    person,
    play,
    recording,
    request,
    solo,
    terms,
    told,
)

Notice = decisions_pb2.Notice
PERSON = (100, 100, 140, 200, 0.9)


def greet(stream: Stream) -> Response:
    return Response.FromString(stream.greet())


def answer(stream: Stream, message: Frames) -> Response:
    return play(stream, [message])[0]


def test_open_is_answered_by_opened_and_a_checkpoint() -> None:
    response = greet(make_stream())
    assert response.opened.epoch == EPOCH
    assert response.opened.policy_version == default_policy().version
    assert response.opened.first_frame == 0
    assert response.opened.max_frames_per_message == 256
    assert response.opened.max_detections_per_frame == 1000
    assert response.checkpoint.state
    assert not response.checkpoint.HasField("last_frame")


def test_without_an_epoch_the_server_chooses_one() -> None:
    first, second = make_stream(epoch=0), make_stream(epoch=0)
    assert first.epoch > 0
    assert first.epoch != second.epoch


def test_decisions_are_the_engines_own() -> None:
    """The same columns through the engine alone: every array on the wire is the engine's, bit for bit."""
    messages = recording()
    settings = check_open(open_message(), FrameLimits(1000, 2000, 256)).settings
    engine, workspace = StreamEngine(compile_parameters(default_policy(), settings), settings), Workspace()
    base = page_base("camera", EPOCH, 0)
    for message, response in zip(messages, play(make_stream(), messages), strict=True):
        expected = engine.advance(wire.frame_columns(message), workspace)
        got = response.decisions
        assert list(got.frame_indices) == expected.frame_indices.tolist()
        assert list(got.detection_counts) == expected.counts.tolist()
        assert list(got.track_ids) == (expected.track_ids + base).tolist()
        assert list(got.verdicts) == expected.verdicts.tolist()
        assert list(got.track_verdicts) == expected.track_verdicts.tolist()
        for name in ("probabilities", "track_probabilities", "track_lower", "track_upper", "coasted_probabilities"):
            assert list(getattr(got, name)) == getattr(expected, name).tolist()
        assert list(got.boxes) == expected.boxes.ravel().tolist()
        assert list(got.coasted_counts) == expected.coasted_counts.tolist()
        assert list(got.coasted_track_ids) == (expected.coasted_track_ids + base).tolist()
        assert list(got.coasted_boxes) == expected.coasted_boxes.ravel().tolist()
        assert list(got.coasted_verdicts) == expected.coasted_verdicts.tolist()
        assert got.policy_version == default_policy().version
        assert_events(response, expected.events, base)


def assert_events(response: Response, events: Any, base: int) -> None:
    assert len(response.events) == len(events)
    for event, expected in zip(response.events, events, strict=True):
        assert event.track_id == expected["track_id"] + base
        for name in ("type", "class_id", "frame_index", "first_frame", "from_verdict", "to_verdict", "reason"):
            assert getattr(event, name) == expected[name]
        assert (event.retroactive_from if event.HasField("retroactive_from") else -1) == expected["retroactive_from"]
        for name in (
            "probability",
            "lower",
            "upper",
            "threshold",
            "hits",
            "misses",
            "evidence_fast",
            "evidence_slow",
            "score",
        ):
            assert getattr(event.why, name) == expected[name]
        assert event.why.policy_version == default_policy().version


def test_the_recording_has_events_of_all_types_and_coasted_tracks() -> None:
    """Or the test above would say little."""
    total = solo(recording())
    assert {event.type for event in total.events} == {1, 2, 3}
    assert len(total.decisions.coasted_track_ids) > 20
    assert set(total.decisions.verdicts) == {1, 2, 3}


def test_arrays_that_nobody_asked_for_are_left_out() -> None:
    stream = make_stream(include_boxes=False, include_tracks=False, include_coasted=False)
    response = told(play(stream, recording()))
    full = told(play(make_stream(), recording()))
    for name in (
        "boxes",
        "track_probabilities",
        "track_lower",
        "track_upper",
        "track_verdicts",
        "coasted_counts",
        "coasted_boxes",
    ):
        assert not getattr(response.decisions, name)
        assert getattr(full.decisions, name)
    assert response.decisions.probabilities == full.decisions.probabilities
    assert response.decisions.track_ids == full.decisions.track_ids
    assert response.events == full.events


@pytest.mark.parametrize("size", [2, 3, 7, 16, 80])
def test_batching_changes_nothing(size: int) -> None:
    assert solo(batched(recording(), size)) == solo(recording())


def test_a_frame_without_detections_is_answered() -> None:
    response = answer(make_stream(), one_frame(0))
    assert list(response.decisions.frame_indices) == [0]
    assert list(response.decisions.detection_counts) == [0]


def test_a_message_without_frames_is_answered_with_nothing() -> None:
    assert answer(make_stream(), Frames()) == Response()


def test_a_message_packed_in_another_way_is_decided_all_the_same() -> None:
    stream, desk = make_stream(), Desk()
    message = recording()[3]
    concatenated = request(message) + request(recording()[4])
    response = Response.FromString(stream.answer(concatenated, desk))
    assert told([response]) == told(play(make_stream(), recording()[3:5]))


def test_callers_own_tracks_keep_their_ids() -> None:
    own = one_frame(0, [PERSON, (300, 100, 340, 200, 0.8)])
    own.track_ids.extend([2**63 - 1, 0])
    response = answer(make_stream(client_tracks=True), own)
    assert list(response.decisions.track_ids) == [2**63 - 1, 0]
    assert {event.track_id for event in response.events} == {2**63 - 1}


def test_a_stream_that_ends_tells_of_its_tracks() -> None:
    stream = make_stream()
    play(stream, [person(index) for index in range(10)])
    last = close(stream)
    assert [(event.type, event.reason) for event in last.events] == [(3, decisions_pb2.TrackEvent.REASON_STREAM_ENDED)]
    assert stream.counts().closed[decisions_pb2.TrackEvent.REASON_STREAM_ENDED] == 1
    assert stream.counts().tracks == 0


def test_ends_are_counted_no_sooner_than_the_caller_knows_of_them() -> None:
    stream = make_stream()
    play(stream, [person(index) for index in range(10)])
    stream.say_goodbye(Desk())
    assert sum(stream.counts().closed) == 0
    assert stream.counts().tracks == 1
    assert not stream.ended
    stream.settle()
    assert sum(stream.counts().closed) == 1
    assert stream.ended


def wrong(index: int = 1, **changes: Any) -> Frames:
    """A frame of two people that is right in every array but those changed."""
    message = one_frame(index, [PERSON, (300, 100, 340, 200, 0.8)])
    for name, values in changes.items():
        message.ClearField(name)
        getattr(message, name).extend(values)
    return message


NAN, INFINITY = float("nan"), float("inf")
RIGHT = [100.0, 100.0, 140.0, 200.0]

REFUSED: list[tuple[str, Frames, decisions_pb2.Notice.Code, str, Rejection]] = [
    ("NaN", wrong(boxes=[*RIGHT, 300, NAN, 340, 200]), Notice.CODE_INVALID, "frames.boxes[5]", Rejection.INVALID),
    ("infinite", wrong(boxes=[100, 100, INFINITY, 200, *RIGHT]), Notice.CODE_INVALID, "frames.boxes[2]", Rejection.INVALID),
    ("minus infinite", wrong(boxes=[*RIGHT, -INFINITY, 0, 1, 1]), Notice.CODE_INVALID, "frames.boxes[4]", Rejection.INVALID),
    ("far away", wrong(boxes=[*RIGHT, 0, 0, 1, 1.1e6]), Notice.CODE_INVALID, "frames.boxes[7]", Rejection.INVALID),
    ("no width", wrong(boxes=[*RIGHT, 300, 100, 300, 200]), Notice.CODE_INVALID, "frames.boxes[6]", Rejection.INVALID),
    ("no height", wrong(boxes=[*RIGHT, 300, 100, 340, 100]), Notice.CODE_INVALID, "frames.boxes[7]", Rejection.INVALID),
    ("negative size", wrong(boxes=[140, 200, 100, 100, *RIGHT]), Notice.CODE_INVALID, "frames.boxes[2]", Rejection.INVALID),
    ("score NaN", wrong(scores=[0.5, NAN]), Notice.CODE_INVALID, "frames.scores[1]", Rejection.INVALID),
    ("score over 1", wrong(scores=[1.5, 0.5]), Notice.CODE_INVALID, "frames.scores[0]", Rejection.INVALID),
    ("score under 0", wrong(scores=[0.5, -0.1]), Notice.CODE_INVALID, "frames.scores[1]", Rejection.INVALID),
    ("unknown class", wrong(class_ids=[1, 2]), Notice.CODE_INVALID, "frames.class_ids[1]", Rejection.INVALID),
    ("class far out", wrong(class_ids=[2**32 - 1, 1]), Notice.CODE_INVALID, "frames.class_ids[0]", Rejection.INVALID),
    ("index too large", wrong(frame_indices=[2**62]), Notice.CODE_INVALID, "frames.frame_indices[0]", Rejection.INVALID),
    ("index over 2^63", wrong(frame_indices=[2**63 + 5]), Notice.CODE_INVALID, "frames.frame_indices[0]", Rejection.INVALID),
    ("time too large", wrong(capture_times=[2**62]), Notice.CODE_INVALID, "frames.capture_times[0]", Rejection.INVALID),
    ("no time", wrong(capture_times=[]), Notice.CODE_INVALID, "frames.capture_times", Rejection.INVALID),
    ("again", wrong(0), Notice.CODE_DUPLICATE, "frames.frame_indices[0]", Rejection.DUPLICATE),
    ("counts short", wrong(detection_counts=[]), Notice.CODE_INVALID, "frames.detection_counts", Rejection.INVALID),
    ("counts wrong", wrong(detection_counts=[3]), Notice.CODE_INVALID, "frames.boxes", Rejection.INVALID),
    ("box torn", wrong(boxes=[*RIGHT, 300, 100, 340]), Notice.CODE_INVALID, "frames.boxes", Rejection.INVALID),
    ("scores short", wrong(scores=[0.5]), Notice.CODE_INVALID, "frames.scores", Rejection.INVALID),
    ("classes long", wrong(class_ids=[1, 1, 1]), Notice.CODE_INVALID, "frames.class_ids", Rejection.INVALID),
    ("times long", wrong(capture_times=[1, 2]), Notice.CODE_INVALID, "frames.capture_times", Rejection.INVALID),
    ("ids unasked", wrong(track_ids=[1, 2]), Notice.CODE_INVALID, "frames.track_ids", Rejection.INVALID),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "code", "field", "rejection"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_frame_that_is_wrong_is_refused_by_name_and_changes_nothing(
    message: Frames, code: decisions_pb2.Notice.Code, field: str, rejection: Rejection
) -> None:
    stream, undisturbed = make_stream(), make_stream()
    before, after = [person(0)], [person(index) for index in range(2, 12)]
    play(stream, before)
    response = answer(stream, message)
    assert not response.HasField("decisions")
    assert not response.events
    (notice,) = response.notices
    assert (notice.code, notice.field, notice.refused_frames) == (code, field, 1)
    assert notice.message
    counts = stream.counts()
    assert counts.frames == 2
    assert list(counts.rejected) == [int(reason is rejection) for reason in Rejection]
    play(undisturbed, before)
    assert play(stream, after) == play(undisturbed, after)


def test_a_message_that_does_not_fit_names_no_frame() -> None:
    response = answer(make_stream(), wrong(scores=[0.5]))
    assert not response.notices[0].HasField("frame_index")
    assert answer(make_stream(), wrong(boxes=[*RIGHT, 300, NAN, 340, 200])).notices[0].frame_index == 1


@pytest.mark.parametrize(("track_ids", "field"), [([5, 5], "frames.track_ids[1]"), ([2**63, 1], "frames.track_ids[0]")])
def test_callers_track_ids_that_are_wrong(track_ids: list[int], field: str) -> None:
    response = answer(make_stream(client_tracks=True), wrong(track_ids=track_ids))
    assert response.notices[0].field == field


def test_callers_track_ids_that_are_missing() -> None:
    response = answer(make_stream(client_tracks=True), wrong())
    assert response.notices[0].field == "frames.track_ids"


def test_class_ids_may_be_left_out_with_one_class_only() -> None:
    assert answer(make_stream(), wrong(class_ids=[])).decisions.verdicts
    notice = answer(make_stream(class_names={1: "person", 2: "car"}), wrong(class_ids=[])).notices[0]
    assert (notice.code, notice.field) == (Notice.CODE_INVALID, "frames.class_ids")


def test_a_late_frame_is_refused_as_late() -> None:
    stream = make_stream()
    play(stream, [person(0), person(200)])
    (notice,) = answer(stream, person(5)).notices
    assert (notice.code, notice.frame_index) == (Notice.CODE_LATE, 5)
    assert stream.counts().rejected[Rejection.LATE] == 1


def test_too_many_detections_are_refused_without_a_look_at_them() -> None:
    count = 100_000
    boxes = np.tile(np.array([1, 1, 2, 2], np.float32), count)
    message = Frames(
        frame_indices=[1], capture_times=[1], detection_counts=[count], boxes=boxes.tolist(), scores=[0.5] * count
    )
    stream = make_stream()
    (notice,) = answer(stream, message).notices
    assert (notice.code, notice.field) == (Notice.CODE_LIMIT, "frames.detection_counts[0]")
    assert stream.counts().rejected[Rejection.OVERLOAD] == 1


def test_too_many_frames_in_a_message_are_refused_as_a_whole() -> None:
    stream = make_stream(terms(limits=FrameLimits(1000, 2000, 3)))
    (four,) = batched([person(index) for index in range(4)], 4)
    response = answer(stream, four)
    assert not response.HasField("decisions")
    (notice,) = response.notices
    assert (notice.code, notice.field, notice.refused_frames) == (Notice.CODE_LIMIT, "frames.frame_indices", 4)
    assert not notice.HasField("frame_index")
    assert (stream.counts().frames, stream.counts().rejected[Rejection.OVERLOAD]) == (4, 4)
    (three,) = batched([person(index) for index in range(3)], 3)
    assert list(answer(stream, three).decisions.frame_indices) == [0, 1, 2]


def test_the_frames_of_a_message_stand_or_fall_each_for_itself() -> None:
    stream = make_stream()
    mixed = next(batched([person(0), wrong(1, scores=[0.5, 7]), person(2), person(2), person(3)], 5))
    response = answer(stream, mixed)
    assert list(response.decisions.frame_indices) == [0, 2, 3]
    assert [(notice.frame_index, notice.field) for notice in response.notices] == [
        (1, "frames.scores[2]"),
        (2, "frames.frame_indices[3]"),
    ]
    assert response.decisions == told(play(make_stream(), [person(0), person(2), person(3)])).decisions


@pytest.mark.parametrize(
    ("time", "code"),
    [(0, Notice.CODE_RESET_TIME_BACKWARDS), (10**15, Notice.CODE_RESET_GAP)],
    ids=["backwards", "gap"],
)
def test_a_reset_is_told_and_the_frame_is_taken(time: int, code: decisions_pb2.Notice.Code) -> None:
    stream = make_stream()
    play(stream, [person(index) for index in range(1, 10)])
    response = answer(stream, one_frame(10, [PERSON], time=time))
    assert list(response.decisions.frame_indices) == [10]
    (notice,) = response.notices
    assert (notice.code, notice.frame_index, notice.refused_frames) == (code, 10, 0)
    assert response.events[0].reason == decisions_pb2.TrackEvent.REASON_RESET
    assert stream.counts().rejected[Rejection.GAP] == 1
    assert stream.counts().closed[decisions_pb2.TrackEvent.REASON_RESET] == 1


def test_a_second_open_ends_the_stream() -> None:
    with pytest.raises(InvalidRequestError, match="open already"):
        make_stream().answer(Request(open=open_message()).SerializeToString(), Desk())


def test_evidence_that_nobody_asked_for_gets_a_notice() -> None:
    stream = make_stream()
    evidence = Request(evidence=evidence_pb2.Evidence(request_id="x"))
    response = Response.FromString(stream.answer(evidence.SerializeToString(), Desk()))
    assert [notice.code for notice in response.notices] == [Notice.CODE_UNEXPECTED]
    assert stream.counts().frames == 0


def test_a_server_that_stops_hands_over_the_newest_checkpoint() -> None:
    stream = make_stream()
    play(stream, recording()[:30])
    last = Response.FromString(stream.send_away())
    assert [notice.code for notice in last.notices] == [Notice.CODE_DRAINING]
    assert last.checkpoint.last_frame == 29
    resumed = make_stream(checkpoint=last.checkpoint.state, last_answered_frame=29)
    assert told([*play(resumed, recording()[30:]), close(resumed)]) == told(
        [*play(stream, recording()[30:]), close(stream)]
    )


@pytest.mark.parametrize(
    ("interval", "size", "expected"), [(10, 1, [9, 19, 29]), (10, 4, [11, 23]), (1, 1, list(range(30))), (0, 1, [])]
)
def test_checkpoints_come_every_so_many_frames(interval: int, size: int, expected: list[int]) -> None:
    stream = make_stream(terms(checkpoint_interval=100), checkpoint_interval=interval)
    responses = play(stream, batched(recording()[:30], size))
    assert [response.checkpoint.last_frame for response in responses if response.HasField("checkpoint")] == expected


def test_the_servers_interval_holds_where_the_caller_names_none() -> None:
    stream = make_stream(terms(checkpoint_interval=7))
    assert [
        index for index, response in enumerate(play(stream, recording()[:20])) if response.HasField("checkpoint")
    ] == [6, 13]


def resume(checkpoint: bytes, answered: int | None, **changes: Any) -> Stream:
    """A stream made of a checkpoint, with the caller's word of what it has."""
    if answered is not None:
        changes["last_answered_frame"] = answered
    return make_stream(checkpoint=checkpoint, **changes)


def indices_told(responses: Sequence[Response]) -> list[int]:
    return [index for response in responses for index in response.decisions.frame_indices]


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("answered", [29, 30, 33, 47, 59])
def test_a_resumed_stream_repeats_nothing_and_leaves_nothing_out(answered: int, size: int) -> None:
    """Checkpoint after frame 29, answers up to some frame, then a break; batches fall as they may."""
    messages = recording()
    first = make_stream(checkpoint_interval=30)
    responses = play(first, messages)
    checkpoint = responses[29].checkpoint
    assert checkpoint.last_frame == 29
    resumed = resume(checkpoint.state, answered)
    assert resumed.opened().first_frame == 30
    again = play(resumed, batched(messages[30:], size))
    assert len(again) == len(list(batched(messages[30:], size)))  # one response a message, silent ones too
    assert told([*responses[: answered + 1], *again, close(resumed)]) == solo(messages)
    assert indices_told(again) == list(range(answered + 1, 80))


def test_resumed_frames_are_not_counted_again() -> None:
    messages = recording()
    whole = make_stream()
    play(whole, messages)
    close(whole)
    broken = make_stream(checkpoint_interval=30)
    responses = play(broken, messages[:50])
    resumed = resume(responses[29].checkpoint.state, 49)
    play(resumed, batched(messages[30:], 7))
    close(resumed)
    sums = add(broken.counts(), resumed.counts())
    assert sums == add(whole.counts())
    assert sums[0] == 80


def add(*counts: Any) -> tuple[Any, ...]:
    """Frames, rejections, decisions and ends of several streams together."""
    return (
        sum(part.frames for part in counts),
        np.sum([part.rejected for part in counts], axis=0).tolist(),
        np.sum([part.decided["person"] for part in counts], axis=0).tolist(),
        np.sum([part.closed for part in counts], axis=0).tolist(),
    )


def test_frames_that_were_counted_but_not_answered_are_answered_but_not_counted() -> None:
    """The connection broke on the way back: the server has decided frames up to 54, the caller has answers up to 49."""
    messages = recording()
    broken = make_stream(checkpoint_interval=30)
    responses = play(broken, messages[:55])
    resumed = resume(responses[29].checkpoint.state, 49)
    resumed.skip_counting(broken.counted, broken.judged)
    again = play(resumed, batched(messages[30:], 4))
    assert indices_told(again) == list(range(50, 80))
    whole = make_stream()
    play(whole, messages)
    assert add(broken.counts(), resumed.counts()) == add(whole.counts())


def test_refused_frames_are_told_and_counted_once() -> None:
    messages = [person(index) if index % 5 else wrong(index, scores=[7, 7]) for index in range(40)]
    whole = make_stream()
    undisturbed = play(whole, messages)
    broken = make_stream(checkpoint_interval=10)
    before = play(broken, messages[:26])
    resumed = resume(before[19].checkpoint.state, 25)
    again = play(resumed, batched(messages[20:], 3))
    assert [notice.frame_index for response in again for notice in response.notices] == [30, 35]
    assert told([*before, *again]).decisions == told(undisturbed).decisions
    repeated = [notice.frame_index for notice in told([*before, *again]).notices]
    assert repeated == [notice.frame_index for notice in told(undisturbed).notices]
    assert add(broken.counts(), resumed.counts()) == add(whole.counts())


def test_late_frames_are_refused_aloud_once_the_stream_has_caught_up() -> None:
    """A frame with a small index is silent only while the caller repeats what it has; later it is a mistake to be told of."""
    responses = play(make_stream(checkpoint_interval=10), recording()[:20])
    resumed = resume(responses[9].checkpoint.state, 19)
    assert indices_told(play(resumed, recording()[10:20])) == []
    (notice,) = answer(resumed, person(15)).notices
    assert (notice.code, notice.frame_index) == (Notice.CODE_DUPLICATE, 15)
    assert resumed.counts().rejected[Rejection.DUPLICATE] == 1
    assert resumed.counts().frames == 1


def test_a_stream_resumed_without_word_of_answers_says_all_after_the_checkpoint() -> None:
    responses = play(make_stream(checkpoint_interval=30), recording()[:40])
    resumed = resume(responses[29].checkpoint.state, None)
    assert indices_told(play(resumed, recording()[30:40])) == list(range(30, 40))


def test_a_stream_begun_anew_with_word_of_answers_is_silent_up_to_there() -> None:
    """The first checkpoint holds nothing: the caller repeats everything."""
    stream = make_stream(last_answered_frame=5)
    assert indices_told(play(stream, recording()[:10])) == [6, 7, 8, 9]


def test_messages_that_were_too_long_are_too_long_when_they_are_repeated() -> None:
    few = terms(limits=FrameLimits(1000, 2000, 3))
    messages = [*batched(recording()[:3], 3), *batched(recording()[3:9], 6), *batched(recording()[9:12], 3)]
    stream = make_stream(few)
    first = Response.FromString(stream.greet()).checkpoint.state
    play(stream, messages)
    resumed = make_stream(few, checkpoint=first, last_answered_frame=11)
    assert told(play(resumed, messages)) == Response()
    assert answer(resumed, recording()[12]) == answer(stream, recording()[12])


def test_the_epoch_is_the_checkpoints_where_the_caller_names_none() -> None:
    stream = make_stream()
    resumed = resume(greet(stream).checkpoint.state, None, epoch=0)
    assert resumed.epoch == EPOCH


def test_tracks_keep_their_ids() -> None:
    responses = play(make_stream(checkpoint_interval=30), recording()[:31])
    resumed = resume(responses[29].checkpoint.state, 29)
    (again,) = play(resumed, recording()[30:31])
    assert again.decisions.track_ids == responses[30].decisions.track_ids
    assert len(again.decisions.track_ids) > 0


def test_a_checkpoint_of_another_epoch_is_refused() -> None:
    state = greet(make_stream()).checkpoint.state
    with pytest.raises(InvalidRequestError, match="epoch 7, not 8"):
        resume(state, None, epoch=8)


@pytest.mark.parametrize(
    "changes", [{"class_names": {1: "car"}}, {"frame_width": 1}, {"nominal_fps": 5}, {"client_tracks": True}], ids=str
)
def test_a_checkpoint_of_another_open_is_refused(changes: dict[str, Any]) -> None:
    state = greet(make_stream()).checkpoint.state
    with pytest.raises(CheckpointRefusedError, match="another Open"):
        resume(state, None, **changes)


def test_a_checkpoint_of_another_stream_is_refused() -> None:
    state = greet(make_stream()).checkpoint.state
    with pytest.raises(CheckpointRefusedError, match="another stream"):
        resume(state, None, stream_id="another")


def test_a_checkpoint_of_another_key_is_refused() -> None:
    state = greet(make_stream(terms(sealer=CheckpointSealer(b"x" * 40)))).checkpoint.state
    with pytest.raises(CheckpointRefusedError, match="another key"):
        resume(state, None)


def test_a_snapshot_the_engine_can_not_read_is_refused() -> None:
    sealer = terms().sealer
    state = sealer.open("camera", greet(make_stream()).checkpoint.state)
    broken = sealer.seal("camera", type(state)(state.epoch, 0, state.settings_digest, state.snapshot[:-3]))
    with pytest.raises(CheckpointRefusedError, match="cut short"):
        resume(broken, None)


def test_work_grows_with_detections_and_with_tracks() -> None:
    stream = make_stream()
    few, crowd = one_frame(1, [PERSON] * 2), one_frame(1, [PERSON] * 50)
    assert stream.work(wire.frame_columns(few)) == 4
    assert stream.work(wire.frame_columns(crowd)) == 2500
    answer(stream, one_frame(0, [(50 * place, 0, 50 * place + 20, 40, 0.9) for place in range(10)]))
    assert stream.work(wire.frame_columns(few)) == 2 * (2 + 10) + 10
    assert stream.work(wire.frame_columns(Frames(frame_indices=[1, 2], detection_counts=[0, 0]))) == 20


def test_no_count_is_too_large_to_tell_the_work_of() -> None:
    huge = Frames(frame_indices=[1] * 9, detection_counts=[2**32 - 1] * 9)
    assert make_stream().work(wire.frame_columns(huge)) > 1e19


def test_times_may_be_left_out_with_a_nominal_frame_rate() -> None:
    messages = recording()
    without = []
    for message in messages:
        copy = Frames()
        copy.CopyFrom(message)
        copy.ClearField("capture_times")
        without.append(copy)
    fps = 1e9 / FRAME_NANOSECONDS
    assert solo(without, nominal_fps=fps).decisions == solo(messages, nominal_fps=fps).decisions


def test_a_stream_counts_by_class_and_verdict() -> None:
    stream = make_stream(class_names={1: "person", 9: "car"})
    total = told(play(stream, [*recording()[:40]]))
    expected = np.bincount(total.decisions.verdicts, minlength=4).tolist()
    assert stream.counts().decided == {"person": expected, "car": [0, 0, 0, 0]}
