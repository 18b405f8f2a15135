"""The sans-I/O core under random breaks: what was accepted is answered exactly once, in order."""

from __future__ import annotations

from collections import deque
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertium.v1 import decision_service_pb2, stream_pb2
from tertium_client import DisconnectedError, Frame, OverloadedError, ProtocolError, Reconnect
from tertium_client._session import Session
from tertium_client._settings import Flow, StreamSettings
from tertium_client._status import Status
from tests.client.builders import CLASSES, Told, expected, frames, told
from tests.client.scripted_server import POLICY, REFUSED_LEFT_EDGE, HashEngine, room_in

UNAVAILABLE = Status(grpc.StatusCode.UNAVAILABLE, "cut")


class Wire:
    """A connection that carries messages when it is told to, between a session and the hash engine."""

    def __init__(self, session: Session, interval: int) -> None:
        self.session = session
        self.interval = interval
        self.now = 0.0
        self.breaks = 0
        self.taken: list[Told] = []
        self.connect()

    def connect(self) -> None:
        self.requests: deque[bytes] = deque([self.session.connect(self.now)])
        self.responses: deque[decision_service_pb2.DecideResponse] = deque()
        self.engine: HashEngine | None = None
        self.half_closed = False
        self.done = False

    def send(self) -> None:
        request = self.session.next_request(self.now)
        if request is not None:
            self.requests.append(request)
        elif not self.half_closed and self.session.half_close():
            self.half_closed = True

    def serve(self) -> None:
        if self.requests:
            self.responses.append(self._respond(decision_service_pb2.DecideRequest.FromString(self.requests.popleft())))
        elif self.half_closed and not self.done and self.engine is not None:
            self.done = True
            self.responses.append(self.engine.finish())

    def _respond(self, request: decision_service_pb2.DecideRequest) -> decision_service_pb2.DecideResponse:
        if self.engine is None:
            opening = request.open
            self.engine = HashEngine.restore(opening.checkpoint)
            self.after = opening.last_answered_frame if opening.HasField("last_answered_frame") else -1
            self.since = self.engine.taken
            opened = stream_pb2.Opened(
                epoch=9, policy_version=POLICY, first_frame=self.engine.last + 1, max_frames_per_message=5
            )
            return decision_service_pb2.DecideResponse(opened=opened, checkpoint=self.engine.checkpoint())
        response = self.engine.advance_all(request.frames, self.after)
        if self.engine.taken - self.since >= self.interval:
            response.checkpoint.CopyFrom(self.engine.checkpoint())
            self.since = self.engine.taken
        return response

    def deliver(self) -> None:
        if self.responses:
            self.session.receive(self.responses.popleft(), self.now)

    def take(self) -> None:
        answer = self.session.take()
        if answer is not None:
            self.taken.append(told(answer))

    def cut(self) -> None:
        self.breaks += 1
        if self.session.ended(UNAVAILABLE, self.now) is not None:
            self.connect()

    def settle(self) -> None:
        """Carries everything that is left, without breaks."""
        while not self.session.over:
            self.now += 1.0
            for _ in range(100):
                self.send()
                self.serve()
                self.deliver()
                self.take()
            if self.done and not self.responses:
                self.session.ended(Status(grpc.StatusCode.OK, ""), self.now)
        while True:
            known = len(self.taken)
            self.take()
            if len(self.taken) == known:
                return


# Long ones: Hypothesis would else make most of them so short that nothing breaks in mid-stream.
STEPS = st.lists(
    st.sampled_from(["accept"] * 6 + ["send", "serve", "deliver"] * 8 + ["take"] * 4 + ["cut", "wait", "flush"]),
    min_size=100,
    max_size=300,
)


@settings(max_examples=120, deadline=None)
@given(
    steps=STEPS,
    count=st.integers(0, 40),
    seed=st.integers(0, 1000),
    batch=st.integers(1, 7),
    interval=st.integers(1, 12),
    refused=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_every_frame_is_answered_once_and_in_order_however_the_connection_breaks(
    steps: list[str], count: int, seed: int, batch: int, interval: int, refused: float
) -> None:
    sent = frames(count, seed=seed, refused=refused)
    session = Session(
        StreamSettings(stream_id="s", class_names=CLASSES, checkpoint_interval=interval),
        Flow(batch=batch, max_in_flight=8),
        Reconnect(),
        0.0,
    )
    wire, waiting = Wire(session, interval), deque(sent)
    for step in steps:
        if step == "accept" and waiting and not session.full:
            session.accept(waiting.popleft(), wire.now)
        elif step == "wait":
            wire.now += 0.06
        elif step == "flush":
            session.flush()
        elif step in {"send", "serve", "deliver", "take", "cut"}:
            getattr(wire, step)()
    while waiting:
        if session.full:
            wire.now += 0.06
            for step in ("send", "serve", "deliver", "take"):
                getattr(wire, step)()
        else:
            session.accept(waiting.popleft(), wire.now)
    session.finish(wire.now)
    wire.settle()
    assert session.error is None
    assert wire.taken == expected(sent)


def opened_session(**flow: Any) -> tuple[Session, Wire]:
    session = Session(
        StreamSettings(stream_id="s", class_names=CLASSES, nominal_fps=30, checkpoint_interval=5),
        Flow(**flow),
        Reconnect(),
        0.0,
    )
    wire = Wire(session, 5)
    wire.serve()
    wire.deliver()
    return session, wire


def empty_answer() -> decision_service_pb2.DecideResponse:
    return decision_service_pb2.DecideResponse()


def test_a_frame_without_an_answer_is_a_breach_of_contract() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), 0.0)
    wire.send()
    with pytest.raises(ProtocolError, match="frame 0 was neither decided nor refused"):
        session.receive(empty_answer(), 0.0)


