"""What is counted of decided tracks, and of exchange with others."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tertium_server.review.instruments import ReviewMetrics
from tertium_server.review.office import ReviewOffice
from tertium_server.review.syncing import SyncMetrics
from tertium_server.review.values import Answer, Stratum, Verdict
from tertium_server.review.watch import TrackWatch
from tertium_server.review.webhook import TARGET, Webhook, WebhookSettings
from tertium_server.storage import Database
from tests.review.builders import Clock, booking, office, terms
from tests.review.test_watch import MAYBE, SECOND, YES, news
from tests.stores import sqlite_store


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    store = sqlite_store(tmp_path)
    yield store
    store.close()


class Counted:
    """An office whose metrics can be read."""

    def __init__(self, store: Database, **rules: Any) -> None:
        self.clock = Clock()
        self.office: ReviewOffice = office(store, self.clock, **rules)
        self.office.metrics = ReviewMetrics(("person",))
        self.registry = CollectorRegistry()
        self.registry.register(self.office.metrics)

    def value(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no {name}{labels}"
        return value

    def final(self, verdict: str, decided_by: str, name: str = "person") -> float:
        return self.value("tertium_final_decisions_total", verdict=verdict, decided_by=decided_by, **{"class": name})

    def vote(self, reviewer: str, answer: Answer) -> None:
        (lease,) = self.office.lease(reviewer)
        self.office.vote(lease.case.id, reviewer, lease.token, answer)


@pytest.fixture
def desk(database: Database) -> Counted:
    return Counted(database)


def test_every_series_of_decided_tracks_is_there_with_0(desk: Counted) -> None:
    for name in ("person", "other"):
        for verdict in Verdict:
            for by in ("machine", "human", "deadline"):
                assert desk.final(verdict.value, by, name) == 0
        assert desk.value("tertium_decision_score_ratio_bucket", le="0.05", **{"class": name}) == 0


def test_a_sure_track_is_final_at_once_and_one_in_doubt_when_somebody_has_said_so(desk: Counted) -> None:
    desk.office.book([booking(1, Stratum.AUTO_YES, rules=terms(audit_yes=1e-9)), booking(2, Stratum.MAYBE)])
    assert (desk.final("yes", "machine"), desk.final("maybe", "machine")) == (1, 0)
    desk.vote("anna", Answer.NO)
    assert (desk.final("no", "human"), desk.final("yes", "machine")) == (1, 1)


def test_what_is_booked_again_is_counted_once(desk: Counted) -> None:
    for _ in range(3):
        desk.office.book([booking(1, Stratum.AUTO_NO), booking(2, Stratum.AUTO_NO)])
    assert desk.final("no", "machine") == 2
    assert desk.value("tertium_decision_score_ratio_count", **{"class": "person"}) == 2


def test_a_deadline_decides_what_nobody_has_answered_and_a_late_answer_corrects_it(desk: Counted) -> None:
    desk.office.book([booking(1, rules=terms(deadline=60.0, default_verdict=Verdict.NO))])
    desk.clock.pass_by(61)
    desk.office.expire()
    assert desk.final("no", "deadline") == 1
    desk.vote("anna", Answer.YES)
    assert desk.final("yes", "human") == 0
    assert desk.value("tertium_decision_revisions_total", **{"class": "person"}) == 1


def test_an_audit_that_overturns_the_machine_is_a_revision(desk: Counted) -> None:
    desk.office.book([booking(1, Stratum.AUTO_YES)])
    desk.vote("anna", Answer.NO)
    assert desk.value("tertium_decision_revisions_total", **{"class": "person"}) == 0  # one vote does not settle it
    desk.vote("bert", Answer.NO)
    assert desk.value("tertium_decision_revisions_total", **{"class": "person"}) == 1
    assert (desk.final("yes", "machine"), desk.final("no", "human")) == (1, 0)


def test_a_vote_that_is_taken_back_and_cast_anew_is_one_final_verdict_and_a_revision(desk: Counted) -> None:
    (case,) = desk.office.book([booking(1, rules=terms(deadline=900.0, default_verdict=Verdict.NO))])
    desk.vote("anna", Answer.YES)
    lease = desk.office.undo(case, "anna")
    assert lease is not None
    assert desk.value("tertium_decision_revisions_total", **{"class": "person"}) == 1
    desk.office.vote(case, "anna", lease.token, Answer.NO)
    assert (desk.final("yes", "human"), desk.final("no", "human")) == (1, 0)
    # Nor does a deadline give a second one.
    desk.office.undo(case, "anna")
    desk.clock.pass_by(901)
    desk.office.expire()
    assert desk.final("no", "deadline") == 0
    assert desk.value("tertium_review_deadline_missed_total", source="maybe") == 1


def test_a_clock_that_goes_backwards_takes_no_time_back(desk: Counted) -> None:
    desk.office.book([booking(1)])
    (lease,) = desk.office.lease("anna")
    desk.clock.pass_by(-50)
    desk.office.vote(lease.case.id, "anna", lease.token, Answer.YES)
    for what in ("handling", "resolution"):
        assert desk.value(f"tertium_review_{what}_seconds_count", source="maybe") == 1
        assert desk.value(f"tertium_review_{what}_seconds_sum", source="maybe") == 0


def test_the_time_of_anothers_lease_is_not_that_of_a_vote(desk: Counted) -> None:
    (case,) = desk.office.book([booking(1)])
    (lease,) = desk.office.lease("anna")
    desk.clock.pass_by(7)
    desk.office.vote(case, "bert", "stale", Answer.YES)
    assert desk.value("tertium_review_handling_seconds_count", source="maybe") == 0
    desk.office.vote(case, "anna", lease.token, Answer.YES)
    assert desk.value("tertium_review_handling_seconds_sum", source="maybe") == 7


@pytest.mark.parametrize(("probability", "least"), [(0.0, "0.05"), (0.05, "0.05"), (0.051, "0.1"), (1.0, "1.0")])
def test_scores_fall_into_twenty_bins(desk: Counted, probability: float, least: str) -> None:
    desk.office.book([booking(1, probability=probability)])
    bounds = ["0.05", "0.1", "0.15", "0.95", "1.0", "+Inf"]
    counts = {le: desk.value("tertium_decision_score_ratio_bucket", le=le, **{"class": "person"}) for le in bounds}
    assert counts == {le: float(float(le) >= float(least)) for le in bounds}


def test_frames_and_delays_are_told_by_verdict(desk: Counted) -> None:
    desk.office.book([booking(1, Stratum.AUTO_YES, first_frame=100, frame_index=160, delay=2.4)])
    assert desk.value("tertium_decision_evidence_frames_sum", verdict="yes") == 61
    assert desk.value("tertium_decision_delay_seconds_sum", verdict="yes") == 2.4
    assert desk.value("tertium_decision_evidence_frames_count", verdict="maybe") == 0


def test_the_delay_of_a_decision_runs_from_the_first_news_by_capture_times() -> None:
    tracks = TrackWatch(lambda _class_id: 2.0)
    tracks.take(news(1, YES))
    tracks.take(news(4, MAYBE))
    # However late anybody looks.
    assert [each.delay for each in tracks.advance(60 * SECOND)] == [5.0]
    tracks.take(news(70, YES, track=2))
    assert [each.delay for each in tracks.take(news(70.5, YES, track=2, ended=True))] == [0.5]


class TestSync:
    def test_a_tool_is_fresh_when_it_is_added_and_after_each_success(self) -> None:
        now = [100.0]
        sync = SyncMetrics(lambda: now[0])
        sync.add("webhook", "send")
        registry = CollectorRegistry()
        registry.register(sync)

        def last() -> float | None:
            return registry.get_sample_value("tertium_review_sync_last_success_timestamp_seconds", {"tool": "webhook"})

        assert last() == 100
        now[0] = 200
        sync.tried("webhook", "send", succeeded=False)
        assert last() == 100
        labels = {"tool": "webhook", "operation": "send"}
        assert registry.get_sample_value("tertium_review_sync_failures_total", labels) == 1
        sync.tried("webhook", "send", succeeded=True)
        assert last() == 200
        assert registry.get_sample_value("tertium_review_sync_attempts_total", labels) == 2
        assert registry.get_sample_value("tertium_review_sync_failures_total", labels) == 1

    def test_a_webhook_that_is_refused_grows_stale_and_one_without_work_does_not(self, database: Database) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status[0])
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        status = [500]
        server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        clock, now = Clock(), [0.0]
        sync = SyncMetrics(lambda: now[0])
        settings = WebhookSettings(f"http://127.0.0.1:{server.server_port}/", b"secret of sixteen")
        webhook = Webhook(database, settings, clock=clock, sync=sync)
        desk = ReviewOffice(database, clock=clock, targets=(TARGET,))
        try:
            succeeded: list[float] = []
            for moment in (10.0, 20.0, 30.0):
                now[0] = moment
                if moment == 20:
                    desk.book([booking(1)])
                if moment == 30:
                    status[0] = 200
                    clock.pass_by(5)
                webhook.work()
                webhook.work()  # the event that was not taken is not due yet: it waits, so the webhook is not idle
                succeeded.append(next(m for m in sync.collect() if "last_success" in m.name).samples[0].value)
            assert succeeded == [10.0, 10.0, 30.0]
        finally:
            webhook.stop(5)
            server.shutdown()
            server.server_close()
