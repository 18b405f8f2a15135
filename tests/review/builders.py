"""Decisions and an office for tests; time and chance are the test's."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from tertium_server.review.identity import case_id
from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.values import MICROS, Booking, Decision, Stratum, Terms, Verdict
from tertium_server.storage import Database

START = 1_700_000_000 * MICROS


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += round(seconds * MICROS)


def decision(track: int = 1, stratum: Stratum = Stratum.MAYBE, **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "stream_id": "gate",
        "group": "default",
        "epoch": 7,
        "track_id": track,
        "class_id": 0,
        "class_name": "person",
        "first_frame": 10 * track,
        "frame_index": 10 * track + 60,
        "stratum": stratum,
        "probability": {Stratum.MAYBE: 0.4, Stratum.AUTO_YES: 0.95, Stratum.AUTO_NO: 0.05}[stratum],
        "policy_version": "0-test",
        "decided_at": START,
    }
    return Decision(**(values | changes))


def terms(**changes: Any) -> Terms:
    values: dict[str, Any] = {
        "audit_yes": 1.0,
        "audit_no": 1.0,
        "salt": "",
        "deadline": 3600.0,
        "default_verdict": Verdict.MAYBE,
    }
    return Terms(**(values | changes))


def booking(track: int = 1, stratum: Stratum = Stratum.MAYBE, *, rules: Terms | None = None, **changes: Any) -> Booking:
    return Booking(decision=decision(track, stratum, **changes), terms=rules or terms(), evidence={"frames": []})


def id_of(decided: Decision) -> str:
    return case_id(decided.stream_id, decided.epoch, decided.track_id, decided.class_name, decided.first_frame)


def office(store: Database, clock: Clock | None = None, seed: int = 1, **rules: Any) -> ReviewOffice:
    values: dict[str, Any] = {"audit_share": 0.2, "gold_share": 0.0}
    draw = random.Random(seed).random  # noqa: S311 - a test's chance
    return ReviewOffice(store, QueueRules(**(values | rules)), clock=clock or Clock(), draw=draw)


def open_cases(desk: ReviewOffice, bookings: Iterable[Booking]) -> list[str]:
    return desk.book(list(bookings))