def test_an_answer_to_nothing_is_a_breach_of_contract() -> None:
    session, _ = opened_session()
    with pytest.raises(ProtocolError, match="answers no request"):
        session.receive(empty_answer(), 0.0)


def test_an_answer_that_comes_again_is_a_breach_of_contract_and_not_handed_out() -> None:
    session, wire = opened_session()
    for _ in range(3):
        session.accept(Frame([]), 0.0)
        wire.send()
        wire.serve()
        wire.deliver()
    wire.cut()
    wire.serve()
    wire.deliver()
    wire.after = -1
    wire.send()
    wire.serve()
    with pytest.raises(ProtocolError, match="await none: \\[0, 1, 2\\]"):
        wire.deliver()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 5, "first_frame": 4}, "wants frame 4"),
        ({"epoch": 6}, "asked for epoch 5"),
    ],
)
def test_an_opening_that_does_not_fit_what_was_asked_is_a_breach_of_contract(
    change: dict[str, Any], message: str
) -> None:
    session = Session(StreamSettings(stream_id="s", epoch=5), Flow(), Reconnect(), 0.0)
    session.connect(0.0)
    with pytest.raises(ProtocolError, match=message):
        session.receive(decision_service_pb2.DecideResponse(opened=stream_pb2.Opened(**change)), 0.0)


def test_a_first_response_without_opened_is_a_breach_of_contract() -> None:
    session = Session(StreamSettings(stream_id="s"), Flow(), Reconnect(), 0.0)
    session.connect(0.0)
    with pytest.raises(ProtocolError, match="no Opened"):
        session.receive(empty_answer(), 0.0)


def test_a_server_that_sends_no_checkpoints_can_not_make_the_client_keep_frames_without_bound() -> None:
    session, wire = opened_session()
    wire.interval = 10_000
    with pytest.raises(ProtocolError, match="since the last checkpoint"):
        for _ in range(1000):
            session.accept(Frame([]), 0.0)
            wire.send()
            wire.serve()
            wire.deliver()
            wire.take()
    assert session.accept(Frame([]), 0.0) < 5 + 64 + 2


def test_refused_frames_are_not_kept_though_no_checkpoint_ever_contains_them() -> None:
    session, wire = opened_session()
    for _ in range(1000):
        session.accept(Frame([[REFUSED_LEFT_EDGE, 0, 700, 1]], class_ids=[0]), 0.0)
        for step in ("send", "serve", "deliver", "take"):
            getattr(wire, step)()
    session.finish(0.0)
    wire.settle()
    assert session.error is None
    assert sum(told[1] is None for told in wire.taken) == 1000 + 1


def test_a_checkpoint_that_runs_ahead_of_the_answers_is_a_breach_of_contract() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), 0.0)
    session.accept(Frame([]), 0.0)
    wire.send()
    wire.send()
    wire.serve()
    wire.serve()
    assert wire.engine is not None
    wire.responses[0].checkpoint.CopyFrom(wire.engine.checkpoint())
    with pytest.raises(ProtocolError, match="a checkpoint contains frame 1"):
        wire.deliver()


def test_a_busy_stream_that_gets_on_is_patient_though_it_is_never_idle_and_breaks_often() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), wire.now)
    for _ in range(50):
        wire.now += 200.0
        session.accept(Frame([]), wire.now)  # the one before is unanswered: there is always one under way
        for step in ("send", "send", "serve", "deliver", "cut", "serve", "deliver"):
            getattr(wire, step)()
        assert not session.over


def test_a_stream_that_was_idle_for_long_has_time_to_end() -> None:
    session, wire = opened_session()
    session.finish(1000.0)
    assert not session.stalled(1299.0)
    assert session.stalled(1300.0)
    assert session.half_close()
    assert wire.session is session


