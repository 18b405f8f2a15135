"""Review beside the path of frames: what streams hand over, which tracks become cases, which pictures are asked for, and what is sent back.

A stream's thread does next to nothing for review: it keeps the messages it has handled, hands those over that tell of tracks, and takes along what
lies in its letter box. All else (reading messages again, freezing evidence, asking the store) happens in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2
from tertium_server.engine import StreamSettings
from tertium_server.engine import Verdict as EngineVerdict
from tertium_server.logs import Throttle, get_logger
from tertium_server.policy import Policy
from tertium_server.policy.review import ReviewRules
from tertium_server.review.booking import id_of
from tertium_server.review.clerk import Clerk
from tertium_server.review.coin import is_chosen
from tertium_server.review.footage import Footage, FrameOfTrack, worth_a_picture
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.office import ReviewOffice
from tertium_server.review.pictures import MOST_BYTES
from tertium_server.review.values import Booking, DecidedBy, Decision, StreamAnswer, Terms, Verdict, now_micros
from tertium_server.review.watch import Decided, TrackNews, TrackWatch
from tertium_server.rpc.film import Entry, Film, frames_of, last_time, times_of, track_in

_Event = decisions_pb2.TrackEvent
_NEWS = {_Event.TYPE_STARTED, _Event.TYPE_VERDICT_CHANGED, _Event.TYPE_ENDED}
_VERDICTS = {
    decisions_pb2.VERDICT_NO: Verdict.NO,
    decisions_pb2.VERDICT_MAYBE: Verdict.MAYBE,
    decisions_pb2.VERDICT_YES: Verdict.YES,
}
_ON_THE_WIRE = {verdict: number for number, verdict in _VERDICTS.items()}
_DECIDED_BY = {
    DecidedBy.MACHINE: decisions_pb2.DECIDED_BY_MACHINE,
    DecidedBy.HUMAN: decisions_pb2.DECIDED_BY_HUMAN,
    DecidedBy.DEADLINE: decisions_pb2.DECIDED_BY_DEADLINE,
}
_TICK_SECONDS = 0.2
_MOST_HANDED_OVER = 20_000
_MOST_ASKED = 256
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
    """Messages kept of each stream, to freeze evidence from: some 20 seconds of 20 detections at 30 frames a second."""

    pictures: int = 6
    """Pictures asked for a case; 0: none."""

    picture_bytes: int = 256 << 10
    """Most bytes of one of them."""

    picture_seconds: float = 30.0
    """How long they are of use."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A piece of a response that waits to be taken along."""

    body: bytes
    answer: StreamAnswer | None = None
    """The answer it holds."""


class StreamReview:
    """One epoch of one stream, as review knows it. ``after`` and ``take_along`` belong to the stream's thread, the rest to the reviewing one."""

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
        self.letters: deque[_Letter] = deque()
        self.told: set[int] = set()
        self.asked: OrderedDict[str, float] = OrderedDict()
        self.time = 0
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

    def after(self, entry: Entry, size: int, *, eventful: bool) -> None:
        """A message was answered. ``eventful``: the answer tells of tracks."""
        # First handed over, then on film: whoever finds a message on the film finds what it tells handed over.
        if eventful:
            self._link.hand_over(self, entry)
        self.film.keep(entry, size)

    def take_along(self, last_frame: int | None) -> tuple[bytes, list[StreamAnswer]]:
        """What lies in the letter box, as pieces of a response whose last frame this is; and the answers among it."""
        letters = [self.letters.popleft() for _ in range(len(self.letters))]
        answers = [letter.answer for letter in letters if letter.answer is not None]
        if answers:
            seqs = [answer.seq for answer in answers]
            self._link.delivered(self, seqs, -1 if last_frame is None else last_frame)
        return b"".join(letter.body for letter in letters), answers

    def take_evidence(self, evidence: evidence_pb2.Evidence) -> bool:
        """Pictures came; False: nobody asked for them."""
        if self.asked.pop(evidence.request_id, None) is None:
            return False
        self._link.develop(evidence)
        return True


