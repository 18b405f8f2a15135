"""A bridge to a labelling tool, in a thread of its own: cases out, answers in, closed cases away.

- Out: from the store's outbox, where each was written with what it tells of. An attempt is noted before it is made; one that is made again looks for
  the task first, for tools take the same task twice without a word.
- In: by polling what has changed, which is the truth. A webhook of the tool is only a nudge to poll now. Now and then, and at each nudge, all tasks
  are compared: that finds answers that were deleted, tasks that somebody has removed, and cases that the tool never got.
- An answer becomes a vote by the rules of all votes. Only where nobody has the case leased does it settle anything; else it counts with the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import RowMapping

from tertium_server.errors import RequestError
from tertium_server.logs import Throttle, get_logger
from tertium_server.review import outbox
from tertium_server.review.bridges import books
from tertium_server.review.bridges.sheet import make_sheet
from tertium_server.review.bridges.tool import Task, TaskAnswers, Tool, ToolError
from tertium_server.review.coin import toss
from tertium_server.review.errors import CaseNotFoundError
from tertium_server.review.gallery import Gallery
from tertium_server.review.office import ReviewOffice
from tertium_server.review.reading import votes_from
from tertium_server.review.syncing import SyncMetrics
from tertium_server.review.values import MICROS, WAITING, Case, Source
from tertium_server.review.webhook import wait_after
from tertium_server.storage import StoreUnavailableError

OPERATIONS = ("push", "pull", "withdraw")
_IDLE_SECONDS = 1.0
_BATCH = 20
_MOST_AGAIN = 500
_MOST_ATTEMPTS = 30
_SCORES = 0.5
_LOOK_AGAIN_MICROS = 2 * MICROS


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRules:
    """How a bridge works."""

    poll_seconds: float = 15.0
    """Between two looks at what has changed."""
    sweep_seconds: float = 600.0
    """Between two comparisons of everything."""
    picture_seconds: float = 30.0
    """How long a case waits for its pictures before it goes out without."""


class Bridge:
    """See the module."""

    def __init__(
        self,
        office: ReviewOffice,
        gallery: Gallery,
        tool: Tool,
        sync: SyncMetrics,
        rules: BridgeRules = BridgeRules(),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._office = office
        self._store = office.store
        self._gallery = gallery
        self._tool = tool
        self._sync = sync
        self._rules = rules
        self._clock = clock
        self._polled = self._swept = float("-inf")
        self._nudged = threading.Event()
        self._stopping = False
        self._log = get_logger("bridge")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name=f"tertium-{tool.name}", daemon=True)
        sync.add(tool.name, *OPERATIONS)

    @property
    def name(self) -> str:
        """The tool's."""
        return self._tool.name

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def nudge(self) -> None:
        """Something has changed there: look now."""
        self._swept = float("-inf")
        self._nudged.set()

    def stop(self, seconds: float) -> None:
        """Ends; what was not done is done by the next server."""
        self._stopping = True
        self._nudged.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._tool.close()

    def _run(self) -> None:
        while not self._stopping:
            self._nudged.wait(_IDLE_SECONDS)
            self._nudged.clear()
            if not self._stopping:
                self.work()

    def work(self) -> None:
        """Does all there is to do now. Called by the bridge's own thread, and by tests."""
        try:
            while self._send() == _BATCH and not self._stopping:
                pass
            now = self._clock()
            if now - self._swept >= self._rules.sweep_seconds:
                self._guarded("pull", self._sweep)
                self._swept = self._polled = now
            elif now - self._polled >= self._rules.poll_seconds:
                self._guarded("pull", self._pull)
                self._polled = now
        except StoreUnavailableError as error:
            self._complain("the store is away; the bridge waits", error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next round may do better
            self._complain("the bridge failed", error)

    # ------------------------------------------------------------------ out

    def _send(self) -> int:
        """Tells the tool what is due; how many pieces of news."""
        with self._store.read() as connection:
            due = books.due_of(connection, self.name, self._office.clock(), _BATCH)
        for row in due:
            if self._stopping:
                break
            self._tell(row)
        return len(due)

    def _tell(self, row: RowMapping) -> None:
        if row["type"] == outbox.OPENED and self._waits_for_pictures(row):
            return
        attempts = row["attempts"] + 1
        next_at = self._office.clock() + wait_after(attempts) * MICROS
        with self._store.write() as connection:
            if not books.claim(connection, row, next_at):
                return
        operation = "push" if row["type"] == outbox.OPENED else "withdraw"
        act = {outbox.OPENED: self._push, outbox.CLOSED: self._withdraw, outbox.WITHDRAWN: self._withdraw}
        problem = self._guarded(operation, lambda: act.get(row["type"], _nothing)(row))
        with self._store.write() as connection:
            if not problem:
                books.done(connection, row, self._office.clock())
                return
            given_up = self._office.clock() if attempts >= _MOST_ATTEMPTS else None
            books.failed(connection, row, problem, given_up)

    def _waits_for_pictures(self, row: RowMapping) -> bool:
        """Whether a case was opened a moment ago, and its pictures may still come: then it goes out a little later."""
        now = self._office.clock()
        young = now < row["created_at"] + round(self._rules.picture_seconds * MICROS)
        if not young or self._gallery.pictures(row["case_id"]):
            return False
        with self._store.write() as connection:
            books.postpone(connection, row, now + _LOOK_AGAIN_MICROS)
        return True

    def _push(self, row: RowMapping) -> None:
        case = self._office.find(row["case_id"])
        with self._store.read() as connection:
            known = books.task_of(connection, self.name, case.id)
        if known is not None or case.state not in WAITING:
            return
        # A first attempt that was never heard of again may have made the task all the same.
        task = self._tool.find(case.id) if row["attempts"] else None
        external_id = self._tool.push(self._task(case)) if task is None else task
        with self._store.write() as connection:
            books.keep_task(connection, self.name, case.id, external_id, self._office.clock())

    def _task(self, case: Case) -> Task:
        pictures = [(each, data) for each in self._gallery.pictures(case.id) if (data := self._gallery.bytes_of(each))]
        sheet = make_sheet(self._gallery.footage(case.id), pictures)
        return Task(
            case_id=case.id,
            class_name=case.class_name,
            stream_id=case.stream_id,
            score=_score(case),
            picture=sheet.picture,
            box=sheet.box,
            film=sheet.film,
        )

    def _withdraw(self, row: RowMapping) -> None:
        """Takes a case's task away, with a last look at what people answered there."""
        with self._store.read() as connection:
            task = books.task_of(connection, self.name, row["case_id"])
        if task is None:
            return
        if (found := self._tool.answers(task)) is not None:
            self._take(found)
        if self._office.find(row["case_id"]).state in WAITING:
            return  # a vote was taken back in the meantime
        self._tool.withdraw(task)
        with self._store.write() as connection:
            books.drop_tasks(connection, self.name, [task], self._office.clock())

    # ------------------------------------------------------------------ in

    def _pull(self) -> None:
        """Takes what has changed."""
        with self._store.read() as connection:
            cursor = books.cursor_of(connection, self.name)
        changes = self._tool.changes(cursor)
        for task in changes.tasks:
            self._take(task)
        self._move(changes.cursor)

    def _sweep(self) -> None:
        """Compares everything."""
        with self._store.read() as connection:
            expected = books.open_tasks(connection, self.name)  # before: what is pushed meanwhile is not missing
        changes = self._tool.changes("")
        for task in changes.tasks:
            self._take(task)
        missing = self._gone(expected.keys() - {task.external_id for task in changes.tasks})
        with self._store.write() as connection:
            books.drop_tasks(connection, self.name, missing, self._office.clock())
            again = books.push_again(connection, self.name, self._office.clock(), _MOST_AGAIN)
        if missing or again:
            self._log.info("tasks compared", tool=self.name, gone=len(missing), to_push=len(again))
        self._move(changes.cursor)

    def _gone(self, unseen: Collection[str]) -> set[str]:
        """Tasks that are not there any more, of those that a list did not show: each is asked for by itself.

        Tools list by pages. Where a task is deleted while they are read, the first one of the next page is never shown; taken for gone, its case
        would get a second task.
        """
        gone: set[str] = set()
        for task in sorted(unseen):
            if (found := self._tool.answers(task)) is None:
                gone.add(task)
            else:
                self._take(found)
        return gone

    def _move(self, cursor: str) -> None:
        if cursor:
            with self._store.write() as connection:
                books.move_cursor(connection, self.name, cursor, self._office.clock())

    def _take(self, task: TaskAnswers) -> None:
        """Has the votes that came by this bridge be what stands on a task."""
        with self._store.read() as connection:
            known = votes_from(connection, task.case_id, self.name)
        wanted = {f"{self.name}:{person}": answer for person, answer in task.answers.items()}
        try:
            for reviewer, answer in known.items():
                if wanted.get(reviewer) is not answer:
                    self._office.retract(task.case_id, reviewer)
            for reviewer, answer in wanted.items():
                if known.get(reviewer) is not answer:
                    self._office.vote_elsewhere(task.case_id, reviewer, answer, origin=self.name)
        except RequestError as error:
            # A task that was copied from another project, say: it must not keep the others from being read.
            self._complain("the answers of a task can't be taken", error)

    # ------------------------------------------------------------------ trouble

    def _guarded(self, operation: str, work: Callable[[], None]) -> str:
        """What went wrong; "": nothing."""
        try:
            work()
        except (ToolError, CaseNotFoundError, OSError) as error:
            self._sync.tried(self.name, operation, succeeded=False)
            self._complain(f"{operation} failed; it is tried again", error)
            return str(error) or type(error).__name__
        self._sync.tried(self.name, operation, succeeded=True)
        return ""

    def _complain(self, message: str, error: object) -> None:
        held = self._complaints.admit(message)
        if held is not None:
            self._log.warning(message, tool=self.name, error=str(error), held_back=held)


def _score(case: Case) -> float:
    """Least first. Maybes go by doubt; audits are strewn among them by chance: else they came last, and were known for what they are."""
    if case.source is Source.MAYBE:
        return min(abs(case.probability - _SCORES), _SCORES)
    return _SCORES * toss(case.id, "bridge")


def _nothing(_: RowMapping) -> None:
    """News that a tool need not hear."""
