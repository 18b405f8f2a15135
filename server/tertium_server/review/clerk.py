"""The clerk: the one thread that brings decisions into the store, in batches, and does what has to be done now and then.

While the store is slow or away, frames go on: what is to be booked waits in memory, then in the spool on the disk, and is booked when the store is
back. Only when both are full is something lost, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tertium_server.logs import Throttle, get_logger
from tertium_server.pacing import Pacer, Rest, go_on
from tertium_server.review.booking import id_of
from tertium_server.review.office import ReviewOffice
from tertium_server.review.spool import Spool
from tertium_server.review.values import Booking, ClerkState
from tertium_server.storage import StoreUnavailableError

_BATCH = 100
"""Bookings of one transaction: some ten milliseconds of work."""
_GATHER_SECONDS = 0.05
"""How long the clerk waits for others to share a transaction: a commit waits for the disk."""
_IDLE_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_MOST_ERRANDS = 10_000

Errand = Callable[[], object]
Opened = Callable[[str], None]
"""Told the id of a case that is in the store now."""


@dataclass(slots=True)
class _Chore:
    """Something that has to be done now and then."""

    do: Errand
    every: float
    """Seconds."""
    due: float = 0.0
    """When it is to be done again, by the monotonic clock."""

    @property
    def is_constant(self) -> bool:
        """It is done whenever there may be something to do."""
        return self.every == 0.0


class Clerk:
    """See the module."""

    def __init__(self, office: ReviewOffice, spool: Spool, *, most_waiting: int = 10_000) -> None:
        self._office = office
        self._spool = spool
        self._most_waiting = most_waiting
        self._bookings: deque[tuple[Booking, Opened]] = deque()
        self._errands: deque[Errand] = deque(maxlen=_MOST_ERRANDS)
        self._preparations: list[Errand] = []
        self._chores: list[_Chore] = []
        self._wake = threading.Event()
        self._nudged = False
        self._stopping = False
        self._pacer = Pacer()
        self._lost = 0
        self._away_until: float | None = None
        self._log = get_logger("review")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-review-clerk", daemon=True)

    @property
    def state(self) -> ClerkState:
        """How far behind it is. May be asked by any thread."""
        away = self._away_until is not None
        return ClerkState(len(self._bookings), self._spool.bookings, self._lost, away)

    def add_preparation(self, preparation: Errand) -> None:
        """Has something done once, before all else, as soon as the store is there."""
        self._preparations.append(preparation)

    def add_chore(self, chore: Errand, every: float = 0.0) -> None:
        """Has something done every so many seconds; 0: about twice a second, and whenever the clerk is nudged. Before ``start``.

        A chore that returns True has left some of it: it goes on after the next bookings.
        """
        self._chores.append(_Chore(chore, every))

    def submit(self, booking: Booking, opened: Opened | None = None) -> None:
        """Takes a booking; never waits for the store. ``opened`` is called by the clerk once its case is there, unless it had to go by the spool."""
        if len(self._bookings) >= self._most_waiting:
            self._keep([booking])
            return
        self._bookings.append((booking, opened or _nobody))
        self._wake.set()

    def ask(self, errand: Errand) -> None:
        """Has something done soon; what waits longest is forgotten when too much does."""
        self._errands.append(errand)
        self._wake.set()

    def nudge(self) -> None:
        """There is something to do: chores are done at once."""
        self._nudged = True
        self._wake.set()

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Books or spools what waits, and ends; False: not in time."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_IDLE_SECONDS)
            if not self._stopping:
                time.sleep(_GATHER_SECONDS)
            self._wake.clear()
            self.work(self._rest)
        self.work()
        while self._bookings:
            self._keep([booking for booking, _ in self._gather()])

    def _rest(self) -> None:
        if not self._stopping and len(self._bookings) < self._most_waiting // 2:
            self._pacer.rest()

    def work(self, rest: Rest = go_on) -> None:
        """Does everything there is to do now. Called by the clerk's own thread, and by tests."""
        if self._away_until is not None and time.monotonic() < self._away_until:
            self._spool_overflow()
            return
        try:
            while self._preparations:
                self._preparations[0]()
                del self._preparations[0]
            self._empty_spool(rest)
            self._book(rest)
            self._run_errands(rest)
            self._away_until = None
        except StoreUnavailableError as error:
            self._away_until = time.monotonic() + _RETRY_SECONDS
            self._complain("the store is away; cases wait", error)
            self._spool_overflow()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next round may do better, and cases must go on
            self._complain("the review clerk failed at something", error)
        else:
            self._do_chores(rest)

    def _do_chores(self, rest: Rest) -> None:
        # Not at each batch of bookings: chores ask the store, and bookings come many times a second.
        nudged, self._nudged = self._nudged, False
        for chore in self._chores:
            if time.monotonic() < chore.due and not (nudged and chore.is_constant):
                continue
            try:
                is_left = chore.do() is True
                chore.due = time.monotonic() + (0.0 if is_left else chore.every or _IDLE_SECONDS)
            except StoreUnavailableError as error:
                self._away_until = time.monotonic() + _RETRY_SECONDS
                self._complain("the store is away; cases wait", error)
            except Exception as error:  # noqa: BLE001 - one chore's trouble must not keep the others undone
                self._complain("the review clerk failed at a chore", error)
            rest()

    def _book(self, rest: Rest) -> None:
        while self._bookings:
            callers = self._gather()
            batch = [booking for booking, _ in callers]
            try:
                ids = self._book_all(batch)
            except StoreUnavailableError:
                self._keep(batch)
                raise
            for booking, opened in callers:
                name = id_of(booking.decision)
                if name in ids:
                    opened(name)
            rest()

    def _book_all(self, batch: list[Booking]) -> set[str]:
        """Books a batch but for what the store can't take, which must not hold up the others; the ids of opened cases.

        Raises:
            StoreUnavailableError: The store is away. All of it may be booked again.
        """
        try:
            return set(self._office.book(batch))
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one of them, whatever is wrong with it
            self._complain("bookings were refused by the store", error)
        opened: set[str] = set()
        for booking in batch:
            try:
                opened.update(self._office.book([booking]))
            except StoreUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._lost += 1
                self._log.error("a booking is lost", track=booking.decision.track_id, error=str(error))
        return opened

    def _gather(self) -> list[tuple[Booking, Opened]]:
        return [self._bookings.popleft() for _ in range(min(_BATCH, len(self._bookings)))]

    def _empty_spool(self, rest: Rest) -> None:
        while (found := self._spool.oldest()) is not None:
            file, batch = found
            self._book_all(batch)
            self._spool.remove(file)
            rest()

    def _run_errands(self, rest: Rest) -> None:
        while self._errands:
            errand = self._errands.popleft()
            try:
                errand()
            except StoreUnavailableError:
                self._errands.appendleft(errand)
                raise
            except Exception as error:  # noqa: BLE001 - tried again, it would hold up all others for good
                self._complain("the review clerk failed at an errand", error)
            rest()

    def _spool_overflow(self) -> None:
        """What waits in memory goes to the disk, where a crash can't reach it."""
        while self._bookings:
            self._keep([booking for booking, _ in self._gather()])

    def _keep(self, batch: list[Booking]) -> None:
        if not self._spool.put(batch):
            self._lost += len(batch)
            self._complain("the spool is full; bookings are lost", None)

    def _complain(self, message: str, error: Exception | None) -> None:
        held = self._complaints.admit(message)
        if held is not None:
            self._log.error(message, error=None if error is None else str(error), held_back=held)


def _nobody(_case: str) -> None:
    """Nobody wants to know."""
