"""The webhook: what happens to cases, told to one address as signed CloudEvents, again and again until it was taken.

Events wait in the store's outbox, where they were written with what they tell of. Each is sent at least once; their ids tell repeats. The signature
is the HMAC-SHA256 of the body under the shared secret, in hexadecimal digits: ``X-Tertium-Signature: sha256=…``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import RowMapping, select, update

from tertium_server.errors import ConfigurationError
from tertium_server.logs import Throttle, get_logger
from tertium_server.review.syncing import SyncMetrics
from tertium_server.review.values import MICROS, now_micros
from tertium_server.storage import Database, StoreUnavailableError
from tertium_server.storage.tables import review

TARGET = "webhook"
SIGNATURE_HEADER = "X-Tertium-Signature"
_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_POLL_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
_BATCH = 50
_MOST_ATTEMPTS = 30
_LONGEST_WAIT = 3600
"""Seconds between two attempts; with 30 attempts, an address may be away for about a day."""
_OK = range(200, 300)
_rows = review.outbox.c
_UNSENT = select(_rows.seq).where(_rows.target == TARGET, _rows.sent_at.is_(None), _rows.given_up_at.is_(None)).limit(1)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events go, and what they are signed with."""

    url: str
    secret: bytes
    source: str = "tertium"
    """CloudEvents' source: which server speaks."""


def sign(secret: bytes, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def to_cloud_event(row: RowMapping, source: str) -> dict[str, Any]:
    """An event of the outbox in the envelope of CloudEvents 1.0, structured mode. Its form is review/events.schema.json."""
    moment = datetime.fromtimestamp(row["created_at"] / MICROS, UTC)
    return {
        "specversion": "1.0",
        "id": row["event_id"],
        "source": source,
        "type": row["type"],
        "subject": row["case_id"],
        "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": row["body"],
    }


def wait_after(attempts: int) -> int:
    """Seconds to wait after so many attempts that failed: 2, 4, 8 … up to an hour."""
    return min(_LONGEST_WAIT, 1 << min(attempts, 30))


class Webhook:
    """Sends what is in the outbox, in a thread of its own."""

    def __init__(
        self,
        store: Database,
        settings: WebhookSettings,
        *,
        clock: Callable[[], int] = now_micros,
        sync: SyncMetrics | None = None,
    ) -> None:
        try:
            url = httpx.URL(settings.url)
        except httpx.InvalidURL as error:
            raise ConfigurationError("--webhook", settings.url, str(error), "write https://HOST/PATH") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise ConfigurationError("--webhook", settings.url, "is no address of HTTP", "write https://HOST/PATH")
        self._store = store
        self._settings = settings
        self._clock = clock
        self._sync = sync or SyncMetrics()
        self._sync.add(TARGET, "send")
        # Redirects are not followed: what is signed for one address is not for another.
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        self._stopping = threading.Event()
        self._log = get_logger("webhook")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-webhook", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Ends; what was not sent is sent by the next server."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._client.close()

    def _run(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                while self.work() == _BATCH and not self._stopping.is_set():
                    pass
            except StoreUnavailableError as error:
                self._complain("the store is away; events wait", error)
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may do better
                self._complain("the webhook failed", error)

    def work(self) -> int:
        """Sends what is due; how many events were tried."""
        with self._store.read() as connection:
            query = (
                select(review.outbox)
                .where(
                    _rows.target == TARGET,
                    _rows.sent_at.is_(None),
                    _rows.given_up_at.is_(None),
                    _rows.next_at <= self._clock(),
                )
                .order_by(_rows.seq)
                .limit(_BATCH)
            )
            due = connection.execute(query).mappings().all()
            idle = not due and connection.execute(_UNSENT).first() is None
        if idle:
            self._sync.idle(TARGET)
        for row in due:
            if self._stopping.is_set():
                break
            problem = self._send(row)
            self._sync.tried(TARGET, "send", succeeded=not problem)
            self._note(row, problem)
        return len(due)

    def _send(self, row: RowMapping) -> str:
        """Why an event was not taken; "": it was."""
        body = json.dumps(to_cloud_event(row, self._settings.source), ensure_ascii=False).encode()
        headers = {"content-type": _CONTENT_TYPE, SIGNATURE_HEADER: sign(self._settings.secret, body)}
        try:
            response = self._client.post(self._settings.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return "" if response.status_code in _OK else f"answered {response.status_code}"

    def _note(self, row: RowMapping, problem: str) -> None:
        now = self._clock()
        attempts = row["attempts"] + 1
        values: dict[str, Any] = {"attempts": attempts, "error": problem[:512] or None}
        if not problem:
            values["sent_at"] = now
        elif attempts >= _MOST_ATTEMPTS:
            values["given_up_at"] = now
            self._log.error("an event was given up", id=row["event_id"], error=problem)
        else:
            values["next_at"] = now + wait_after(attempts) * MICROS
            self._complain("an event was not taken; it is sent again", problem)
        with self._store.write() as connection:
            connection.execute(update(review.outbox).where(_rows.seq == row["seq"]).values(values))

    def _complain(self, message: str, error: object) -> None:
        held = self._complaints.admit(message)
        if held is not None:
            self._log.warning(message, error=str(error), held_back=held)
