"""Frame audits: whole frames, chosen by the coin, on which people count what has no box.

What is said of tracks is conditional on a track: objects on which the detector never fired, and candidates that never left NO, are in no sample of
tracks. A frame audit shows a frame with the boxes that were held as YES or MAYBE, and asks how many objects have none. Its answer says nothing of any
track and no verdict hangs on it: cases of this kind have a source and a stratum of their own, and their figures a table (``frame_audits``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update

from tertium_server.review.coin import toss
from tertium_server.review.identity import case_id
from tertium_server.review.values import MICROS, Answer, Case, DecidedBy, State, Stratum, Verdict
from tertium_server.storage.tables import review

MOST_MISSED = 1000
"""More than so many objects nobody counts."""
NO_TRACK, NO_CLASS = 0, ""
_RANK_MICROS = 300 * MICROS
_UNDECIDED = 0.5


@dataclass(frozen=True, slots=True)
class ShownBox:
    """A box on an audited frame."""

    x1: float
    y1: float
    x2: float
    y2: float
    probability: float
    """That it is right, 0 to 1."""
    is_yes: bool
    """Held as YES; else as MAYBE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAudit:
    """A frame to be looked at."""

    stream_id: str
    group: str
    epoch: int
    frame_index: int
    capture_time: int
    """Nanoseconds."""
    policy_version: str
    decided_at: int
    """Microseconds, by the server's clock."""
    pi: float
    """The probability with which it was chosen, above 0."""
    deadline: float
    """Seconds."""
    boxes: tuple[ShownBox, ...]
    """Those held as YES or MAYBE."""
    frame_width: int = 0
    """Pixels; 0: unknown."""
    frame_height: int = 0

    @property
    def case_id(self) -> str:
        """The id of its case."""
        return frame_case(self.stream_id, self.epoch, self.frame_index)


def frame_case(stream_id: str, epoch: int, frame: int) -> str:
    """The id of a frame's case: no track has number 0 and a class without a name."""
    return case_id(stream_id, epoch, NO_TRACK, NO_CLASS, frame)


def chosen_frames(stream_id: str, epoch: int, frames: range, salt: str, pi: float) -> list[int]:
    """Those of some frames that are audited: the same in every replay. With a larger pi the same ones, and more."""
    if pi <= 0.0:
        return []
    return [frame for frame in frames if toss(frame_case(stream_id, epoch, frame), salt) < pi]


def book_frame(connection: Connection, audit: FrameAudit, now: int) -> bool:
    """Opens the case of a frame; False: it was opened before."""
    name = audit.case_id
    if connection.execute(select(review.cases.c.id).where(review.cases.c.id == name)).first() is not None:
        return False
    connection.execute(review.cases.insert().values(_case_row(audit, now)))
    connection.execute(review.evidence.insert().values(case_id=name, body=_body(audit), pictures="none", asked_at=None))
    yes = [box.probability for box in audit.boxes if box.is_yes]
    connection.execute(
        review.frame_audits.insert().values(
            case_id=name,
            stream_group=audit.group,
            decided_at=audit.decided_at,
            pi=audit.pi,
            shown=len(audit.boxes),
            expected=sum(box.probability for box in audit.boxes),
            yes=len(yes),
            expected_yes=sum(yes),
            missed=None,
            answered_at=None,
        )
    )
    return True


def settle_frame(connection: Connection, case: Case, now: int) -> None:
    """Writes down what people count on a frame: the lower median of the votes that stand, once its case is closed."""
    answered = case.state is State.CLOSED and case.answer in {Answer.YES, Answer.NO}
    missed: int | None = None
    if answered:
        columns = review.votes.c
        query = select(columns.missed).where(
            columns.case_id == case.id, columns.undone_at.is_(None), columns.missed.is_not(None)
        )
        counts: NDArray[np.int64] = np.sort(np.array(connection.execute(query).scalars().all(), np.int64))
        missed = int(counts[(len(counts) - 1) // 2]) if len(counts) else None
    connection.execute(
        update(review.frame_audits)
        .where(review.frame_audits.c.case_id == case.id)
        .values(missed=missed, answered_at=now if answered else None)
    )


def _case_row(audit: FrameAudit, now: int) -> dict[str, Any]:
    deadline = now + round(audit.deadline * MICROS)
    return {
        "id": audit.case_id,
        "stream_id": audit.stream_id,
        "stream_group": audit.group,
        "epoch": audit.epoch,
        "track_id": NO_TRACK,
        "class_id": 0,
        "class_name": NO_CLASS,
        "policy_version": audit.policy_version,
        "source": Stratum.FRAME.source.value,
        "stratum": Stratum.FRAME.value,
        "pi": audit.pi,
        "probability": _UNDECIDED,
        "machine_verdict": Verdict.MAYBE.value,
        "default_verdict": Verdict.MAYBE.value,
        "first_frame": audit.frame_index,
        "frame_index": audit.frame_index,
        "decided_at": audit.decided_at,
        "opened_at": now,
        "deadline_at": deadline,
        "due_rank": deadline // _RANK_MICROS,
        # Audits of tracks have the priority of what is sure, up to .5: these come among them, in no order.
        "priority": _UNDECIDED * toss(audit.case_id, "queue"),
        "state": State.OPEN.value,
        "verdict": Verdict.MAYBE.value,
        "decided_by": DecidedBy.MACHINE.value,
        "double_check": False,
        "revision": 0,
    }


def _body(audit: FrameAudit) -> dict[str, Any]:
    """Evidence in the form of footage: every box a row of the one frame."""
    return {
        "frame_width": audit.frame_width,
        "frame_height": audit.frame_height,
        "thresholds": {"yes": 1.0, "no": 0.0},
        "frames": [
            (audit.frame_index, audit.capture_time, box.x1, box.y1, box.x2, box.y2, 0.0, box.probability)
            for box in audit.boxes
        ],
    }


def frames_audited(connection: Connection, since: int, until: int) -> Sequence[tuple[float, int, float, int]]:
    """(pi, boxes shown, real ones expected among them, objects missed) of each answered frame that was decided in a span, microseconds."""
    columns = review.frame_audits.c
    query = select(columns.pi, columns.shown, columns.expected, columns.missed).where(
        columns.decided_at >= since, columns.decided_at < until, columns.missed.is_not(None)
    )
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]
