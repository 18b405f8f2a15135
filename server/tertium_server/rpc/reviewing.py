"""Review beside the path of frames: what streams hand over, which tracks become cases, which pictures are asked for, and what is sent back.

A stream's thread does next to nothing for review: it keeps the messages it has handled, hands over what the engine tells of tracks, and takes along
what lies in its letter box. All else (reading records, freezing evidence, asking the store) happens in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tertium.v1 import evidence_pb2
from tertium_server.engine import StreamSettings
from tertium_server.logs import Throttle, get_logger
from tertium_server.pacing import Pacer, Rest, go_on
from tertium_server.policy import Policy
from tertium_server.policy.review import ReviewRules
from tertium_server.review.booking import id_of
from tertium_server.review.clerk import Clerk
from tertium_server.review.coin import is_chosen
from tertium_server.review.footage import Footage, FrameOfTrack, worth_a_picture
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.office import ReviewOffice
from tertium_server.review.pictures import MOST_BYTES
from tertium_server.review.values import Booking, Decision, Terms, Verdict, now_micros
from tertium_server.review.watch import Decided, TrackNews
from tertium_server.rpc.film import track_in
from tertium_server.rpc.frame_audits import FrameAuditor
from tertium_server.rpc.letters import Letter, ask_for_pictures, remind, tell
from tertium_server.rpc.stream_review import StreamReview
from tertium_server.rpc.track_news import Report, news_in

_TICK_SECONDS = 0.2
_MOST_HANDED_OVER = 20_000
_PATIENCE_SECONDS = 2.0
"""How long a report may wait before there is no more time for rests: a stream's film is some 20 seconds long."""
_MOST_SENT = 64
_REMEMBERED = 256
"""Streams without a call that are kept in mind, each with its film."""
_LEFT_ALONE_SECONDS = 120.0
"""A stream that broke so long ago is not coming back: what it had in doubt are cases."""
_LAST_NEWS_SECONDS = 2.0
"""How long after the end of a stream its last news may still be on their way to the reviewing thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLimits:
    """How much review may take of a stream."""

    film_bytes: int = 1 << 19
    """Messages kept of each stream, to freeze evidence from: some 20 seconds of 20 detections at 30 frames a second. See :class:`Film`."""

    pictures: int = 6
    """Pictures asked for a case; 0: none."""

    picture_bytes: int = 256 << 10
    """Most bytes of one of them."""

    picture_seconds: float = 30.0
    """How long they are of use."""


class _Waiting(NamedTuple):
    """A report that waits for the reviewing thread."""

    since: float
    """By the monotonic clock."""
    passed: int
    """What had passed on the stream's film by then."""
    review: StreamReview
    told: Report


@dataclass(slots=True)
class _Backlog:
    """What waits for the reviewing thread."""

    entries: deque[_Waiting] = field(default_factory=lambda: deque(maxlen=_MOST_HANDED_OVER))
    evidence: deque[evidence_pb2.Evidence] = field(default_factory=lambda: deque(maxlen=_MOST_SENT))


