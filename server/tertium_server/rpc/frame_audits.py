"""Frame audits of live streams: which frames the coin chooses, what was said of them, and their pictures.

Nothing of it is on the path of a frame. A few times a second the reviewing thread looks how far a stream has come, tosses the coin for the frames
since, and finds a chosen one on the film of the last messages. Its caller is asked for a picture of the whole frame; the case is opened when that
has come, for without it nobody could answer. So frames of callers that send no pictures are never audited.
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2
from tertium_server.engine import FrameColumns, StreamSettings
from tertium_server.logs import get_logger
from tertium_server.policy.review import ReviewRules
from tertium_server.review.clerk import Clerk
from tertium_server.review.frame_audits import NO_TRACK, FrameAudit, ShownBox, chosen_frames
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.office import ReviewOffice
from tertium_server.review.pictures import MOST_BYTES
from tertium_server.review.values import now_micros
from tertium_server.rpc.film import Entry, Film, frames_of, last_frame_in, taken, times_of
from tertium_server.rpc.twin import twin_class

_RESPONSE: Any = twin_class("DecideResponse")
_INT64, _FLOAT32 = np.dtype("<i8"), np.dtype("<f4")
_MOST_EXPECTED = 64
"""Audits whose pictures may be on their way."""
_MOST_AT_ONCE = 2000
"""Frames looked at in one go: a stream that leaps ahead further than its film reaches lost the others anyway."""
_EVERYWHERE = 1e6
"""A frame of unknown size ends before this, pixels."""


class Watched(Protocol):
    """What is known of a live stream."""

    stream_id: str
    epoch: int
    settings: StreamSettings
    film: Film

    def rules(self, class_id: int) -> ReviewRules:
        """What the policy in force says of a class."""
        ...


class FrameAuditor:
    """See the module. ``look`` and ``take`` are called by the reviewing thread."""

    def __init__(self, office: ReviewOffice, clerk: Clerk, gallery: Gallery, seconds: float) -> None:
        self._office = office
        self._clerk = clerk
        self._gallery = gallery
        self._seconds = seconds
        self._looked: weakref.WeakKeyDictionary[Watched, int] = weakref.WeakKeyDictionary()
        self._expected: OrderedDict[str, tuple[FrameAudit, float]] = OrderedDict()
        self._log = get_logger("review")

    def look(self, stream: Watched) -> Iterator[tuple[str, bytes]]:
        """Requests for pictures of frames that are to be audited, each with the id of its case, as pieces of a response."""
        rules = stream.rules(next(iter(stream.settings.class_names)))
        if rules.audit_frames <= 0.0:
            return
        entries = stream.film.entries()
        newest = _newest_frame(entries)
        looked = self._looked.get(stream, newest)
        self._looked[stream] = max(newest, looked)
        frames = range(max(looked + 1, newest + 1 - _MOST_AT_ONCE), newest + 1)
        for frame in chosen_frames(stream.stream_id, stream.epoch, frames, rules.salt, rules.audit_frames):
            audit = _audit_of(stream, entries, frame, rules)
            if audit is not None:
                self._expected[audit.case_id] = (audit, time.monotonic() + self._seconds)
                while len(self._expected) > _MOST_EXPECTED:
                    self._expected.popitem(last=False)
                yield audit.case_id, self._request(audit)

    def take(self, evidence: evidence_pb2.Evidence) -> bool:
        """Opens the case whose picture has come; False: it is of none."""
        audit, until = self._expected.pop(evidence.request_id, (None, 0.0))
        if audit is None:
            return False
        # A neighbour of the frame would not show what the boxes are of.
        picture = next((each for each in evidence.pictures if each.frame_index == audit.frame_index), None)
        if picture is not None and time.monotonic() <= until:
            sent = SentPicture(audit.frame_index, picture.data, _whole(audit, picture.crop))
            self._clerk.ask(lambda: self._open(audit, sent))
        return True

    def _open(self, audit: FrameAudit, sent: SentPicture) -> None:
        """Called by the clerk, again and again until the store takes it."""
        if not self._office.book_frame(audit):
            return
        try:
            taken = self._gallery.take(audit.case_id, [sent])
        except OSError as error:
            taken = 0
            self._log.warning("a picture could not be stored", case=audit.case_id, error=str(error))
        if not taken:
            self._office.withdraw(audit.case_id)

    def _request(self, audit: FrameAudit) -> bytes:
        width, height = audit.frame_width or _EVERYWHERE, audit.frame_height or _EVERYWHERE
        request = evidence_pb2.EvidenceRequest(
            request_id=audit.case_id,
            track_id=NO_TRACK,
            frame_indices=[audit.frame_index],
            boxes=[0.0, 0.0, width, height],
            max_picture_bytes=MOST_BYTES,
            deadline_seconds=self._seconds,
        )
        return decision_service_pb2.DecideResponse(evidence_requests=[request]).SerializeToString()


def _newest_frame(entries: list[Entry]) -> int:
    """The last frame that was decided; -1: none was."""
    return next((last for entry in reversed(entries) if (last := last_frame_in(entry[1])) is not None), -1)


def _audit_of(stream: Watched, entries: list[Entry], frame: int, rules: ReviewRules) -> FrameAudit | None:
    """A frame with the boxes that were held as YES or MAYBE; None: it was not decided, or is not on the film any more."""
    for entry in reversed(entries):
        decisions = _RESPONSE.FromString(entry[1]).decisions
        decided = np.frombuffer(decisions.frame_indices, _INT64)
        sent = frames_of(entry) if frame in decided else None
        if sent is None:
            continue
        frames, row = taken(sent, decided), int(np.flatnonzero(decided == frame)[0])
        settings = stream.settings
        return FrameAudit(
            stream_id=stream.stream_id,
            group=settings.group,
            epoch=stream.epoch,
            frame_index=frame,
            capture_time=int(times_of(frames, settings.nominal_fps)[row]),
            policy_version=decisions.policy_version,
            decided_at=now_micros(),
            pi=rules.audit_frames,
            deadline=rules.deadline,
            boxes=tuple(_shown(frames, decisions, row)),
            frame_width=settings.frame_width,
            frame_height=settings.frame_height,
        )
    return None


def _shown(frames: FrameColumns, decisions: Any, row: int) -> Iterator[ShownBox]:  # noqa: ANN401 - a twin
    """Boxes of a row of what was decided, as they were sent: those that were not held as NO."""
    first, count = int(frames.counts[:row].sum(dtype=np.int64)), int(frames.counts[row])
    here = slice(first, first + count)
    probabilities = np.frombuffer(decisions.probabilities, _FLOAT32)[here].tolist()
    verdicts = np.frombuffer(decisions.verdicts, np.uint8)[here].tolist()
    for (x1, y1, x2, y2), probability, verdict in zip(
        frames.boxes[here].tolist(), probabilities, verdicts, strict=True
    ):
        if verdict != decisions_pb2.VERDICT_NO:
            yield ShownBox(x1, y1, x2, y2, probability, is_yes=verdict == decisions_pb2.VERDICT_YES)


def _whole(audit: FrameAudit, crop: Any) -> tuple[float, float, float, float]:  # noqa: ANN401 - protobuf's own container
    """The part of the frame that a picture shows: what its sender says, or all of it."""
    match list(crop):
        case [x1, y1, x2, y2]:
            return x1, y1, x2, y2
        case _:
            return 0.0, 0.0, float(audit.frame_width), float(audit.frame_height)