def test_patience_runs_out_after_so_long_without_progress_and_not_because_of_many_breaks() -> None:
    session, wire = opened_session()
    for _ in range(50):  # progress between the breaks, ten minutes of them
        wire.now += 12.0
        session.accept(Frame([]), wire.now)
        for step in ("send", "serve", "deliver"):
            getattr(wire, step)()
        wire.cut()
        wire.serve()
        wire.deliver()
        assert not session.over
    session.accept(Frame([]), wire.now)
    began = wire.now
    while not session.over:  # now the server opens, and breaks before it answers
        wire.now += 7.0
        wire.cut()
        if not session.over:
            wire.serve()
            wire.deliver()
    assert 300 <= wire.now - began < 300 + 7
    assert isinstance(session.error, DisconnectedError)


def test_a_stream_that_never_finds_room_gives_up_where_patience_ends_and_not_when_the_server_says() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), 0.0)
    wire.cut()
    full = Status.of(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", room_in(3600.0))
    assert session.ended(full, 20.0) == pytest.approx(280.0)
    session.connect(300.0)
    assert session.ended(full, 300.0) is None
    assert isinstance(session.error, OverloadedError)
    assert session.error.retry_after == 3600.0


def test_an_idle_stream_is_patient_again_after_each_time_it_was_connected() -> None:
    session, wire = opened_session()
    for _ in range(20):
        wire.now += 400.0
        wire.cut()
        assert not session.over
        wire.serve()
        wire.deliver()


def test_a_server_that_answers_nothing_counts_as_lost() -> None:
    session, wire = opened_session()
    assert not session.stalled(1e6)
    session.accept(Frame([]), 100.0)
    assert not session.stalled(399.0)
    assert session.stalled(400.0)
    wire.now = 400.0
    wire.cut()
    assert isinstance(session.error, DisconnectedError)


def test_a_server_that_does_not_open_counts_as_lost_sooner() -> None:
    session = Session(StreamSettings(stream_id="s"), Flow(), Reconnect(), 0.0)
    session.connect(0.0)
    assert not session.stalled(9.0)
    assert session.wake_in(9.0) == pytest.approx(1.0)
    assert session.stalled(10.0)


def test_without_patience_for_breaks_an_answer_has_ten_seconds_and_more_where_frames_are_gathered() -> None:
    for flow, silent in ((Flow(), 10.0), (Flow(batch=4, batch_delay=30.0), 40.0)):
        session = Session(StreamSettings(stream_id="s", nominal_fps=30), flow, Reconnect(give_up_after=0.0), 0.0)
        wire = Wire(session, 5)
        wire.serve()
        wire.deliver()
        session.accept(Frame([]), 100.0)
        assert not session.stalled(100.0 + silent - 0.1)
        assert session.stalled(100.0 + silent)


def test_a_server_that_ends_the_stream_while_frames_lag_has_broken_it_off() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), 0.0)
    wire.send()
    session.receive(decision_service_pb2.DecideResponse(frames_waiting=1), 0.0)
    session.finish(0.0)
    wire.send()
    assert session.ended(Status(grpc.StatusCode.OK, ""), 0.0) is not None
    wire.connect()  # as after any break
    wire.settle()
    assert [told[0] for told in wire.taken] == [0, None]


def test_a_call_given_up_here_says_what_was_waited_for() -> None:
    session, wire = opened_session()
    session.accept(Frame([]), 0.0)
    assert session.stalled(300.0)
    assert session.ended(Status(grpc.StatusCode.CANCELLED, "Locally cancelled by application!"), 300.0) is None
    assert "it answered no frame for 300 s" in str(session.error)
    assert wire.breaks == 0


def test_a_batch_waits_for_more_frames_only_so_long() -> None:
    session, wire = opened_session(batch=4)
    session.accept(Frame([]), 1.0)
    assert session.next_request(1.01) is None
    assert session.wake_in(1.01) == pytest.approx(0.04)
    assert session.next_request(1.05) is not None
    for _ in range(3):
        session.accept(Frame([]), 2.0)
    assert session.next_request(2.0) is None
    session.accept(Frame([]), 2.0)
    assert session.next_request(2.0) is not None
    session.accept(Frame([]), 3.0)
    session.flush()
    assert session.next_request(3.0) is not None
    session.accept(Frame([]), 3.0)
    assert session.next_request(3.0) is None
    assert wire.engine is not None


def test_frames_of_different_form_do_not_share_a_message() -> None:
    box = [[0, 0, 1, 1]]
    session = Session(StreamSettings(stream_id="s", nominal_fps=30), Flow(batch=4), Reconnect(), 0.0)
    wire = Wire(session, 5)
    wire.serve()
    wire.deliver()
    for frame in (Frame(box), Frame([]), Frame(box, scores=[0.5]), Frame([]), Frame(box, scores=[0.5])):
        session.accept(frame, 0.0)
    session.flush()
    counts: list[int] = []
    while (request := session.next_request(0.0)) is not None:
        message = decision_service_pb2.DecideRequest.FromString(request).frames
        counts.append(len(message.frame_indices))
        assert len(message.scores) in {0, sum(message.detection_counts)}
    assert counts == [2, 3]