@dataclass(slots=True)
class _Backlog:
    """What waits for the reviewing thread."""

    entries: deque[tuple[StreamReview, Entry]] = field(default_factory=lambda: deque(maxlen=_MOST_HANDED_OVER))
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
        self._streams: OrderedDict[tuple[str, int], StreamReview] = OrderedDict()
        self._lock = threading.Lock()
        self._backlog = _Backlog()
        self._wake = threading.Event()
        self._stopping = False
        self._log = get_logger("review")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-review", daemon=True)
        self.lost = 0
        """Messages that told of tracks and were dropped, because review had fallen too far behind."""
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
    ) -> StreamReview:
        """A stream was opened, perhaps again; ``answered``: the last frame whose answer its caller has; ``doubts``: tracks it was opened with."""
        with self._lock:
            review = self._known(stream_id, epoch, settings, policy, doubts)
            review.connected = True
            review.told.clear()
            review.letters.clear()
            # Another epoch of the stream is over now: nothing more will be heard of its tracks.
            for (name, other), each in self._streams.items():
                if name == stream_id and other != epoch:
                    each.connected, each.idle_since = False, -_LEFT_ALONE_SECONDS
        self._clerk.ask(lambda: self._office.take_back(stream_id, epoch, answered))
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

    def hand_over(self, review: StreamReview, entry: Entry) -> None:
        """A message whose answer tells of tracks. Never waits."""
        entries = self._backlog.entries
        if len(entries) == _MOST_HANDED_OVER:
            self.lost += 1
        entries.append((review, entry))
        self._wake.set()

    def develop(self, evidence: evidence_pb2.Evidence) -> None:
        """Pictures that were asked for. Never waits; of too many the oldest are dropped."""
        self._backlog.evidence.append(evidence)
        self._wake.set()

    def delivered(self, review: StreamReview, seqs: Sequence[int], frame: int) -> None:
        """Answers have gone out."""
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
            self.work()
            time.sleep(_TICK_SECONDS / 10)  # a busy server's news come in bunches
        self.work()

    def work(self) -> None:
        """Does all there is to do now. Called by the link's own thread, and by tests."""
        with self._lock:
            reviews = list(self._streams.values())
        # Times before news: whatever was on film by now has been handed over by now.
        times = {review: self._time(review) for review in reviews if review.watch.waiting}
        while self._backlog.entries:
            review, entry = self._backlog.entries.popleft()
            self._guarded(lambda: self._read(review, entry))  # noqa: B023 - called here and now
        for review, moment in times.items():
            self._guarded(lambda: self._decide(review, review.watch.advance(moment)))  # noqa: B023 - as above
        while self._backlog.evidence:
            evidence = self._backlog.evidence.popleft()
            self._guarded(lambda: self._develop(evidence))  # noqa: B023 - as above
        self._let_go(reviews)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - one stream's trouble must not end the review of the others
            held = self._complaints.admit(type(error).__name__)
            if held is not None:
                self._log.error("review failed at a message", error=repr(error), held_back=held)

    @staticmethod
    def _time(review: StreamReview) -> int:
        moment = last_time(review.film, review.settings.nominal_fps)
        return review.time if moment is None else moment

    def _read(self, review: StreamReview, entry: Entry) -> None:
        """Takes in what a message tells of tracks."""
        frames = frames_of(entry)
        times = {} if frames is None else times_of(frames, review.settings.nominal_fps)
        for event in decision_service_pb2.DecideResponse.FromString(entry[1]).events:
            if event.type in _NEWS:
                review.time = times.get(event.frame_index, review.time)
                self._decide(review, review.watch.take(_news(event, review.time)))

    def _decide(self, review: StreamReview, decided: Sequence[Decided]) -> None:
        for each in decided:
            self._book(review, each)

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
        )
        terms = _terms(review.rules(news.class_id))
        if not is_chosen(id_of(decision), terms.salt, terms.pi(decision.stratum)):
            self._clerk.submit(Booking(decision=decision, terms=terms))
            return
        footage = self._footage(review, decision)
        booking = Booking(decision=decision, terms=terms, evidence=footage.to_json())
        self._clerk.submit(booking, lambda case: self._ask(review, decision, case, footage.frames))

    @staticmethod
    def _footage(review: StreamReview, decision: Decision) -> Footage:
        frames = track_in(review.film.entries(), decision.track_id, review.settings.nominal_fps)
        thresholds = review.policy.judgement(decision.class_name).box.thresholds
        settings = review.settings
        return Footage(
            tuple(frame for frame in frames if frame.index >= decision.first_frame),
            settings.frame_width,
            settings.frame_height,
            thresholds.yes,
            thresholds.no,
        )

    def _ask(self, review: StreamReview, decision: Decision, case: str, frames: Sequence[FrameOfTrack]) -> None:
        """Asks the stream's caller for pictures of a case."""
        wanted = worth_a_picture(frames, self.limits.pictures)
        if not wanted or not review.connected:
            return
        request = evidence_pb2.EvidenceRequest(
            request_id=case,
            track_id=decision.track_id,
            frame_indices=[frame.index for frame in wanted],
            boxes=[corner for frame in wanted for corner in frame.box],
            max_picture_bytes=min(self.limits.picture_bytes, MOST_BYTES),
            deadline_seconds=self.limits.picture_seconds,
        )
        review.asked[case] = time.monotonic() + self.limits.picture_seconds
        while len(review.asked) > _MOST_ASKED:
            review.asked.popitem(last=False)
        body = decision_service_pb2.DecideResponse(evidence_requests=[request]).SerializeToString()
        review.letters.append(_Letter(body))

    def _develop(self, evidence: evidence_pb2.Evidence) -> None:
        """Stores pictures."""
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

    # ------------------------------------------------------------------ a chore of the clerk's

    def _post_answers(self) -> None:
        """Puts answers into the letter boxes of the streams they are for."""
        with self._lock:
            connected = {each.stream_id: each for each in self._streams.values() if each.connected or each.unary}
        for answer in self._office.undelivered(connected):
            review = connected[answer.stream_id]
            if answer.seq not in review.told:
                review.told.add(answer.seq)
                review.letters.append(_Letter(_told(answer), answer))


