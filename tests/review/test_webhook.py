"""The webhook: signed events, sent until they are taken, received here by a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import select

from tertium_server.errors import ConfigurationError
from tertium_server.review.office import ReviewOffice
from tertium_server.review.outbox import CLOSED, DECIDED, OPENED, WITHDRAWN
from tertium_server.review.queue import QueueRules
from tertium_server.review.values import Answer, Stratum
from tertium_server.review.webhook import Webhook, WebhookSettings, wait_after
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import Clock, booking
from tests.stores import sqlite_store

SECRET = b"a secret of the two"


class Receiver:
    """Takes events, or refuses so many of them first."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.signatures: list[bool] = []
        self.refuse = 0
        self.status = 503
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
                receiver.signatures.append(self.headers["X-Tertium-Signature"] == expected)
                if receiver.refuse:
                    receiver.refuse -= 1
                    self.send_response(receiver.status)
                    self.send_header("location", "/elsewhere")
                else:
                    receiver.events.append(json.loads(body))
                    self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Set:
    """An office whose cases are told to a receiver."""

    def __init__(self, store: Database) -> None:
        self.store = store
        self.clock = Clock()
        rules = QueueRules(audit_share=0.0, gold_share=0.0)
        self.office = ReviewOffice(store, rules, targets=("webhook",), clock=self.clock)
        self.receiver = Receiver()
        self.webhook = Webhook(store, WebhookSettings(self.receiver.url, SECRET), clock=self.clock)

    def types(self) -> list[str]:
        return [event["type"] for event in self.receiver.events]

    def answer(self, answer: Answer) -> None:
        (lease,) = self.office.lease("anna")
        self.office.vote(lease.case.id, "anna", lease.token, answer)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Set]:
    store = sqlite_store(tmp_path)
    made = Set(store)
    yield made
    made.webhook.stop(10)
    made.receiver.close()
    store.close()


def test_a_case_is_told_from_its_opening_to_its_close(setup: Set) -> None:
    (case,) = setup.office.book([booking(1)])
    setup.answer(Answer.YES)
    setup.webhook.work()
    assert setup.types() == [OPENED, DECIDED, CLOSED]
    assert {event["subject"] for event in setup.receiver.events} == {case}
    decided = setup.receiver.events[1]["data"]
    assert (decided["from_verdict"], decided["to_verdict"], decided["decided_by"]) == ("maybe", "yes", "human")
    assert setup.receiver.signatures == [True, True, True]
    assert setup.webhook.work() == 0


def test_every_event_has_the_form_that_is_published(setup: Set) -> None:
    schema = json.loads(resources.files("tertium_server.review").joinpath("events.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    setup.office.book([booking(1), booking(2, Stratum.AUTO_NO), booking(3, track_id=2**62, epoch=2**62)])
    setup.answer(Answer.NO)
    setup.clock.pass_by(3601)
    setup.office.expire()
    for case in setup.office.lease("bert", 3):
        setup.office.withdraw(case.case.id)
    setup.webhook.work()
    assert {OPENED, DECIDED, CLOSED, WITHDRAWN} <= set(setup.types())
    for event in setup.receiver.events:
        jsonschema.validate(event, schema)
    ids = [event["id"] for event in setup.receiver.events]
    assert len(ids) == len(set(ids))


def test_nothing_is_told_of_what_the_machine_thinks_before_the_vote(setup: Set) -> None:
    # Whoever is told may be who reviews.
    setup.office.book([booking(1, Stratum.AUTO_YES)])
    setup.webhook.work()
    text = json.dumps(setup.receiver.events).lower()
    assert [word for word in ("audit", "0.95", "probability", "verdict", "auto_yes") if word in text] == []


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_what_is_not_taken_is_sent_again_after_a_while(setup: Set, status: int) -> None:
    setup.receiver.refuse, setup.receiver.status = 2, status
    setup.office.book([booking(1)])
    assert setup.webhook.work() == 1
    assert setup.webhook.work() == 0
    setup.clock.pass_by(2)
    assert setup.webhook.work() == 1
    setup.clock.pass_by(3)
    assert setup.webhook.work() == 0
    setup.clock.pass_by(1)
    assert setup.webhook.work() == 1
    assert setup.types() == [OPENED]


def test_waits_double_up_to_an_hour() -> None:
    assert [wait_after(attempts) for attempts in (1, 2, 3, 11, 12, 1000)] == [2, 4, 8, 2048, 3600, 3600]


def test_an_address_that_never_answers_is_given_up_in_the_end(setup: Set) -> None:
    setup.receiver.refuse = 1000
    setup.office.book([booking(1)])
    for _ in range(40):
        setup.webhook.work()
        setup.clock.pass_by(3600)
    with setup.store.read() as connection:
        (row,) = connection.execute(select(review.outbox)).mappings().all()
    assert (row["attempts"], row["sent_at"], row["error"]) == (30, None, "answered 503")
    assert row["given_up_at"] is not None


def test_nobody_there_is_no_different(setup: Set) -> None:
    setup.receiver.close()
    setup.office.book([booking(1)])
    assert setup.webhook.work() == 1
    with setup.store.read() as connection:
        assert connection.execute(select(review.outbox.c.error)).scalar_one().startswith("ConnectError")
    setup.receiver = Receiver()


@pytest.mark.parametrize("url", ["", "ftp://host/x", "http://", "no url", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_at_the_start(setup: Set, url: str) -> None:
    with pytest.raises(ConfigurationError, match="webhook"):
        Webhook(setup.store, WebhookSettings(url, SECRET))
