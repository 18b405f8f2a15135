"""Changing the policy under streams that run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from tertium_server.logs import get_logger
from tertium_server.metrics import PolicyLabels, PolicyMetrics
from tertium_server.policy import Policy, PolicyError
from tertium_server.policy.keeper import InForce, PolicyKeeper
from tertium_server.policy.watching import changes_in
from tertium_server.rpc.calls import Calls
from tertium_server.rpc.stream import Stream


class PolicyChanges:
    """Puts what the keeper finds into force, for all streams of a server. Used by the event loop's thread only.

    A change is read, checked and compiled for every open stream in another thread, while frames go on. Then one assignment puts it into force, and
    each stream takes it up before its next message.
    """

    def __init__(self, keeper: PolicyKeeper, calls: Calls, metrics: PolicyMetrics) -> None:
        self._keeper = keeper
        self._calls = calls
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._complaint = ""
        self._broken: dict[str, str] = {}
        self._log = get_logger("policy")

    async def look(self) -> None:
        """Puts into force what is to be, if that has changed.

        Raises:
            PolicyError: It can't be used. What was in force stays.
        """
        async with self._one_at_a_time:
            try:
                wanted = await asyncio.to_thread(self._keeper.look)
            except PolicyError as error:
                self._refuse(error)
                raise
            self._complaint = ""
            await self._tell_of_broken_files()
            if wanted is not None:
                await self._apply(wanted)

    async def look_again_and_again(self, seconds: float) -> None:
        """Looks now and then, for a store that others may write to; until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self._look_quietly()

    async def watch(self, stopping: asyncio.Event, seconds: float) -> None:
        """Looks whenever a file changes, and now and then, until told to stop."""
        folder = self._keeper.watched
        if folder is None:
            return
        # What was changed after the first look and before the watch would be unseen until it looks anyway: the task runs when the watch has begun.
        looking = asyncio.create_task(self._look_quietly())
        try:
            async for _ in changes_in(folder, stopping, seconds):
                await self._look_quietly()
        except Exception as error:  # noqa: BLE001 - whatever the system refuses (it has only so many watches), looking goes on
            self._log.warning(
                "changes of policy files are not told of; they are looked for", seconds=seconds, error=str(error)
            )
            await self.look_again_and_again(seconds)
        finally:
            looking.cancel()

    async def _tell_of_broken_files(self) -> None:
        """Says once of each file what is wrong with it: before somebody wants to put it into force."""
        broken = {name: str(error) for name, error in (await asyncio.to_thread(self._keeper.broken)).items()}
        for name, problem in broken.items():
            if self._broken.get(name) != problem:
                self._log.warning("policy file can't be used", file=name, error=problem)
        self._broken = broken

    async def _look_quietly(self) -> None:
        try:
            await self.look()
        except PolicyError:
            return  # it was logged and counted
        except Exception:  # noqa: BLE001 - a bug here must not end the watch
            self._log.exception("the policy could not be looked for")

    async def _apply(self, wanted: InForce) -> None:
        before = self._keeper.in_force
        streams = self._calls.streams()
        await asyncio.to_thread(_prepare, streams, wanted)
        self._keeper.in_force = wanted
        self._metrics.apply(labels_of(wanted.policy))
        self._log.info(
            "policy in force",
            policy=wanted.policy.name,
            version=wanted.policy.version,
            before=before.policy.version,
            shadow=None if wanted.shadow is None else wanted.shadow.version,
            streams=len(streams),
        )

    def _refuse(self, error: PolicyError) -> None:
        # A file that stays wrong is looked at more than once, and wrong once.
        if str(error) == self._complaint:
            return
        self._complaint = str(error)
        self._metrics.refuse()
        self._log.warning("policy refused", error=str(error), in_force=self._keeper.in_force.policy.version)


def _prepare(streams: Iterable[Stream], wanted: InForce) -> None:
    for stream in streams:
        stream.prepare(wanted)


def labels_of(policy: Policy) -> PolicyLabels:
    """What metrics tell of a policy that comes into force now."""
    return PolicyLabels(policy.name, policy.version, policy.sha256, time.time())
