"""From rows of the store to values, and the questions about cases that several modules ask."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, select

from tertium_server.review.errors import CaseNotFoundError
from tertium_server.review.values import Answer, Case, DecidedBy, Source, State, Stratum, StreamAnswer, Verdict
from tertium_server.storage.tables import review

_CASE_FIELDS = tuple(Case.__slots__)
_ANSWER_FIELDS = tuple(name for name in StreamAnswer.__slots__ if name != "told_before")
_KINDS: dict[str, Any] = {
    "source": Source,
    "stratum": Stratum,
    "machine_verdict": Verdict,
    "default_verdict": Verdict,
    "from_verdict": Verdict,
    "to_verdict": Verdict,
    "verdict": Verdict,
    "state": State,
    "decided_by": DecidedBy,
    "answer": Answer,
    "gold_answer": Answer,
}
_COLUMNS = {"group": "stream_group"}


def to_case(row: RowMapping) -> Case:
    """The case of a row."""
    return Case(**_values(row, _CASE_FIELDS))


def to_answer(row: RowMapping) -> StreamAnswer:
    """The answer to a stream of a row."""
    return StreamAnswer(**_values(row, _ANSWER_FIELDS))


def find_case(connection: Connection, case: str, *, lock: bool = False) -> Case:
    """A case; ``lock``: nobody else changes it before the transaction ends.

    Raises:
        CaseNotFoundError: There is none of this id.
    """
    query = select(review.cases).where(review.cases.c.id == case)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise CaseNotFoundError(case)
    return to_case(row)


def _values(row: RowMapping, fields: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in fields:
        value = row[_COLUMNS.get(name, name)]
        kind = _KINDS.get(name)
        values[name] = value if kind is None or value is None else kind(value)
    return values