def verdict_of(answer: StreamAnswer) -> EngineVerdict:
    """What is to hold of a track; MAYBE: what the machine says."""
    if answer.decided_by is DecidedBy.MACHINE:
        return EngineVerdict.MAYBE
    return EngineVerdict(int(_ON_THE_WIRE[answer.to_verdict]))


def _news(event: decisions_pb2.TrackEvent, moment: int) -> TrackNews:
    return TrackNews(
        track_id=event.track_id,
        class_id=event.class_id,
        frame_index=event.frame_index,
        first_frame=event.first_frame,
        time=moment,
        verdict=_VERDICTS[event.to_verdict],
        ended=event.type == _Event.TYPE_ENDED,
        probability=event.why.probability,
        policy_version=event.why.policy_version,
    )


def _terms(rules: ReviewRules) -> Terms:
    return Terms(
        audit_yes=rules.audit_yes,
        audit_no=rules.audit_no,
        salt=rules.salt,
        deadline=rules.deadline,
        default_verdict=Verdict(rules.default_verdict),
        double_check_yes=rules.double_check_yes,
    )


def _told(answer: StreamAnswer) -> bytes:
    """The event that tells a stream of an answer, as a piece of a response."""
    event = decisions_pb2.TrackEvent(
        type=_Event.TYPE_REVIEWED,
        track_id=answer.track_id,
        class_id=answer.class_id,
        frame_index=answer.frame_index,
        first_frame=answer.first_frame,
        from_verdict=_ON_THE_WIRE[answer.from_verdict],
        to_verdict=_ON_THE_WIRE[answer.to_verdict],
        reason=_Event.REASON_REVIEW,
        why=decisions_pb2.Why(probability=answer.probability, policy_version=answer.policy_version),
        decided_by=_DECIDED_BY[answer.decided_by],
        case_id=answer.case_id,
        correction=answer.correction,
    )
    return decision_service_pb2.DecideResponse(events=[event]).SerializeToString()


def _corners(crop: Sequence[float]) -> tuple[float, float, float, float]:
    """Four corners; of a crop that has another number of them, none."""
    match list(crop):
        case [x1, y1, x2, y2]:
            return x1, y1, x2, y2
        case _:
            return 0.0, 0.0, 0.0, 0.0
