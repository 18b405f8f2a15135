"""The review office: everything that can be done with cases, each in one transaction of the store. May be used by any number of threads."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

from tertium_server.review import answers, queue, voting
from tertium_server.review.booking import book, id_of
from tertium_server.review.frame_audits import FrameAudit, book_frame
from tertium_server.review.instruments import ReviewMetrics
from tertium_server.review.queue import QueueRules
from tertium_server.review.rows import find_case
from tertium_server.review.values import Answer, Ballot, Booking, Case, Lease, Outcome, StreamAnswer, now_micros
from tertium_server.storage import Database

Listener = Callable[[], None]

_CHANCE = random.SystemRandom()


class ReviewOffice:
    """See the module.

    ``targets`` name those who are told of every case (webhook, bridges). ``clock`` gives microseconds since the Unix epoch; ``draw`` numbers in
    [0, 1) by which audits get their share of the feed.
    """

    def __init__(
        self,
        store: Database,
        rules: QueueRules | None = None,
        *,
        targets: Sequence[str] = (),
        clock: Callable[[], int] = now_micros,
        draw: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self.store = store
        self.rules = rules or QueueRules()
        self.targets = tuple(targets)
        self.clock = clock
        self._draw = draw
        self.metrics: ReviewMetrics | None = None
        """Told of what happens, where somebody counts."""
        self.on_answers: Listener = _nobody
        """Called after streams got answers, from whichever thread."""

    def book(self, bookings: Sequence[Booking]) -> list[str]:
        """Books decisions, and opens the cases that their coins choose; the ids of these. A repeat changes nothing."""
        with self.store.write() as connection:
            booked = book(connection, bookings, self.clock(), self.targets)
        if self.metrics is not None and booked.decisions:
            decisions = {id_of(booking.decision): booking.decision for booking in bookings}
            self.metrics.booked([decisions[name] for name in booked.decisions])
            for case in booked.opened:
                self.metrics.opened(decisions[case])
        return booked.opened

    def book_frame(self, audit: FrameAudit) -> bool:
        """Opens the case of a whole frame; False: it was opened before."""
        with self.store.write() as connection:
            opened = book_frame(connection, audit, self.clock())
        if opened and self.metrics is not None:
            self.metrics.opened_frame()
        return opened

    def lease(self, reviewer: str, count: int = 1) -> list[Lease]:
        """Up to ``count`` cases for a reviewer, none that somebody else has or the reviewer has voted on."""
        leases: list[Lease] = []
        for _ in range(count):
            with self.store.write() as connection:
                lease = queue.lease(connection, reviewer, self._draw(), self.rules, self.clock())
            if lease is None:
                break
            leases.append(lease)
        if self.metrics is not None:
            self.metrics.leased("granted", len(leases))
        return leases

    def renew(self, case: str, reviewer: str, token: str) -> int | None:
        """Keeps a lease for longer; until when, or None: it no longer holds."""
        with self.store.write() as connection:
            expires = queue.renew(connection, case, reviewer, token, self.rules, self.clock())
        if self.metrics is not None:
            self.metrics.leased("expired" if expires is None else "renewed")
        return expires

    def release(self, case: str, reviewer: str, token: str) -> bool:
        """Gives a case back; False: the lease no longer held."""
        with self.store.write() as connection:
            released = queue.release(connection, case, reviewer, token)
        if self.metrics is not None and released:
            self.metrics.leased("released")
        return released

    def vote(
        self, case: str, reviewer: str, token: str, answer: Answer, *, origin: str = "api", missed: int | None = None
    ) -> Outcome:
        """Takes a vote. ``missed``: of a whole frame, how many objects have no box.

        Raises:
            CaseNotFoundError: There is no such case.
            VotedAlreadyError: The reviewer's vote stands, with another answer.
            InvalidRequestError: ``missed`` is missing, or is no answer to the question.
        """
        return self._vote(case, reviewer, Ballot(answer, missed, origin), token)

    def vote_elsewhere(self, case: str, reviewer: str, answer: Answer, *, origin: str) -> Outcome:
        """Takes a vote that was cast in another tool.

        Where nobody has the case now, it counts as if its reviewer had; else it is kept, and settles nothing until another vote does.

        Raises:
            CaseNotFoundError: There is no such case.
            VotedAlreadyError: The reviewer's vote stands, with another answer.
        """
        return self._vote(case, reviewer, Ballot(answer, origin=origin), None)

    def _vote(self, case: str, reviewer: str, ballot: Ballot, token: str | None) -> Outcome:
        with self.store.write() as connection:
            now = self.clock()
            before = find_case(connection, case, lock=True)
            if token is None:
                lease = queue.lease_again(connection, case, reviewer, self.rules, now)
                token = "" if lease is None else lease.token
            outcome = voting.vote(connection, case, reviewer, token, ballot, now, targets=self.targets)
            first = answers.decided_first(connection, [case])
        if self.metrics is not None and not outcome.repeated:
            self.metrics.voted(before, outcome, ballot.answer, now)
            self.metrics.decided(before, outcome.case, first=bool(first))
        self.on_answers()
        return outcome

    def undo(self, case: str, reviewer: str) -> Lease | None:
        """Takes a vote back and leases the case anew; None: somebody else has it, or it stays closed.

        Raises:
            CaseNotFoundError: There is no such case.
            NothingToUndoError: There is no such vote, or it is too old.
        """
        with self.store.write() as connection:
            now = self.clock()
            before = find_case(connection, case, lock=True)
            after = voting.undo(connection, case, reviewer, now, targets=self.targets)
            lease = queue.lease_again(connection, case, reviewer, self.rules, now)
        self._taken_back(before, after)
        return lease

    def retract(self, case: str, reviewer: str) -> None:
        """Takes a vote back that was cast in another tool and does not stand there any more, however old it is.

        Raises:
            CaseNotFoundError: There is no such case.
            NothingToUndoError: There is no such vote.
        """
        with self.store.write() as connection:
            now = self.clock()
            before = find_case(connection, case, lock=True)
            after = voting.undo(connection, case, reviewer, now, within=now, targets=self.targets)
        self._taken_back(before, after)

    def _taken_back(self, before: Case, after: Case) -> None:
        """A vote was taken back: what held by it is corrected."""
        if self.metrics is not None:
            self.metrics.decided(before, after, first=False)
        self.on_answers()

    def withdraw(self, case: str) -> bool:
        """Takes a case out of the queue; False: it was out already.

        Raises:
            CaseNotFoundError: There is no such case.
        """
        with self.store.write() as connection:
            return voting.withdraw(connection, case, self.clock(), targets=self.targets)

    def expire(self) -> list[Case]:
        """Lets defaults hold where deadlines have passed."""
        with self.store.write() as connection:
            expired = voting.expire(connection, self.clock(), targets=self.targets)
            first = answers.decided_first(connection, [case.id for case in expired]) if expired else set[str]()
        if expired:
            if self.metrics is not None:
                self.metrics.expired(expired, first)
            self.on_answers()
        return expired

    def find(self, case: str) -> Case:
        """A case.

        Raises:
            CaseNotFoundError: There is no such case.
        """
        with self.store.read() as connection:
            return find_case(connection, case)

    def undelivered(self, streams: Collection[str], after: int = 0) -> list[StreamAnswer]:
        """Answers that these streams do not have yet."""
        with self.store.read() as connection:
            return answers.undelivered(connection, streams, after)

    def standing(self, stream: str, epoch: int) -> list[StreamAnswer]:
        """What holds of a stream's tracks by people, or by deadlines, and was told to it before."""
        with self.store.read() as connection:
            return answers.standing(connection, stream, epoch)

    def mark_delivered(self, seqs: Sequence[int], epoch: int, frame: int | None) -> None:
        """Answers went out to their stream, in the response whose last frame is ``frame``; None: it had none."""
        with self.store.write() as connection:
            answers.mark_delivered(connection, seqs, epoch, frame, self.clock())

    def take_back(self, stream: str, epoch: int, answered: int) -> None:
        """A stream was opened again: what it did not get is to be sent again."""
        with self.store.write() as connection:
            answers.take_back(connection, stream, epoch, answered)


def _nobody() -> None:
    """Nobody listens."""