class ReviewLink:
    """Ties streams to the review office. Made once for a server; see the module."""

    def __init__(
        self, office: ReviewOffice, clerk: Clerk, gallery: Gallery, limits: ReviewLimits | None = None
    ) -> None:
        self.limits = limits or ReviewLimits()
        self._office = office
        self._clerk = clerk
        self._gallery = gallery
        self._frames = FrameAuditor(office, clerk, gallery, self.limits.picture_seconds)
        self.looked_at_frames = 0.0
        """When frames were chosen last, by the monotonic clock."""
        self._streams: OrderedDict[tuple[str, int], StreamReview] = OrderedDict()
        self._lock = threading.Lock()
        self._backlog = _Backlog()
        self._wake = threading.Event()
        self._stopping = False
        self._pacer = Pacer()
        self._log = get_logger("review")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-review", daemon=True)
        self.lost = 0
        """Reports on tracks that were dropped, because review had fallen too far behind."""
        clerk.add_chore(self._post_answers)

    # ------------------------------------------------------------------ called by streams

    def attach(
        self,
        stream_id: str,
        epoch: int,
        settings: StreamSettings,
        policy: Callable[[], Policy],
        answered: int,
        doubts: Sequence[TrackNews] = (),
        *,
        begins: bool = False,
    ) -> StreamReview:
        """A stream was opened.

        ``answered``: the last frame whose answer its caller has; ``doubts``: tracks it was opened with; ``begins``: its epoch is new, so there are no
        answers to it yet.
        """
        with self._lock:
            is_new = (stream_id, epoch) not in self._streams
            review = self._known(stream_id, epoch, settings, policy, doubts)
            review.connected = True
            review.told.clear()
            review.letters.clear()
            # Another epoch of the stream is over now: nothing more will be heard of its tracks.
            for (name, other), each in self._streams.items():
                if name == stream_id and other != epoch:
                    each.connected, each.idle_since = False, -_LEFT_ALONE_SECONDS
        if not begins:
            self._clerk.ask(lambda: self._office.take_back(stream_id, epoch, answered))
            if is_new:  # to this server; another may have told it what holds of its tracks
                self._clerk.ask(lambda: self._remind(review))
            self._clerk.nudge()
        return review

    def attach_unary(
        self, stream_id: str, epoch: int, settings: StreamSettings, policy: Callable[[], Policy]
    ) -> StreamReview:
        """A piece of a stream came that holds no call open."""
        with self._lock:
            review = self._known(stream_id, epoch, settings, policy)
            review.unary, review.idle_since = True, time.monotonic()
        return review

    def _known(
        self,
        stream_id: str,
        epoch: int,
        settings: StreamSettings,
        policy: Callable[[], Policy],
        doubts: Sequence[TrackNews] = (),
    ) -> StreamReview:
        review = self._streams.get((stream_id, epoch))
        if review is None:
            review = StreamReview(self, stream_id, epoch, settings, policy)
            for news in doubts:
                review.watch.take(news)
            self._streams[stream_id, epoch] = review
        self._streams.move_to_end((stream_id, epoch))
        return review

    def detach(self, review: StreamReview, *, ended: bool) -> None:
        """A stream's call is over. Unless the stream has ``ended``, it may come back."""
        review.connected = False
        review.idle_since = time.monotonic() - (_LEFT_ALONE_SECONDS - _LAST_NEWS_SECONDS if ended else 0.0)
        self._wake.set()

    @property
    def remembered(self) -> list[tuple[str, int]]:
        """Streams that are kept in mind, by name and epoch."""
        with self._lock:
            return list(self._streams)

    def hand_over(self, review: StreamReview, told: Report) -> None:
        """What a stream's engine tells of tracks. Never waits."""
        entries = self._backlog.entries
        if len(entries) == _MOST_HANDED_OVER:
            self.lost += 1
        entries.append(_Waiting(time.monotonic(), review.film.passed, review, told))
        self._wake.set()

    def develop(self, evidence: evidence_pb2.Evidence) -> None:
        """Pictures that were asked for. Never waits; of too many the oldest are dropped."""
        self._backlog.evidence.append(evidence)
        self._wake.set()

    def delivered(self, review: StreamReview, seqs: Sequence[int], frame: int | None) -> None:
        """Answers have gone out, in a response whose last frame this is; None: it had none."""
        epoch = review.epoch
        self._clerk.ask(lambda: self._office.mark_delivered(seqs, epoch, frame))

    # ------------------------------------------------------------------ the thread

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Hands all that waits to the clerk, and ends."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            self.work(self._rest)
            time.sleep(_TICK_SECONDS / 10)  # a busy server's news come in bunches
        self.work()

    def _rest(self) -> None:
        if not self._stopping and not self._is_late():
            self._pacer.rest()

    def _is_late(self) -> bool:
        """Whether the first report has waited too long, or is about to leave its stream's film: a recording may be played at any speed."""
        entries = self._backlog.entries
        if not entries:
            return False
        first = entries[0]
        has_passed = first.review.film.passed - first.passed
        return time.monotonic() - first.since > _PATIENCE_SECONDS or has_passed > self.limits.film_bytes // 2

    def work(self, rest: Rest = go_on) -> None:
        """Does all there is to do now. Called by the link's own thread, and by tests."""
        with self._lock:
            reviews = list(self._streams.values())
        # Times before news: what happened up to then has been handed over by now.
        times = {review: review.reached for review in reviews if review.watch.waiting}
        passed = [review.film.passed for review in reviews]
        while self._backlog.entries:
            waiting = self._backlog.entries.popleft()
            self._guarded(lambda: self._read(waiting.review, waiting.told, rest))  # noqa: B023 - called here and now
            waiting.review.film.reviewed = waiting.passed
            rest()
        for review, moment in times.items():
            self._guarded(lambda: self._decide(review, review.watch.advance(moment), rest))  # noqa: B023 - as above
            rest()
        for review, bytes_passed in zip(reviews, passed, strict=True):
            review.film.reviewed = bytes_passed
        self._audit_frames(reviews)
        while self._backlog.evidence:
            evidence = self._backlog.evidence.popleft()
            self._guarded(lambda: self._develop(evidence))  # noqa: B023 - as above
            rest()
        self._let_go(reviews)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - one stream's trouble must not end the review of the others
            held = self._complaints.admit(type(error).__name__)
            if held is not None:
                self._log.error("review failed at a message", error=repr(error), held_back=held)

    def _read(self, review: StreamReview, told: Report, rest: Rest) -> None:
        """Takes in what a stream's engine tells of tracks."""
        for news in news_in(told):
            self._decide(review, review.watch.take(news), rest)

    def _decide(self, review: StreamReview, decided: Sequence[Decided], rest: Rest = go_on) -> None:
        for each in decided:
            self._book(review, each)
            rest()

    def _book(self, review: StreamReview, decided: Decided) -> None:
        news = decided.news
        decision = Decision(
            stream_id=review.stream_id,
            group=review.settings.group,
            epoch=review.epoch,
            track_id=news.track_id,
            class_id=news.class_id,
            class_name=review.settings.class_names[news.class_id],
            first_frame=news.first_frame,
            frame_index=news.frame_index,
            stratum=decided.stratum,
            probability=min(max(news.probability, 0.0), 1.0),
            policy_version=news.policy_version,
            decided_at=now_micros(),
            delay=None if news.dismissed else decided.delay,
        )
        terms = _terms(review.rules(news.class_id), news)
        if not is_chosen(id_of(decision), terms.salt, terms.pi(decision.stratum)):
            self._clerk.submit(Booking(decision=decision, terms=terms))
            return
        footage = self._footage(review, decision)
        booking = Booking(decision=decision, terms=terms, evidence=footage.to_json())
        self._clerk.submit(booking, lambda case: self._ask(review, decision, case, footage.frames))

    @staticmethod
    def _footage(review: StreamReview, decision: Decision) -> Footage:
        frames, levels = track_in(review.film.entries(), decision.track_id, review.settings.nominal_fps)
        thresholds = review.policy.judgement(decision.class_name).box.thresholds
        settings = review.settings
        return Footage(
            tuple(frame for frame in frames if frame.index >= decision.first_frame),
            settings.frame_width,
            settings.frame_height,
            thresholds.yes,
            thresholds.no,
            tuple(levels),
        )

    def _ask(self, review: StreamReview, decision: Decision, case: str, frames: Sequence[FrameOfTrack]) -> None:
        """Asks the stream's caller for pictures of a case."""
        wanted = worth_a_picture(frames, self.limits.pictures)
        if not wanted or not review.connected:
            return
        limits = self.limits
        letter = ask_for_pictures(
            case, decision.track_id, wanted, min(limits.picture_bytes, MOST_BYTES), limits.picture_seconds
        )
        review.ask(case, letter, time.monotonic() + limits.picture_seconds)

    def _audit_frames(self, reviews: Sequence[StreamReview]) -> None:
        """Asks for pictures of frames that the coin chooses, a few times a second."""
        now = time.monotonic()
        if now - self.looked_at_frames < _TICK_SECONDS or not self.limits.pictures:
            return
        self.looked_at_frames = now
        for review in reviews:
            if review.connected:
                self._guarded(lambda: self._ask_for_frames(review))  # noqa: B023 - called here and now

    def _ask_for_frames(self, review: StreamReview) -> None:
        for case, body in self._frames.look(review):
            review.ask(case, Letter(body), time.monotonic() + self.limits.picture_seconds)

    def _develop(self, evidence: evidence_pb2.Evidence) -> None:
        """Stores pictures."""
        if self._frames.take(evidence):
            return
        sent = [SentPicture(each.frame_index, each.data, _corners(each.crop)) for each in evidence.pictures]
        self._gallery.take(evidence.request_id, sent)

    def _let_go(self, reviews: Sequence[StreamReview]) -> None:
        """Forgets streams that are long gone; what they had in doubt are cases."""
        now = time.monotonic()
        idle = [review for review in reviews if not review.connected]
        surplus = len(idle) - _REMEMBERED
        for review in idle:
            if now - review.idle_since < _LEFT_ALONE_SECONDS and surplus <= 0:
                continue
            surplus -= 1
            with self._lock:
                if review.connected:
                    continue
                self._streams.pop((review.stream_id, review.epoch), None)
            self._decide(review, review.watch.close())

    # ------------------------------------------------------------------ done by the clerk

    def _remind(self, review: StreamReview) -> None:
        """Has the boxes of tracks follow what people said of them, too, when their stream comes to a server that has not been told."""
        for answer in self._office.standing(review.stream_id, review.epoch):
            if answer.seq not in review.told:
                review.told.add(answer.seq)
                review.letters.append(remind(answer))

    def _post_answers(self) -> None:
        """Puts answers into the letter boxes of the streams they are for."""
        with self._lock:
            connected = {each.stream_id: each for each in self._streams.values() if each.connected or each.unary}
        for answer in self._office.undelivered(connected):
            review = connected[answer.stream_id]
            if answer.seq not in review.told:
                review.told.add(answer.seq)
                review.letters.append(tell(answer))


def _terms(rules: ReviewRules, news: TrackNews) -> Terms:
    return Terms(
        audit_yes=rules.audit_yes,
        audit_no=rules.audit_of_dismissed(news.probability) if news.dismissed else rules.audit_no,
        salt=rules.salt,
        deadline=rules.deadline,
        default_verdict=Verdict(rules.default_verdict),
        double_check_yes=rules.double_check_yes,
    )


def _corners(crop: Sequence[float]) -> tuple[float, float, float, float]:
    """Four corners; of a crop that has another number of them, none."""
    match list(crop):
        case [x1, y1, x2, y2]:
            return x1, y1, x2, y2
        case _:
            return 0.0, 0.0, 0.0, 0.0
