"""Tallies of decided tracks, from the store: kept by five minutes of decisions, so that windows are sums and not all has to be asked again.

Answers are asked for anew each time, for they come hours after their decisions; of decisions, which are many more, only the newest, and all of them
now and then, for some come late, from the spool.

A vote against the machine closes no case before a second person has seen it, one that agrees does at once. Were such a case taken for one that nobody
has answered, answers would be those that agree, and the more of them the fewer people there are: with one reviewer, nothing would ever be wrong. So
the lone vote counts until another says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Label, Select, case, func, literal, select

from tertium_server.metrics import OTHER
from tertium_server.quality.values import ALL, MICROS, Reviews, Stratum, Tally, Weighted, Window
from tertium_server.storage.tables import review

BUCKET_MICROS = 300 * MICROS
"""Windows begin at multiples of five minutes."""

_SOURCES = ("maybe", "audit_yes", "audit_no")
_STRATA = {stratum.value: place for place, stratum in enumerate(Stratum)}
_DECIDED, _UNANSWERED, _UNANSWERED_YES, _LONE_YES = "decided", "", "unanswered yes", "lone yes"
_KINDS = {name: place for place, name in enumerate((_DECIDED, "yes", "no", "cannot_tell", _UNANSWERED_YES, _LONE_YES))}
"""What is counted of a stratum."""
_CONTESTED = {
    ("second_review", Stratum.AUTO_YES.value): "no",
    ("second_review", Stratum.AUTO_NO.value): "yes",
    ("second_review", Stratum.MAYBE.value): _LONE_YES,
}
"""What a case stands for whose vote waits for another, by the words of review/values.py. All others are those on which two people contradict
each other: people can't tell."""
_FIELDS = 4
"""Of each kind: count, weight, squared weight, probability."""


@dataclass(frozen=True, slots=True)
class Span:
    """Decisions from the first time on, up to but without the second; microseconds."""

    begin: int
    end: int


def first_bucket(now: int, window: Window) -> int:
    """The first bucket of a window that ends now."""
    return (now - window.micros) // BUCKET_MICROS


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """R sums, each of a bucket, class, stratum and kind."""

    buckets: NDArray[np.int64]
    """(R,)"""
    cells: NDArray[np.int64]
    """(R,) class, stratum and kind in one number."""
    values: NDArray[np.float64]
    """(R, 4) count, weight, squared weight, probability."""

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, Sequence[float]]]) -> _Sums:
        return cls(
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.float64).reshape(len(rows), _FIELDS),
        )

    def within(self, begin: int, end: int) -> _Sums:
        """Those of buckets from ``begin`` on, up to but without ``end``."""
        chosen = (self.buckets >= begin) & (self.buckets < end)
        return _Sums(self.buckets[chosen], self.cells[chosen], self.values[chosen])

    def with_newer(self, newer: _Sums, begin: int) -> _Sums:
        """Those before a bucket, and newer ones from there on."""
        return self.within(0, begin).with_more(newer)

    def with_more(self, more: _Sums) -> _Sums:
        """Both."""
        return _Sums(*(np.concatenate(pair) for pair in zip(self.columns(), more.columns(), strict=True)))

    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.buckets, self.cells, self.values


