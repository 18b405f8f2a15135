"""The values of human review. Times are microseconds since the Unix epoch; probabilities lie between 0 and 1."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MICROS = 1_000_000
"""Microseconds of a second."""


def now_micros() -> int:
    """The time by the server's clock."""
    return time.time_ns() // 1000


class Verdict(StrEnum):
    """What holds of a track."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Answer(StrEnum):
    """What a person says of a track."""

    NO = "no"
    YES = "yes"
    CANNOT_TELL = "cannot_tell"


class Source(StrEnum):
    """Why there is a case. Never shown before the vote."""

    MAYBE = "maybe"
    AUDIT_YES = "audit_yes"
    AUDIT_NO = "audit_no"
    GOLD = "gold"
    FRAME_AUDIT = "frame_audit"
    """A whole frame: what was missed in it?"""

    @property
    def is_of_track(self) -> bool:
        """Whether its answer says something of a track that was decided."""
        return self not in {Source.GOLD, Source.FRAME_AUDIT}

    @property
    def is_audit(self) -> bool:
        """Whether the coin chose it, not the machine's doubt."""
        return self in {Source.AUDIT_YES, Source.AUDIT_NO}


class Stratum(StrEnum):
    """What the machine alone would have said."""

    AUTO_YES = "auto_yes"
    AUTO_NO = "auto_no"
    MAYBE = "maybe"
    FRAME = "frame"
    """No track: a frame, which is no part of what is said of tracks."""

    @property
    def verdict(self) -> Verdict:
        """The machine's verdict; of a frame it has none."""
        return {Stratum.AUTO_YES: Verdict.YES, Stratum.AUTO_NO: Verdict.NO}.get(self, Verdict.MAYBE)

    @property
    def source(self) -> Source:
        """The source of a case of this stratum."""
        return {
            Stratum.AUTO_YES: Source.AUDIT_YES,
            Stratum.AUTO_NO: Source.AUDIT_NO,
            Stratum.MAYBE: Source.MAYBE,
            Stratum.FRAME: Source.FRAME_AUDIT,
        }[self]

    @classmethod
    def of(cls, verdict: Verdict) -> Stratum:
        """The stratum of a verdict."""
        return {Verdict.YES: cls.AUTO_YES, Verdict.NO: cls.AUTO_NO, Verdict.MAYBE: cls.MAYBE}[verdict]


class State(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    """Waits for its first vote."""
    SECOND_REVIEW = "second_review"
    """A vote went against the machine."""
    ESCALATED = "escalated"
    """Two votes contradict each other."""
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


WAITING = (State.OPEN, State.SECOND_REVIEW, State.ESCALATED)
"""States in which a case is handed out."""


class DecidedBy(StrEnum):
    """Who says what holds."""

    MACHINE = "machine"
    HUMAN = "human"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the machine decided of one track, once: the unit that audits sample."""

    stream_id: str
    group: str
    epoch: int
    track_id: int
    """As on the wire."""
    class_id: int
    class_name: str
    first_frame: int
    """The track's first frame."""
    frame_index: int
    """The frame of the decision."""
    stratum: Stratum
    probability: float
    """P(real object)."""
    policy_version: str
    decided_at: int
    """Microseconds, by the server's clock."""
    delay: float | None = None
    """Seconds from the track's first news to this, by capture times; None: nobody has measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy says of a decision's case."""

    audit_yes: float
    audit_no: float
    salt: str
    deadline: float
    """Seconds."""
    default_verdict: Verdict
    double_check_yes: bool = False

    def pi(self, stratum: Stratum) -> float:
        """The probability with which a decision of a stratum is put before people."""
        return {Stratum.AUTO_YES: self.audit_yes, Stratum.AUTO_NO: self.audit_no, Stratum.MAYBE: 1.0}[stratum]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A decision on its way to the store, with what its case would show."""

    decision: Decision
    terms: Terms
    evidence: dict[str, Any] = field(default_factory=dict[str, Any])
    """JSON: see review/footage.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case as it stands."""

    id: str
    stream_id: str
    group: str
    epoch: int
    track_id: int
    class_id: int
    class_name: str
    policy_version: str
    source: Source
    stratum: Stratum
    pi: float
    probability: float
    machine_verdict: Verdict
    default_verdict: Verdict
    first_frame: int
    frame_index: int
    decided_at: int
    opened_at: int
    deadline_at: int
    state: State
    verdict: Verdict
    decided_by: DecidedBy
    answer: Answer | None
    gold_answer: Answer | None
    expired_at: int | None
    closed_at: int | None
    double_check: bool
    lease_token: str | None
    lease_reviewer: str | None
    lease_granted_at: int | None
    lease_expires_at: int | None
    revision: int

    def leased(self, now: int) -> bool:
        """Whether somebody has it."""
        return self.lease_expires_at is not None and self.lease_expires_at > now


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is in a vote."""

    answer: Answer
    missed: int | None = None
    """Of a whole frame: how many objects have no box."""
    origin: str = "api"
    """api, page or the name of a bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A case that nobody else has now."""

    case: Case
    token: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a vote has done."""

    case: Case
    """As it stands now."""
    fenced: bool
    """The token was stale: the vote is kept, and closes nothing by itself."""
    late: bool
    """It came after the deadline, or after the case was closed."""
    repeated: bool = False
    """The same vote was cast before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAnswer:
    """What a stream has to be told of one of its tracks."""

    seq: int
    case_id: str
    stream_id: str
    epoch: int
    track_id: int
    class_id: int
    frame_index: int
    first_frame: int
    from_verdict: Verdict
    to_verdict: Verdict
    decided_by: DecidedBy
    correction: bool
    probability: float
    policy_version: str
    told_before: bool = False
    """The stream was told of it by another server, or an earlier one."""


@dataclass(frozen=True, slots=True)
class ClerkState:
    """How far behind the clerk is."""

    waiting: int
    """Bookings in memory."""
    spooled: int
    """Bookings on the disk."""
    lost: int
    """Bookings that found no room in either."""
    away: bool
    """The store could not be used the last time."""

    def to_json(self) -> dict[str, object]:
        """As /readyz shows it."""
        return {
            "store": "away" if self.away else "up",
            "waiting": self.waiting,
            "spooled": self.spooled,
            "lost": self.lost,
        }
