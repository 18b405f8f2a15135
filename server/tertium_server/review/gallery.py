"""Pictures of cases: taken in, shown, and deleted when their time has come or somebody wants them gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, select, tuple_, update

from tertium_server.logs import Throttle, get_logger
from tertium_server.review.blobs import Blobs, picture_key
from tertium_server.review.footage import Footage
from tertium_server.review.pictures import MOST_PICTURES, PictureRefusedError, make_safe
from tertium_server.review.values import MICROS, State, now_micros
from tertium_server.storage import Database
from tertium_server.storage.tables import review

_DELETIONS_AT_A_TIME = 200
_UNRECORDED_MICROS = 3600 * MICROS
"""A blob whose row has not come for so long is nobody's."""
_pictures, _cases = review.pictures.c, review.cases.c


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture as a caller sends it."""

    frame_index: int
    data: bytes
    crop: tuple[float, float, float, float]
    """x1, y1, x2, y2: the part of the frame it shows, pixels."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What is known of a picture, but for its bytes."""

    frame_index: int
    key: str
    media_type: str
    width: int
    height: int
    crop: tuple[float, ...]


class Gallery:
    """See the module. May be used by any number of threads."""

    def __init__(self, store: Database, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        self._log = get_logger("review")
        self._complaints = Throttle()

    def take(self, case: str, sent: Sequence[SentPicture]) -> int:
        """Stores the pictures of a case that are fit to be; how many. A frame's second picture takes the place of its first.

        Raises:
            StoreUnavailableError: The store is away.
            OSError: The blob store is away.
        """
        blobs: dict[str, bytes] = {}
        rows: dict[str, dict[str, object]] = {}
        for picture in sent[:MOST_PICTURES]:
            try:
                safe = make_safe(picture.data)
            except PictureRefusedError as error:
                self._complain(case, picture.frame_index, error)
                continue
            key = picture_key(case, picture.frame_index)
            blobs[key] = safe.data
            rows[key] = {
                "case_id": case, "frame_index": picture.frame_index, "key": key, "media_type": safe.media_type,
                "width": safe.width, "height": safe.height, "bytes": len(safe.data), "crop": list(picture.crop),
                "stored_at": now_micros(),
            }  # fmt: skip
        if rows:
            # Before the first byte: whatever happens until their rows are there, these blobs will be found.
            with self._store.write() as connection:
                _leave_word(connection, blobs, now_micros() + _UNRECORDED_MICROS)
            for key, data in blobs.items():
                self._blobs.put(key, data)
            self._record(case, list(rows.values()))
        return len(rows)

    def footage(self, case: str) -> Footage:
        """What was frozen of a case; nothing where the case is not known."""
        with self._store.read() as connection:
            query = select(review.evidence.c.body).where(review.evidence.c.case_id == case)
            return Footage.from_json(connection.execute(query).scalar() or {})

    def pictures(self, case: str) -> list[StoredPicture]:
        """The pictures of a case, by frame."""
        with self._store.read() as connection:
            query = select(review.pictures).where(_pictures.case_id == case).order_by(_pictures.frame_index)
            return [
                StoredPicture(
                    row["frame_index"], row["key"], row["media_type"], row["width"], row["height"], tuple(row["crop"])
                )
                for row in connection.execute(query).mappings()
            ]

    def bytes_of(self, picture: StoredPicture) -> bytes | None:
        """A picture's bytes; None: it has just been deleted."""
        return self._blobs.get(picture.key)

    def delete(self, *, stream: str = "", stored_before: int = 0) -> int:
        """Deletes pictures of a stream ("": of any), stored before a time (0: at any). How many are gone for good."""
        conditions = [_pictures.stored_at < stored_before] if stored_before else []
        if stream:
            conditions.append(exists().where(_cases.id == _pictures.case_id, _cases.stream_id == stream))
        with self._store.write() as connection:
            count = forget_pictures(connection, and_(*conditions))
        self.sweep()
        return count

    def retain(self, seconds: float) -> bool:
        """Deletes some of the pictures of cases that were closed so long ago; whether there may be more of them."""
        before = now_micros() - round(seconds * MICROS)
        due = (
            select(_pictures.case_id, _pictures.frame_index)
            .join(review.cases, _cases.id == _pictures.case_id)
            .where(
                _pictures.stored_at < before,  # hardly ever after its case was closed, and it has an index
                _cases.state.in_([State.CLOSED.value, State.WITHDRAWN.value]),
                _cases.closed_at < before,
            )
            .order_by(_pictures.stored_at)
            .limit(_DELETIONS_AT_A_TIME)
        )
        with self._store.write() as connection:
            count = forget_pictures(connection, tuple_(_pictures.case_id, _pictures.frame_index).in_(due))
        return self._sweep_some() or count == _DELETIONS_AT_A_TIME

    def sweep(self) -> None:
        """Deletes the blobs whose rows are gone. What can't be deleted now is tried again the next time."""
        while self._sweep_some():
            pass

    def _sweep_some(self) -> bool:
        """Deletes some of them; whether there may be more that can be."""
        words, now = review.blob_deletions.c, now_micros()
        with self._store.read() as connection:
            query = select(words.key).where(words.asked_at <= now).order_by(words.asked_at).limit(_DELETIONS_AT_A_TIME)
            keys = connection.execute(query).scalars().all()
        gone: list[str] = []
        held: list[str] = []
        for key in keys:
            try:
                self._blobs.delete(key)
                gone.append(key)
            except OSError as error:
                self._complain(key, 0, error)
                held.append(key)
        if keys:
            with self._store.write() as connection:
                connection.execute(delete(review.blob_deletions).where(words.key.in_(gone)))
                # Behind the others: what is locked, say, must not keep them.
                connection.execute(update(review.blob_deletions).where(words.key.in_(held)).values(asked_at=now))
        return bool(gone) and len(keys) == _DELETIONS_AT_A_TIME

    def _record(self, case: str, rows: list[dict[str, object]]) -> None:
        frames = [row["frame_index"] for row in rows]
        keys = [row["key"] for row in rows]
        with self._store.write() as connection:
            connection.execute(
                delete(review.pictures).where(_pictures.case_id == case, _pictures.frame_index.in_(frames))
            )
            connection.execute(review.pictures.insert(), rows)
            connection.execute(delete(review.blob_deletions).where(review.blob_deletions.c.key.in_(keys)))
            connection.execute(update(review.evidence).where(review.evidence.c.case_id == case).values(pictures="some"))

    def _complain(self, name: str, frame: int, error: Exception) -> None:
        held = self._complaints.admit(type(error).__name__)
        if held is not None:
            self._log.warning("a picture was refused", case=name, frame=frame, error=str(error), held_back=held)


def _leave_word(connection: Connection, keys: Collection[str], moment: int) -> None:
    """Has blobs be deleted from a time (microseconds) on."""
    said_before = delete(review.blob_deletions).where(review.blob_deletions.c.key == bindparam("name"))
    connection.execute(said_before, [{"name": key} for key in keys])
    connection.execute(review.blob_deletions.insert(), [{"key": key, "asked_at": moment} for key in keys])


def forget_pictures(connection: Connection, condition: ColumnElement[bool]) -> int:
    """Takes rows out of the gallery, and leaves word to delete their blobs; how many."""
    found = connection.execute(
        delete(review.pictures).where(condition).returning(_pictures.key, _pictures.case_id)
    ).all()
    if not found:
        return 0
    _leave_word(connection, [key for key, _ in found], now_micros())
    # One by one: there may be more of them than a statement takes parameters.
    touched = update(review.evidence).where(review.evidence.c.case_id == bindparam("case"))
    connection.execute(
        touched.values(pictures="deleted"), [{"case": case} for case in sorted({case for _, case in found})]
    )
    return len(found)
