"""What a server brings to each of its streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tertium.recording import Recorder
from tertium_server.policy.keeper import InForce
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.opening import EpochClock, FrameLimits

if TYPE_CHECKING:
    from tertium_server.rpc.keeping import DecisionKeeping
    from tertium_server.rpc.reviewing import ReviewLink


class Policies(Protocol):
    """Whoever holds the policies of a server."""

    @property
    def in_force(self) -> InForce:
        """What is in force now: another value as soon as that changes."""
        ...


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """What the server brings to every stream."""

    policies: Policies
    """Holds the policy in force: what decisions are judged by and stamped with."""

    sealer: CheckpointSealer
    """Makes and opens checkpoints."""

    limits: FrameLimits
    """How much a stream may ask for."""

    checkpoint_interval: int
    """Frames between two checkpoints where the caller names no number."""

    epochs: EpochClock
    """Chooses epochs where the caller names none."""

    recorder: Recorder | None = None
    """Records what the callers of Decide send; None: nobody does."""

    review: ReviewLink | None = None
    """Puts tracks before people; None: nobody does."""

    most_work: int = 1 << 60
    """Comparisons (see ``Stream.work``) that a message may take and be answered at once: others need not wait for so little."""

    shadow_share: float = 1.0
    """Share of the streams that a policy in the shadow follows, 0 to 1."""

    keeping: DecisionKeeping | None = None
    """Keeps decisions for truth to come; None: nobody does."""
