"""Decisions, their coins and their cases, put into the store in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from tertium_server.review import outbox
from tertium_server.review.coin import is_chosen
from tertium_server.review.identity import case_id
from tertium_server.review.values import MICROS, Booking, DecidedBy, Decision, State
from tertium_server.storage.tables import review

_RANK_MICROS = 300 * MICROS
"""Cases that are due within the same five minutes go by priority."""
_UNDECIDED = 0.5


class Booked(NamedTuple):
    """Ids of what was not there before."""

    decisions: set[str]
    opened: list[str]
    """Those whose coin has opened a case."""


def book(connection: Connection, bookings: Sequence[Booking], now: int, targets: Sequence[str] = ()) -> Booked:
    """Books decisions, and opens the cases that their coins choose. What was booked before, by anybody, is left as it is."""
    unique = {id_of(booking.decision): booking for booking in bookings}
    coins = {name: _coin(name, booking) for name, booking in unique.items()}
    rows = [_decision_row(name, booking.decision, *coins[name]) for name, booking in unique.items()]
    fresh = set(_insert_new(connection, review.decisions, rows))
    chosen = [name for name in unique if name in fresh and coins[name][1]]
    # A case outlives its decision's row: what comes again after that opens no second one.
    opened = _insert_new(
        connection, review.cases, [_case_row(name, unique[name], coins[name][0], now) for name in chosen]
    )
    if opened:
        connection.execute(
            review.evidence.insert(),
            [{"case_id": name, "body": unique[name].evidence, "pictures": "none", "asked_at": None} for name in opened],
        )
        for target in targets:
            outbox.announce_opened(connection, target, [(name, unique[name].decision) for name in opened], now)
    return Booked(fresh, opened)


def id_of(decision: Decision) -> str:
    """The id of a decision, and of its case."""
    return case_id(decision.stream_id, decision.epoch, decision.track_id, decision.class_name, decision.first_frame)


def _coin(name: str, booking: Booking) -> tuple[float, bool]:
    pi = booking.terms.pi(booking.decision.stratum)
    return pi, is_chosen(name, booking.terms.salt, pi)


def _insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Inserts what is not there yet; the ids of what was inserted."""
    if not rows:
        return []
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).on_conflict_do_nothing(index_elements=[table.c.id]).returning(table.c.id)
    return list(connection.execute(statement, list(rows)).scalars())


def _decision_row(name: str, decision: Decision, pi: float, chosen: bool) -> dict[str, Any]:  # noqa: FBT001 - a column
    return {
        "id": name,
        "stream_id": decision.stream_id,
        "stream_group": decision.group,
        "epoch": decision.epoch,
        "track_id": decision.track_id,
        "class_name": decision.class_name,
        "policy_version": decision.policy_version,
        "decided_at": decision.decided_at,
        "frame_index": decision.frame_index,
        "stratum": decision.stratum.value,
        "probability": decision.probability,
        "pi": pi,
        "chosen": chosen,
    }


def _case_row(name: str, booking: Booking, pi: float, now: int) -> dict[str, Any]:
    decision, terms = booking.decision, booking.terms
    deadline = now + round(terms.deadline * MICROS)
    shared = _decision_row(name, decision, pi, chosen=True)
    del shared["chosen"]
    return shared | {
        "class_id": decision.class_id,
        "source": decision.stratum.source.value,
        "machine_verdict": decision.stratum.verdict.value,
        "default_verdict": terms.default_verdict.value,
        "first_frame": decision.first_frame,
        "opened_at": now,
        "deadline_at": deadline,
        "due_rank": deadline // _RANK_MICROS,
        "priority": abs(decision.probability - _UNDECIDED),
        "state": State.OPEN.value,
        "verdict": decision.stratum.verdict.value,
        "decided_by": DecidedBy.MACHINE.value,
        "double_check": terms.double_check_yes,
        "revision": 0,
    }
