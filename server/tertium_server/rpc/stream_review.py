"""One epoch of one stream, as review knows it: what was said of late, what is in doubt, and what waits for its caller."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tertium.v1 import evidence_pb2
from tertium_server.engine import StreamSettings
from tertium_server.policy import Policy
from tertium_server.policy.review import ReviewRules
from tertium_server.review.values import StreamAnswer
from tertium_server.review.watch import TrackWatch
from tertium_server.rpc.film import Entry, Film, last_frame_in
from tertium_server.rpc.letters import Letter
from tertium_server.rpc.track_news import Report

if TYPE_CHECKING:
    from tertium_server.rpc.reviewing import ReviewLink

_MOST_ASKED = 256


class StreamReview:
    """See the module. ``after`` and ``take_along`` belong to the stream's thread, the rest to the reviewing one."""

    def __init__(
        self, link: ReviewLink, stream_id: str, epoch: int, settings: StreamSettings, policy: Callable[[], Policy]
    ) -> None:
        self.stream_id = stream_id
        self.epoch = epoch
        self.settings = settings
        self._link = link
        self._policy_now = policy
        self.policy = policy()
        self._rules: dict[int, ReviewRules] = {}
        self.film = Film(link.limits.film_bytes)
        self.watch = TrackWatch(lambda class_id: self.rules(class_id).open_after)
        self.letters: deque[Letter] = deque()
        self.told: set[int] = set()
        self._asked: OrderedDict[str, float] = OrderedDict()
        self.reached = 0
        """Capture time (nanoseconds) up to which all that there is to tell was handed over."""
        self.connected = False
        """A call is open by which it can be reached."""
        self.unary = False
        """It comes in pieces, each by a call of its own."""
        self.idle_since = time.monotonic()

    def rules(self, class_id: int) -> ReviewRules:
        """What the policy in force says of a class."""
        policy = self._policy_now()
        if policy is not self.policy:
            self.policy = policy
            self._rules.clear()
        if class_id not in self._rules:
            self._rules[class_id] = policy.review.for_class(self.settings.class_names[class_id])
        return self._rules[class_id]

    def after(self, entry: Entry, size: int, told: list[Report], reached: int) -> None:
        """A message was answered. ``told``: what the engine tells of tracks since the last one; ``reached``: the capture time it has come to."""
        # First handed over, then on film: whoever finds a message on the film finds what it tells handed over.
        for each in told:
            self._link.hand_over(self, each)
        self.film.keep(entry, size)
        self.reached = reached

    def take_along(self, response: bytes) -> tuple[bytes, list[StreamAnswer]]:
        """What lies in the letter box, as pieces to go with a response; and the answers among it."""
        letters = [self.letters.popleft() for _ in range(len(self.letters))]
        answers = [letter.answer for letter in letters if letter.answer is not None]
        if answers:
            seqs = [answer.seq for answer in answers]
            self._link.delivered(self, seqs, last_frame_in(response))
        return b"".join(letter.body for letter in letters), answers

    def ask(self, request_id: str, letter: Letter, until: float) -> None:
        """Puts a request for pictures into the letter box, and expects them until then (by the monotonic clock)."""
        self._asked[request_id] = until
        while len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)
        self.letters.append(letter)

    def take_evidence(self, evidence: evidence_pb2.Evidence) -> bool:
        """Pictures came; False: nobody asked for them."""
        if self._asked.pop(evidence.request_id, None) is None:
            return False
        self._link.develop(evidence)
        return True