class TallyRows:
    """Counts by bucket, class and stratum. Used by one thread."""

    def __init__(self, classes: Iterable[str]) -> None:
        self._classes = {name: place for place, name in enumerate(classes)}
        self._decided = _Sums.of([])
        self._answered = _Sums.of([])

    def read(self, connection: Connection, *, decisions: Span, answers: Span) -> None:
        """Takes in what the store says of two spans, in place of all that was known from their begins on, which are those of buckets."""
        decided, answered = self._read_decisions(connection, decisions), self._read_answers(connection, answers)
        contested = self._read_contested(connection, answers)
        self._decided = self._decided.with_newer(decided, decisions.begin // BUCKET_MICROS)
        self._answered = self._answered.with_newer(answered, answers.begin // BUCKET_MICROS).with_more(contested)

    def forget_before(self, bucket: int) -> None:
        """Lets old buckets go."""
        self._decided = self._decided.within(bucket, np.iinfo(np.int64).max)
        self._answered = self._answered.within(bucket, np.iinfo(np.int64).max)

    def tallies(self, since: int) -> dict[str, Tally]:
        """By class, and of ALL, from a bucket on."""
        shape = (len(self._classes), len(Stratum), len(_KINDS), _FIELDS)
        sums = np.zeros((shape[0] * shape[1] * shape[2], _FIELDS))
        for part in (self._decided, self._answered):
            chosen = part.buckets >= since
            np.add.at(sums, part.cells[chosen], part.values[chosen])
        table = sums.reshape(shape)
        return {ALL: _tally(table.sum(axis=0)), **{name: _tally(table[place]) for name, place in self._classes.items()}}

    def _label(self, column: ColumnElement[str]) -> ColumnElement[str]:
        known = [name for name in self._classes if name != OTHER]
        return case((column.in_(known), column), else_=literal(OTHER))

    def _cell(self, class_name: str, stratum: str, kind: str) -> int:
        return (self._classes[class_name] * len(Stratum) + _STRATA[stratum]) * len(_KINDS) + _KINDS[kind]

    def _read_decisions(self, connection: Connection, span: Span) -> _Sums:
        columns = review.decisions.c
        keys = _keys(columns.decided_at // BUCKET_MICROS, self._label(columns.class_name), columns.stratum)
        query = (
            select(*keys, func.count(), func.sum(columns.probability))
            .where(columns.decided_at >= span.begin, columns.decided_at < span.end)
            .group_by(*(key.name for key in keys))
        )
        return _Sums.of([
            (bucket, self._cell(name, stratum, _DECIDED), (count, 0.0, 0.0, probability))
            for bucket, name, stratum, count, probability in _rows(connection, query)
        ])  # fmt: skip

    def _read_answers(self, connection: Connection, span: Span) -> _Sums:
        columns = review.cases.c
        # An unanswered maybe whose deadline has passed may hold as YES; of audits, the machine's verdict is what is judged.
        unanswered = case(
            ((columns.verdict == "yes") & (columns.stratum == Stratum.MAYBE.value), literal(_UNANSWERED_YES)),
            else_=literal(_UNANSWERED),
        )
        kind = func.coalesce(columns.answer, unanswered)
        bucket = columns.decided_at // BUCKET_MICROS
        keys = _keys(bucket, self._label(columns.class_name), columns.stratum, kind)
        weight = 1.0 / columns.pi
        query = (
            select(*keys, func.count(), func.sum(weight), func.sum(weight * weight), func.sum(columns.probability))
            .where(columns.decided_at >= span.begin, columns.decided_at < span.end, columns.source.in_(_SOURCES))
            .group_by(*(key.name for key in keys))
        )
        return _Sums.of([
            (row[0], self._cell(row[1], row[2], row[3]), tuple(row[4:]))
            for row in _rows(connection, query)
            if row[3] != _UNANSWERED
        ])  # fmt: skip

    def _read_contested(self, connection: Connection, span: Span) -> _Sums:
        """Cases with votes that do not settle them yet. Few, and found by their state; the answers' index knows no states."""
        columns = review.cases.c
        bucket = columns.decided_at // BUCKET_MICROS
        keys = _keys(bucket, self._label(columns.class_name), columns.stratum, columns.state)
        weight = 1.0 / columns.pi
        query = (
            select(*keys, func.count(), func.sum(weight), func.sum(weight * weight), func.sum(columns.probability))
            .where(
                columns.state.in_(("second_review", "escalated")),
                columns.source.in_(_SOURCES),
                columns.decided_at >= span.begin,
                columns.decided_at < span.end,
                # A maybe that holds as YES by default is counted as such.
                (columns.stratum != Stratum.MAYBE.value) | (columns.verdict != "yes"),
            )
            .group_by(*(key.name for key in keys))
        )
        return _Sums.of([
            (row[0], self._cell(row[1], row[2], _CONTESTED.get((row[3], row[2]), "cannot_tell")), tuple(row[4:]))
            for row in _rows(connection, query)
        ])  # fmt: skip


def _tally(table: NDArray[np.float64]) -> Tally:
    return Tally(*(_reviews(table[place]) for place in range(len(Stratum))))


def _reviews(kinds: NDArray[np.float64]) -> Reviews:
    """One stratum, of (kinds, 4) sums."""
    decided, *answers, unanswered_yes, lone = kinds.tolist()
    yes, no, cannot_tell, lone_yes = (
        Weighted(round(count), weight, squares) for count, weight, squares, _ in (*answers, lone)
    )
    unanswered = round(unanswered_yes[0]), unanswered_yes[3]
    return Reviews(round(decided[0]), decided[3], yes, no, cannot_tell, *unanswered, lone_yes)


def _rows(connection: Connection, query: Select[Any]) -> Sequence[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(query).all()]


def _keys(*keys: ColumnElement[Any]) -> list[Label[Any]]:
    """With names to group by: to PostgreSQL, two expressions with parameters are never the same one."""
    return [key.label(f"key_{place}") for place, key in enumerate(keys)]
