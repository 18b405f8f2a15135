"""Human review as one thing that a server has: the office, the clerk, the gallery, and what they stand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tertium_server.errors import StartError
from tertium_server.logs import get_logger
from tertium_server.review.blobs import Blobs
from tertium_server.review.bridges.bridge import Bridge, BridgeRules
from tertium_server.review.bridges.label_studio import LabelStudio, LabelStudioSettings
from tertium_server.review.bridges.tool import Tool
from tertium_server.review.clerk import Clerk
from tertium_server.review.gallery import Gallery
from tertium_server.review.instruments import ReviewMetrics
from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.reading import cases_by_state, oldest_by_source
from tertium_server.review.retention import Retention, RetentionRules, rows_held
from tertium_server.review.spool import Spool
from tertium_server.review.values import now_micros
from tertium_server.review.webhook import TARGET, Webhook, WebhookSettings
from tertium_server.storage import Database, StoreError, StoreUnavailableError, upgrade

_RETENTION_SECONDS = 600.0
_REMOVAL_SECONDS = 60.0
_DAY = 86_400.0
_COUNT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSettings:
    """What a review department is set up with."""

    store_url: str
    spool_folder: Path
    evidence_url: str
    """Folder or URL for pictures."""
    evidence_days: float = 30.0
    """Days after a case was closed for which its pictures are kept."""
    retention: RetentionRules = field(default_factory=RetentionRules)
    """What becomes of rows that have had their time."""
    spool_bytes: int = 256 << 20
    queue: QueueRules = field(default_factory=QueueRules)
    classes: tuple[str, ...] = ()
    """Classes that metrics tell apart."""
    webhook: WebhookSettings | None = None
    """Who is told of every case; None: nobody."""
    label_studio: LabelStudioSettings | None = None
    """Where cases are answered, too; None: nowhere."""
    poll_seconds: float = 15.0
    """How often bridges look for answers."""


class ReviewDepartment:
    """See the module. It can be set up while the store is away, and begins its work when the store is there."""

    def __init__(self, settings: ReviewSettings) -> None:
        self._settings = settings
        try:
            self.store = Database(settings.store_url)
            self.spool = Spool(settings.spool_folder, settings.spool_bytes)
        except StoreError as error:
            raise StartError(f"--store: {error}") from error
        except OSError as error:
            raise StartError(f"{settings.spool_folder}: can't be written: {error.strerror}") from error
        tools: list[Tool] = [] if settings.label_studio is None else [LabelStudio(settings.label_studio)]
        targets = (*(() if settings.webhook is None else (TARGET,)), *(tool.name for tool in tools))
        self.office = ReviewOffice(self.store, settings.queue, targets=targets)
        self.gallery = Gallery(self.store, Blobs(settings.evidence_url))
        self.clerk = Clerk(self.office, self.spool)
        self.clerk.add_preparation(self._prepare)
        self.clerk.add_chore(self.office.expire)
        self.clerk.add_chore(self._retain, every=_RETENTION_SECONDS)
        self.clerk.add_chore(self._count, every=_COUNT_SECONDS)
        self.clerk.add_chore(self._measure, every=_RETENTION_SECONDS)
        self.office.on_answers = self.clerk.nudge
        self.metrics = ReviewMetrics(settings.classes)
        self.metrics.snapshot.clerk = lambda: self.clerk.state
        self.office.metrics = self.metrics
        sync = self.metrics.sync
        retention = Retention(self.store, settings.retention, targets, removed=self.metrics.removed)
        self.clerk.add_chore(retention.work, every=_REMOVAL_SECONDS)
        self._webhook = None if settings.webhook is None else Webhook(self.store, settings.webhook, sync=sync)
        rules = BridgeRules(poll_seconds=settings.poll_seconds)
        self.bridges = tuple(Bridge(self.office, self.gallery, tool, sync, rules) for tool in tools)
        self._log = get_logger("review")

    def start(self) -> None:
        """Brings the store up to date, or leaves that to the clerk while the store is away.

        Raises:
            StartError: The store can't be used, now or later.
        """
        try:
            self._prepare()
        except StoreUnavailableError as error:
            self._log.warning("the store is away; cases wait", error=str(error))
        except StoreError as error:
            raise StartError(f"--store: {error}") from error
        self.clerk.start()
        if self._webhook is not None:
            self._webhook.start()
        for bridge in self.bridges:
            bridge.start()

    def stop(self, seconds: float) -> None:
        """Books or spools what waits, and ends."""
        if self._webhook is not None:
            self._webhook.stop(seconds)
        for bridge in self.bridges:
            bridge.stop(seconds)
        if not self.clerk.stop(seconds):
            self._log.warning("the review clerk did not finish in time")
        self.store.close()

    def _prepare(self) -> None:
        upgrade(self.store)

    def _count(self) -> None:
        with self.store.read() as connection:
            cases = cases_by_state(connection, now_micros())
            oldest = oldest_by_source(connection)
        self.metrics.snapshot.cases, self.metrics.snapshot.oldest = cases, oldest

    def _retain(self) -> bool:
        return self.gallery.retain(self._settings.evidence_days * _DAY)

    def _measure(self) -> None:
        with self.store.read() as connection:
            self.metrics.snapshot.rows = rows_held(connection)
