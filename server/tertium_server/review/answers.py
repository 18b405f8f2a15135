"""Answers on their way to streams: kept until the stream has them, however often it breaks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from tertium_server.review.rows import to_answer
from tertium_server.review.values import DecidedBy, StreamAnswer
from tertium_server.storage.tables import review

_answers = review.answers.c
_MOST = 1000


def undelivered(connection: Connection, streams: Collection[str], after: int = 0) -> list[StreamAnswer]:
    """Answers that these streams do not have, oldest first, from a number on."""
    if not streams:
        return []
    query = (
        select(review.answers)
        .where(_answers.stream_id.in_(sorted(streams)), _answers.delivered_at.is_(None), _answers.seq > after)
        .order_by(_answers.seq)
        .limit(_MOST)
    )
    return [to_answer(row) for row in connection.execute(query).mappings()]


def standing(connection: Connection, stream: str, epoch: int) -> list[StreamAnswer]:
    """What a stream was told last of each of its tracks, newest first: a server that has just started does not know it."""
    newer = review.answers.alias("newer").c
    superseded = exists().where(newer.case_id == _answers.case_id, newer.seq > _answers.seq)
    query = (
        select(review.answers)
        .where(
            _answers.stream_id == stream,
            _answers.delivered_at.is_not(None),
            _answers.epoch == epoch,
            _answers.decided_by != DecidedBy.MACHINE.value,
            ~superseded,
        )
        .order_by(_answers.seq.desc())
        .limit(_MOST)
    )
    return [to_answer(row) for row in connection.execute(query).mappings()]


def decided_first(connection: Connection, cases: Collection[str]) -> set[str]:
    """Those of some cases that people or a deadline have just decided for the first time: what was taken back and said anew is no second one."""
    query = (
        select(_answers.case_id)
        .where(_answers.case_id.in_(sorted(cases)), _answers.decided_by != DecidedBy.MACHINE.value)
        .group_by(_answers.case_id)
        .having(func.count() == 1)
    )
    return set(connection.execute(query).scalars())


def mark_delivered(connection: Connection, seqs: Sequence[int], epoch: int, frame: int | None, now: int) -> None:
    """These answers went out in the response whose last frame is ``frame``; None: it had none."""
    connection.execute(
        update(review.answers)
        .where(_answers.seq.in_(list(seqs)))
        .values(delivered_epoch=epoch, delivered_frame=frame, delivered_at=now)
    )


def take_back(connection: Connection, stream: str, epoch: int, answered: int) -> None:
    """The stream was opened again, and its last answered frame lies before responses that answers went out with: they never arrived."""
    lost = and_(_answers.delivered_epoch == epoch, _answers.delivered_frame > answered)
    # A response without any frame may have been lost on its way as well as one with frames.
    unsure = and_(_answers.delivered_epoch == epoch, _answers.delivered_frame.is_(None))
    connection.execute(
        update(review.answers)
        .where(_answers.stream_id == stream, _answers.delivered_at.is_not(None), or_(lost, unsure))
        .values(delivered_epoch=None, delivered_frame=None, delivered_at=None)
    )
