"""Who judges a replay: the engine in this process, or a running server. Both give the same decisions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass

from tertium_server.tuning.decisions import Decisions
from tertium_server.tuning.readers import Sequence

from .console import waiting
from .policy_file import policy_at

Judge = Callable[[Sequence, Callable[[int], None]], Decisions]
"""Judges a sequence, and tells its second argument the frames of each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How the sequences of a replay are judged."""

    policy: str | None
    """The policy's file; None: the built-in. In this process only."""

    server: str | None
    """Host and port of the server to ask; None: judge in this process."""

    batch: int
    """Frames a step."""

    client_tracks: bool
    """Take the recording's track ids."""

    @contextlib.contextmanager
    def judge(self) -> Generator[Judge]:
        """The judge, ready.

        Raises:
            CommandError: the policy can't be used.
        """
        if self.server is None:
            yield self._local()
            return
        from .remote import connected  # noqa: PLC0415  # loads gRPC

        with connected(self.server, self.batch, client_tracks=self.client_tracks) as judge:
            yield judge

    def _local(self) -> Judge:
        from tertium_server.engine import Workspace, warm_up  # noqa: PLC0415  # loads numba
        from tertium_server.tuning.replay import ReplayOptions, replay  # noqa: PLC0415  # likewise

        policy = policy_at(self.policy)
        with waiting("Compiling the engine: half a minute the first time, a second from then on"):
            warm_up()
        options = ReplayOptions(batch=self.batch, client_tracks=self.client_tracks)
        workspace = Workspace()
        return lambda sequence, progress: replay(sequence, policy, options, workspace=workspace, progress=progress)
