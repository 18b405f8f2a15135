"""Many reviewers at once: each case leased to one at a time, every vote handled by the rule, compared with a model by brute force."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.rules import settle
from tertium_server.review.values import MICROS, Answer, DecidedBy, Lease, State, Stratum, Verdict, now_micros
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import START, booking, office, terms
from tests.stores import sqlite_store

CASES = int(os.environ.get("TERTIUM_TEST_CASES", "200"))
"""A few, so that all tests together stay quick; 5,000 and more by the variable."""
REVIEWERS = 8
Y, N, U = Answer.YES, Answer.NO, Answer.CANNOT_TELL


class Holders:
    """Who has which case, by what the reviewers themselves know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self.clashes: list[str] = []
        self.votes: dict[str, list[tuple[str, Answer]]] = defaultdict(list)

    def take(self, case: str, who: str) -> None:
        with self._lock:
            if case in self._held:
                self.clashes.append(f"{case}: {self._held[case]} and {who}")
            self._held[case] = who

    def give_back(self, case: str, who: str, answer: Answer) -> None:
        with self._lock:
            del self._held[case]
            self.votes[case].append((who, answer))


def test_eight_reviewers_at_once_share_no_case_and_every_vote_counts(store: Database) -> None:
    desk = ReviewOffice(store, QueueRules(lease_seconds=3600.0))
    strata = [Stratum.AUTO_YES, Stratum.AUTO_NO, Stratum.MAYBE]
    for first in range(0, CASES, 500):
        desk.book([booking(k, strata[k % 3]) for k in range(first, min(first + 500, CASES))])
    holders = Holders()

    def work(who: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while leases := desk.lease(who, 4):
            for lease in leases:
                holders.take(lease.case.id, who)
            for lease in leases:
                answer = (Y, N, U)[int(rng.choice(3, p=[0.6, 0.35, 0.05]))]
                # Before the vote: the case may be another's the moment it is in.
                holders.give_back(lease.case.id, who, answer)
                outcome = desk.vote(lease.case.id, who, lease.token, answer)
                assert not outcome.fenced

    run_together([lambda k=k: work(f"reviewer {k}", k) for k in range(REVIEWERS)])  # type: ignore[misc]
    # Who found all that was left in the hands of others went home; somebody has to see what came back.
    for k in range(REVIEWERS):
        work(f"reviewer {k}", REVIEWERS + k)
    assert holders.clashes == []
    with store.read() as connection:
        cases = {row["id"]: row for row in connection.execute(select(review.cases)).mappings()}
        votes = connection.execute(select(review.votes).order_by(review.votes.c.seq)).mappings().all()
    # Every vote is there once, and nobody voted twice on a case.
    cast = Counter((case, who, answer.value) for case, each in holders.votes.items() for who, answer in each)
    assert Counter((row["case_id"], row["reviewer"], row["answer"]) for row in votes) == cast
    assert max(Counter((row["case_id"], row["reviewer"]) for row in votes).values()) == 1
    # Each case stands where the rule puts it, by its votes in their order.
    by_case = defaultdict(list)
    for row in votes:
        by_case[row["case_id"]].append(Answer(row["answer"]))
    assert len(cases) == CASES
    for name, row in cases.items():
        expected = settle(Verdict(row["machine_verdict"]), by_case[name])
        assert (row["state"], row["answer"]) == (expected.state.value, expected.answer and expected.answer.value)
        assert row["state"] == State.CLOSED.value


def test_leases_that_expire_under_their_holders_lose_no_vote(store: Database) -> None:
    # Leases of no time at all: every token may be stale by the time of its vote.
    desk = ReviewOffice(store, QueueRules(lease_seconds=1e-3))
    desk.book([booking(k, Stratum.AUTO_YES) for k in range(40)])
    fenced = Counter[str]()
    cast = Counter[str]()

    def work(who: str) -> None:
        for _ in range(40):
            for lease in desk.lease(who, 2):
                outcome = desk.vote(lease.case.id, who, lease.token, N)
                cast[who] += not outcome.repeated
                fenced[who] += outcome.fenced and not outcome.repeated

    run_together([lambda k=k: work(f"reviewer {k}") for k in range(4)])  # type: ignore[misc]
    with store.read() as connection:
        votes = connection.execute(select(review.votes)).mappings().all()
        cases = {row["id"]: row for row in connection.execute(select(review.cases)).mappings()}
    assert len(votes) == sum(cast.values())
    assert sum(row["fenced"] for row in votes) == sum(fenced.values())
    for name, row in cases.items():
        counted = [vote for vote in votes if vote["case_id"] == name]
        valid = [vote for vote in counted if not vote["fenced"]]
        if row["state"] == State.CLOSED.value:
            assert valid
            assert len(counted) >= 2


def run_together(works: list[Callable[[], None]]) -> None:
    """Runs all at once, and raises what one of them raises."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


TRACKS = [stratum for stratum in Stratum if stratum is not Stratum.FRAME]


class QueueMachine(RuleBasedStateMachine):
    """Whatever is done in whatever order, the store agrees with a model of plain Python."""

    folder: str = ""

    @initialize()
    def begin(self) -> None:
        import tempfile  # noqa: PLC0415 - hypothesis makes many of these
        from pathlib import Path  # noqa: PLC0415

        self.temporary = tempfile.TemporaryDirectory()
        self.store = sqlite_store(Path(self.temporary.name))
        self.now = START
        self.desk = office(self.store, lease_seconds=300, audit_share=0.5)
        self.desk.clock = lambda: self.now
        self.tracks = 0
        self.leases: list[tuple[str, Lease]] = []
        self.machine: dict[str, Verdict] = {}
        self.counted: dict[str, list[tuple[str, Answer, bool]]] = defaultdict(list)  # who, what, fenced
        self.settled: dict[str, tuple[State, Answer | None]] = {}
        self.holder: dict[str, tuple[str, int]] = {}  # token, until when
        self.expired: set[str] = set()
        self.deadline: dict[str, int] = {}

    @rule(stratum=some.sampled_from(TRACKS), minutes=some.integers(1, 60))
    def open_a_case(self, stratum: Stratum, minutes: int) -> None:
        self.tracks += 1
        rules = terms(deadline=60.0 * minutes, default_verdict=Verdict.NO)
        (case,) = self.desk.book([booking(self.tracks, stratum, rules=rules)])
        self.machine[case] = stratum.verdict
        self.settled[case] = (State.OPEN, None)
        self.deadline[case] = self.now + minutes * 60 * MICROS

    @rule(who=some.sampled_from(["anna", "bert", "cleo", "dora"]))
    def lease_one(self, who: str) -> None:
        free = {
            case
            for case, (state, _) in self.settled.items()
            if state is not State.CLOSED
            and self.holder.get(case, ("", 0))[1] <= self.now
            and who not in {name for name, _, _ in self.counted[case]}
        }
        leases = self.desk.lease(who)
        assert bool(leases) == bool(free)
        for lease in leases:
            assert lease.case.id in free
            self.leases.append((who, lease))
            self.holder[lease.case.id] = (lease.token, self.now + 300 * MICROS)

    @rule(place=some.integers(0, 50), answer=some.sampled_from(Answer))
    def vote_on_a_lease(self, place: int, answer: Answer) -> None:
        if not self.leases:
            return
        who, lease = self.leases.pop(place % len(self.leases))
        case = lease.case.id
        if who in {name for name, _, _ in self.counted[case]}:
            return
        fenced = self.holder.get(case, ("", 0))[0] != lease.token
        outcome = self.desk.vote(case, who, lease.token, answer)
        assert outcome.fenced == fenced
        self.counted[case].append((who, answer, fenced))
        if not fenced:
            settlement = settle(self.machine[case], [each for _, each, _ in self.counted[case]])
            self.settled[case] = (settlement.state, settlement.answer)
            del self.holder[case]

    @rule(seconds=some.integers(1, 1200))
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds * MICROS

    @rule()
    def let_deadlines_pass(self) -> None:
        due = {
            case
            for case, (state, _) in self.settled.items()
            if state is not State.CLOSED and self.deadline[case] <= self.now and case not in self.expired
        }
        assert {case.id for case in self.desk.expire()} == due
        self.expired |= due

    @invariant()
    def the_store_agrees(self) -> None:
        for case, (state, answer) in getattr(self, "settled", {}).items():
            found = self.desk.find(case)
            assert (found.state, found.answer) == (state, answer)
            if answer in {Y, N}:
                assert (found.verdict.value, found.decided_by) == (str(answer), DecidedBy.HUMAN)
            elif self.machine[case] is Verdict.MAYBE and (case in self.expired or answer is U):
                assert (found.verdict, found.decided_by) == (Verdict.NO, DecidedBy.DEADLINE)
            else:
                assert (found.verdict, found.decided_by) == (self.machine[case], DecidedBy.MACHINE)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.temporary.cleanup()


TestQueueAgainstAModel = QueueMachine.TestCase
TestQueueAgainstAModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_audits_are_answered_in_proportion_to_their_probability_in_each_stratum(store: Database) -> None:
    # The share that is chosen lies within binomial bounds, and a replay on another day chooses the same ones.
    rules = terms(audit_yes=0.1, audit_no=0.02, salt="monday")
    bookings = [booking(k, (Stratum.AUTO_YES, Stratum.AUTO_NO)[k % 2], rules=rules) for k in range(2000)]
    desk = office(store)
    chosen = {case for first in range(0, 2000, 500) for case in desk.book(bookings[first : first + 500])}
    sources = Counter(desk.find(case).source.value for case in chosen)
    for source, pi in (("audit_yes", 0.1), ("audit_no", 0.02)):
        assert abs(sources[source] - 1000 * pi) < 4 * np.sqrt(1000 * pi * (1 - pi))
    with store.write() as connection:
        connection.execute(review.evidence.delete())
        connection.execute(review.cases.delete())
        connection.execute(review.decisions.delete())
    later = ReviewOffice(store, clock=lambda: now_micros() + 86_400 * MICROS)
    assert {case for first in range(0, 2000, 500) for case in later.book(bookings[first : first + 500])} == chosen


@pytest.mark.parametrize("count", [1, 7])
def test_leasing_several_is_leasing_one_after_another(store: Database, count: int) -> None:
    desk = office(store)
    desk.book([booking(k) for k in range(10)])
    leases = desk.lease("anna", count)
    assert len({lease.case.id for lease in leases}) == len({lease.token for lease in leases}) == count
