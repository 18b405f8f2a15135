"""Which policy judges a stream, and how another takes its place."""

from __future__ import annotations

from tertium_server.engine import EngineParameters, StreamEngine, StreamSettings
from tertium_server.logs import Throttle, get_logger
from tertium_server.policy import Policy, compile_parameters
from tertium_server.policy.keeper import InForce
from tertium_server.policy.resolution import unplaced_zones
from tertium_server.rpc.answers import Answerer
from tertium_server.rpc.shadow import ShadowSeat
from tertium_server.rpc.terms import Policies

_LOG = get_logger("policy")
_COMPLAINTS = Throttle(3600.0)


class PolicySeat:
    """The policy that a stream is judged by, and the one in its shadow. Both change between two messages, so that one policy judges all of each."""

    __slots__ = ("_policies", "_prepared", "_settings", "_stream_id", "in_force", "parameters", "shadow")

    def __init__(self, policies: Policies, settings: StreamSettings, stream_id: str, shadow_share: float) -> None:
        self._policies = policies
        self._settings = settings
        self._stream_id = stream_id
        self.in_force = policies.in_force
        """What judges the stream now."""
        self.parameters = _compiled(self.in_force.policy, settings, stream_id)
        """The same, compiled."""
        self.shadow = ShadowSeat(stream_id, settings, shadow_share, self.in_force.shadow)
        self._prepared: tuple[InForce, EngineParameters] | None = None

    def newest(self) -> Policy:
        """The policy in force on the server, which the stream goes over to with its next message."""
        return self._policies.in_force.policy

    @property
    def version(self) -> str:
        """The policy's."""
        return self.in_force.policy.version

    @property
    def is_outdated(self) -> bool:
        """There is something to go over to."""
        return self._policies.in_force is not self.in_force or self.shadow.waits

    def prepare(self, wanted: InForce) -> None:
        """Compiles a policy that is about to come into force. May be called by another thread than that which answers."""
        self._prepared = (wanted, _compiled(wanted.policy, self._settings, self._stream_id))

    def keep_up(self, engine: StreamEngine, answerer: Answerer, *, again: bool) -> None:
        """Goes over to the policies that are in force by now. Frames that are run ``again`` are none of the shadow's business."""
        if self._policies.in_force is not self.in_force:
            self._change(engine, answerer)
        if self.shadow.waits and not again:
            self.shadow.begin(engine)

    def _change(self, engine: StreamEngine, answerer: Answerer) -> None:
        wanted, prepared = self._policies.in_force, self._prepared
        if wanted.policy is not self.in_force.policy:
            if prepared is None or prepared[0] is not wanted:
                prepared = wanted, _compiled(wanted.policy, self._settings, self._stream_id)
            self.parameters = prepared[1]
            engine.adopt(self.parameters)
            answerer.stamp(wanted.policy.version)
        self.shadow.change(wanted.shadow)
        self.in_force = wanted
        self._prepared = None


def _compiled(policy: Policy, settings: StreamSettings, stream_id: str) -> EngineParameters:
    """A stream's parameters. Zones that can't be placed are left out, and the log says so: once an hour for each stream."""
    size_known = settings.frame_width > 0 and settings.frame_height > 0
    unplaced = unplaced_zones(policy, settings.group, stream_id, size_known=size_known)
    if unplaced and _COMPLAINTS.admit(stream_id) is not None:
        _LOG.warning(
            "zones without effect: open.frame_width and frame_height are missing", stream=stream_id, zones=unplaced
        )
    return compile_parameters(policy, settings, stream_id)
