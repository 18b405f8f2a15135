"""What callers get back. Values are frozen; arrays are read-only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Verdict(IntEnum):
    """The answer to "is it real?": a probability against the policy's two thresholds."""

    UNSPECIFIED = 0
    """Not judged. Never occurs for a detection."""
    NO = 1
    """Under the threshold "no"."""
    MAYBE = 2
    """Between the thresholds: a person should look."""
    YES = 3
    """At or over the threshold "yes"."""


class EventType(IntEnum):
    """What happened to a track."""

    UNSPECIFIED = 0
    """Not said."""
    STARTED = 1
    """The track left NO for the first time."""
    VERDICT_CHANGED = 2
    """The track's verdict changed."""
    ENDED = 3
    """The track is over."""
    REVIEWED = 4
    """The track's case was decided: see `decided_by`. It may come after the track's end, and more than once."""


class DecidedBy(IntEnum):
    """Who says what holds of a track."""

    UNSPECIFIED = 0
    """Not said: the machine."""
    MACHINE = 1
    """The machine, by its evidence."""
    HUMAN = 2
    """People, by their votes."""
    DEADLINE = 3
    """The policy's default, because no answer came in time, or nobody could tell."""


class EventReason(IntEnum):
    """What caused an event."""

    UNSPECIFIED = 0
    """Not said."""
    THRESHOLD = 1
    """The probability crossed a threshold of the policy."""
    LOST = 2
    """No detection for longer than the policy lets a track coast."""
    LEFT = 3
    """The track left the picture."""
    STREAM_ENDED = 4
    """The caller ended the stream."""
    RESET = 5
    """The stream was reset: time ran backwards, or a gap was too long."""
    EVICTED = 6
    """The stream held more tracks than it may, and this was the least likely one."""
    REVIEW = 7
    """The track's case was decided."""
    POLICY_CHANGED = 8
    """Another policy, or another of its profiles, came into force: the track's evidence was judged anew by it."""
    ZONE_CHANGED = 9
    """The track crossed into a zone that is judged otherwise."""


class NoticeCode(IntEnum):
    """Why there is a notice."""

    UNSPECIFIED = 0
    """Not said."""
    DUPLICATE = 1
    """The frame was answered before."""
    LATE = 2
    """The frame's index lies before one that was answered."""
    INVALID = 3
    """A field has a value outside its range."""
    LIMIT = 4
    """The frame or message is larger than a limit."""
    RESET_TIME_BACKWARDS = 5
    """The stream was reset before this frame: time ran backwards. The frame was taken."""
    RESET_GAP = 6
    """The stream was reset before this frame: too long a gap. The frame was taken."""
    DRAINING = 7
    """The server is about to stop. Nothing has to be done: the client goes on elsewhere by itself."""
    UNEXPECTED = 8
    """Evidence was sent that nobody asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class CoastedTracks:
    """Tracks that are alive without a detection in the frame. C is their number."""

    track_ids: NDArray[np.int64]
    """(C,)"""
    boxes: NDArray[np.float32]
    """(C, 4): x1, y1, x2, y2 in pixels, predicted."""
    probabilities: NDArray[np.float32]
    """(C,), 0 to 1: is the track a real object?"""
    verdicts: NDArray[np.uint8]
    """(C,): numbers of Verdict."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameDecisions:
    """Decisions on the N detections of one frame, in the order in which they were sent."""

    frame_index: int
    """The frame."""
    policy_version: str
    """The version of the policy that judged."""
    track_ids: NDArray[np.int64]
    """(N,): unique over all streams, epochs and restarts; the caller's own with client_tracks."""
    probabilities: NDArray[np.float32]
    """(N,), 0 to 1: is this box right, here, now?"""
    verdicts: NDArray[np.uint8]
    """(N,): numbers of Verdict, so that `verdicts == Verdict.YES` is a mask."""
    boxes: NDArray[np.float32] | None = None
    """(N, 4): the motion filter's boxes in pixels, with include_boxes."""
    track_probabilities: NDArray[np.float32] | None = None
    """(N,), 0 to 1: is the track a real object? With include_tracks, as the three below."""
    track_lower: NDArray[np.float32] | None = None
    """(N,): lower ends of the 95 % intervals."""
    track_upper: NDArray[np.float32] | None = None
    """(N,): upper ends of the 95 % intervals."""
    track_verdicts: NDArray[np.uint8] | None = None
    """(N,): verdicts on the tracks, with hysteresis."""
    coasted: CoastedTracks | None = None
    """Tracks without a detection in this frame, with include_coasted."""

    def __len__(self) -> int:
        return len(self.track_ids)


@dataclass(frozen=True, slots=True)
class Why:
    """The numbers behind an event."""

    probability: float
    """P(real object), 0 to 1."""
    lower: float
    """Lower end of its 95 % interval."""
    upper: float
    """Upper end of its 95 % interval."""
    threshold: float
    """The threshold that was crossed; 0 where none was."""
    hits: int
    """Frames in which the track had a detection."""
    misses: int
    """Frames in which it had none though it should have been visible."""
    evidence_fast: float
    """The fast level of evidence, log-odds."""
    evidence_slow: float
    """The slow level of evidence, log-odds."""
    score: float
    """The score of the last detection, on the caller's scale."""
    policy_version: str
    """The version of the policy that judged."""


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """Something happened to a track. Candidates that never leave NO cause no events."""

    type: EventType
    """What happened."""
    track_id: int
    """The track."""
    class_id: int
    """Its class, as in class_names."""
    frame_index: int
    """The frame at which it happened."""
    first_frame: int
    """The first frame of the track."""
    from_verdict: Verdict
    """The verdict before."""
    to_verdict: Verdict
    """The verdict from now on; for ENDED the last one."""
    reason: EventReason
    """What caused it."""
    retroactive_from: int | None
    """For a change to YES: the first frame to which the YES applies; None for other events."""
    why: Why
    """The numbers behind it."""
    decided_by: DecidedBy = DecidedBy.MACHINE
    """Who decided: for REVIEWED, people or a deadline."""
    case_id: str = ""
    """The case, for REVIEWED."""
    correction: bool = False
    """For REVIEWED: a final verdict was told before, and this one takes its place."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A frame was refused, the stream was reset, or the server drains. The stream goes on."""

    code: NoticeCode
    """Why."""
    frame_index: int | None
    """The frame, where one is meant."""
    field: str
    """The field of the frame at fault, such as "scores[3]" or "boxes[3, 0]" (x1 of detection 3); empty where none is."""
    message: str
    """What is wrong and what to do, for people."""
    refused_frames: int
    """The number of frames refused; 0 where the frame was taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All that came of one frame. Each frame that was sent is answered exactly once, in order."""

    frame_index: int | None
    """The frame; None for what belongs to no frame: tracks that end with the stream, word of draining."""
    decisions: FrameDecisions | None
    """The decisions; None where the frame was refused (see refusal) and where there is no frame."""
    events: tuple[TrackEvent, ...] = ()
    """What happened to tracks, in the order in which it happened."""
    notices: tuple[Notice, ...] = ()
    """Refusal, resets, draining."""

    @property
    def refusal(self) -> Notice | None:
        """Why the frame was refused; None: it was not."""
        if self.decisions is not None or self.frame_index is None:
            return None
        return next((notice for notice in self.notices if notice.refused_frames), None)
