"""A world played to a running server: cameras that stream, people who answer, truth that is reported."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import tertium_client
from tertium_client import Client, Reconnect
from tertium_server.errors import TertiumError
from tertium_server.rpc.quality_client import Reported
from tertium_server.rpc.review_client import ReviewClient
from tertium_server.rpc.trust import credentials_of_environment

from .answering import Reviewer
from .errors import PlayError
from .footage import Footage, film
from .playing import Pace, Player, TrackBook
from .reporting import report_truth
from .tally import Tally, tally
from .world import World

CONNECT_WITHIN = 15.0
"""Seconds in which a server has to answer for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """Where and how a world is played."""

    address: str
    """HOST:PORT of the server."""

    pace: Pace

    prefix: str = "simulated"
    """Streams are called ``<prefix>/<camera>``."""

    token: str = ""
    """That cameras show (role ingest), where the server wants one."""

    review_tokens: tuple[str, ...] = ()
    """A token for each person who answers; none: nobody does."""

    truth_token: str | None = None
    """The token that truth frames are reported with, "" where the server wants none; None: truth is not reported."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    frames: int
    """That were answered."""

    policy_version: str

    tally: Tally
    """What verdicts came to beside the truth; cameras that broke off are left out."""

    votes: Counter[str]
    """By answer."""

    wrong_votes: int

    truth: Reported | None
    """What the server made of the truth frames."""

    def as_json(self) -> dict[str, Any]:
        """All of it under plain names."""
        return {
            "frames": self.frames,
            "policy_version": self.policy_version,
            **self.tally.as_json(),
            "votes": {"total": sum(self.votes.values()), "wrong": self.wrong_votes, **self.votes},
            "truth_frames": None if self.truth is None else asdict(self.truth),
        }


def play(
    world: World,
    options: LiveOptions,
    told: Callable[[], None] = lambda: None,
    footages: Sequence[Footage] | None = None,
) -> Played:
    """Plays a world to a server. ``told`` hears each frame that was answered; ``footages``: its cameras where they have been filmed.

    Raises:
        PlayError: a camera, a reviewer or the report of truth broke off; the first to do so is named.
    """
    filmed = footages if footages is not None else [film(world, camera) for camera in range(world.cameras)]
    book, ended = TrackBook(), threading.Event()
    players = [Player(one, f"{options.prefix}/{one.name}", options.pace, book) for one in filmed]
    crew = _Crew(options.pace.stop)
    with ExitStack() as stack:
        shown = (("authorization", f"Bearer {options.token}"),) if options.token else ()
        reconnect = Reconnect(connect_within=CONNECT_WITHIN)
        credentials = credentials_of_environment()
        client = stack.enter_context(
            Client(options.address, metadata=shown, credentials=credentials, reconnect=reconnect)
        )
        reviewers = [
            Reviewer(world, number, book, lambda: min(one.frames for one in players) / world.fps)
            for number in range(len(options.review_tokens))
        ]
        for reviewer, token in zip(reviewers, options.review_tokens, strict=True):
            desk = stack.enter_context(ReviewClient(options.address, token, credentials))
            crew.start("a reviewer", partial(reviewer.work, desk, ended, options.pace.stop))
        cameras = [crew.start(f"camera {one.name}", partial(one.play, client, told)) for one in players]
        for thread in cameras:
            thread.join()
        ended.set()
        crew.join()
        truth = None
        if options.truth_token is not None and not crew.failed:
            truth = crew.run(
                "the report of truth", lambda: report_truth(options.address, options.truth_token or "", players)
            )
    crew.check()
    done = [(one.labelled, said) for one in players if (said := one.decisions()) is not None]
    return Played(
        sum(one.frames for one in players),
        next((one.policy_version for one in players if one.policy_version), ""),
        tally(done),
        sum((one.answers.counts for one in reviewers), Counter()),
        sum(one.answers.errors[0] for one in reviewers),
        truth,
    )


class _Crew:
    """Threads of which the first error ends all."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._errors: list[tuple[str, Exception]] = []

    @property
    def failed(self) -> bool:
        return bool(self._errors)

    def start(self, name: str, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=self.run, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def run(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever the work gives
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - kept for check(): in a thread, nobody else would hear of it
            self._errors.append((name, error))
            self._stop.set()
            return None

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        if self._errors:
            name, error = self._errors[0]
            if not isinstance(error, TertiumError | tertium_client.TertiumError):
                raise error  # no refusal: an error of ours
            raise PlayError(f"{name}: {error}") from error
