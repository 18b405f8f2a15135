"""Live quality as one thing that a server has: a thread that makes the book anew every few seconds, and what a scrape reads of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from sqlalchemy import Connection, func, select

from tertium_server.logs import Throttle, get_logger
from tertium_server.quality import truths
from tertium_server.quality.book import Book, make
from tertium_server.quality.instruments import QualityMetrics
from tertium_server.quality.leading import Leadership
from tertium_server.quality.tallying import BUCKET_MICROS, Span, TallyRows, first_bucket
from tertium_server.quality.values import MICROS, Window
from tertium_server.storage import Database, StoreUnavailableError
from tertium_server.storage.tables import review

_LEASE = "quality"
_LEASE_ROUNDS = 3
"""Refreshes that a leader may miss."""
_NEW_MICROS = 7200 * MICROS
"""Decisions older than this are asked for again only now and then."""
_WHOLE_SECONDS = 600.0
_FORGET_SECONDS = 3600.0
_FOREVER = 2**62


def _now_micros() -> int:
    return time.time_ns() // 1000


class QualityDepartment:
    """See the module. ``seconds``: from one refresh to the next. ``clock``: microseconds since the Unix epoch."""

    def __init__(
        self,
        store: Database,
        classes: Iterable[str],
        *,
        seconds: float = 15.0,
        clock: Callable[[], int] = _now_micros,
    ) -> None:
        self.store = store
        self.metrics = QualityMetrics(classes)
        self._seconds = seconds
        self._clock = clock
        self._leadership = Leadership(store, _LEASE, seconds=_LEASE_ROUNDS * seconds, clock=clock)
        self._started = clock()
        self._bench: _Bench | None = None
        self._followed = False
        self._forget_at = 0.0
        self._stopping = threading.Event()
        self._log = get_logger("quality")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-quality", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Ends, and lets another process tell."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def refresh(self) -> None:
        """Makes the book anew if it is this process that tells. Called by the department's own thread, and by tests."""
        if not self._leadership.hold():
            self._bench, self.metrics.book, self._followed = None, None, True
            return
        now = self._clock()
        if self._bench is None:
            # What happened before this process told was told by another, or is past.
            self._bench = _Bench(self.metrics, self.store, now if self._followed else self._started)
        if time.monotonic() >= self._forget_at:
            with self.store.write() as connection:
                truths.forget_before(connection, now - Window.WEEK.micros)
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        self.metrics.book = self._bench.work(now)

    def read(self) -> Book:
        """The book of the last refresh; where another process tells, one made now.

        Raises:
            StoreUnavailableError: The store is away.
        """
        book = self.metrics.book
        return read_book(self.store, self.metrics.classes, self._clock()) if book is None else book

    def keep_truth(self, frames: Sequence[truths.TruthFrame]) -> int:
        """Stores what labelled frames have shown; how many were known before.

        Raises:
            StoreUnavailableError: The store is away.
        """
        with self.store.write() as connection:
            return truths.keep(connection, frames, self._clock())

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.refresh()
            except StoreUnavailableError as error:
                self._complain("the store is away; estimates are those of the last time", error)
            except Exception as error:  # noqa: BLE001 - the next round may do better, and the server must go on
                self._complain("estimates could not be made", error)
            self._stopping.wait(self._seconds)
        try:
            self._leadership.give_up()
        except Exception as error:  # noqa: BLE001 - whatever ails the store, the server ends in order
            self._complain("the lease of estimates stays until it expires", error)

    def _complain(self, message: str, error: Exception) -> None:
        held = self._complaints.admit(message)
        if held is not None:
            self._log.error(message, error=str(error), held_back=held)


class _Bench:
    """Where a leader's book is made: what is known of the store, and what has to be asked again."""

    def __init__(self, metrics: QualityMetrics, store: Database, since: int) -> None:
        self._metrics = metrics
        self._store = store
        self._rows = TallyRows(metrics.classes)
        self._scenes: list[truths.Scene] = []
        self._audits = np.zeros((0, 4))
        self._reported = (-1, -1)
        self._whole_at = 0.0
        self._began = False
        self._since = since

    def work(self, now: int) -> Book:
        """The book as of now."""
        first = first_bucket(now, Window.WEEK)
        everything = Span(first * BUCKET_MICROS, _FOREVER)
        with self._store.read() as connection:
            if not self._began:
                past = Span(first * BUCKET_MICROS, max(self._since, first * BUCKET_MICROS))
                self._rows.read(connection, decisions=past, answers=past)
                self._began = True
            self._rows.forget_before(first)
            before = self._rows.tallies(first)
            newest = Span((now - _NEW_MICROS) // BUCKET_MICROS * BUCKET_MICROS, _FOREVER)
            whole = time.monotonic() >= self._whole_at
            self._rows.read(connection, decisions=everything if whole else newest, answers=everything)
            # At once: whatever fails after this, the next round finds these rows known, and would not count them.
            self._metrics.growth.add(before, self._rows.tallies(first))
            self._read_truth(connection, everything.begin, now)
            self._audits = truths.read_frame_audits(connection, everything.begin)
        if whole:
            self._whole_at = time.monotonic() + _WHOLE_SECONDS
        return self._make(now)

    def _read_truth(self, connection: Connection, since: int, now: int) -> None:
        reported = truths.newest_report(connection)
        if reported != self._reported:
            self._scenes = truths.read_scenes(connection, since)
            self._reported = reported
        self._scenes = [scene for scene in self._scenes if scene.decided_at >= now - Window.WEEK.micros]

    def _make(self, now: int) -> Book:
        tallies = {
            (name, window): tally
            for window in Window
            for name, tally in self._rows.tallies(first_bucket(now, window)).items()
        }
        labelled = {
            (name, window): tally
            for window in Window
            for name, tally in truths.tallies(self._scenes, self._metrics.classes, now - window.micros).items()
        }
        frames = {window: truths.frame_tally(self._audits, now - window.micros) for window in Window}
        return make(now, tallies, labelled, frames)


def read_book(store: Database, classes: Iterable[str], now: int) -> Book:
    """The book of a store as of now, made without a server."""
    metrics = QualityMetrics(classes)
    return _Bench(metrics, store, now).work(now)


def busiest_classes(store: Database, now: int, most: int = 50) -> list[str]:
    """The classes of the week's decisions, the most frequent first: those to tell apart where no policy says which."""
    columns = review.decisions.c
    query = (
        select(columns.class_name)
        .where(columns.decided_at >= now - Window.WEEK.micros)
        .group_by(columns.class_name)
        .order_by(func.count().desc(), columns.class_name)
        .limit(most)
    )
    with store.read() as connection:
        return list(connection.execute(query).scalars())
