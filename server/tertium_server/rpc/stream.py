"""One stream's session on the server: request bytes in, response bytes out. Knows nothing of calls."""

from __future__ import annotations

import numpy as np

from tertium.v1 import stream_pb2
from tertium_server.engine import DecisionColumns, FrameColumns
from tertium_server.errors import InvalidRequestError
from tertium_server.metrics import Rejection, StreamCounts
from tertium_server.policy.keeper import InForce
from tertium_server.review.values import StreamAnswer
from tertium_server.rpc import notices, wire
from tertium_server.rpc.answers import Answer, Answerer
from tertium_server.rpc.checkpoint import StreamState
from tertium_server.rpc.codec.answering import DECLINED, HEAVY, MORE, NEWS, frames_answered
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.letters import verdict_of
from tertium_server.rpc.opening import Opening
from tertium_server.rpc.policy_seat import PolicySeat
from tertium_server.rpc.recording import begin_recording, record
from tertium_server.rpc.resuming import Indices, can_be_cut, check_resumed, cut, first_after, make_engine
from tertium_server.rpc.rulings import Rulings
from tertium_server.rpc.stream_review import StreamReview
from tertium_server.rpc.terms import StreamTerms
from tertium_server.rpc.track_ids import TrackIds
from tertium_server.rpc.track_news import Report, doubts, report
from tertium_server.rpc.waiting import WaitingFrames


class _Sign(bytes):
    """No response at all, but something that is said of it."""

    __slots__ = ()


SILENCE: bytes = _Sign()
"""In place of a response: there is none. Signs are told by identity, for a response may well be empty."""
TOO_HEAVY: bytes = _Sign()
"""In place of a response: the message is too much work to keep others waiting for, and nothing was done about it."""

_NOTHING_YET = -1
_LARGE = 2500  # bytes of a message that is no plain one of frames, from which on even reading it may take long


class Stream:
    """A stream between Open and its end. Used by one thread at a time; ``counts`` by any.

    While a stream is resumed, frames that the caller has the answers of are run silently: they are computed and nothing is sent nor counted of
    them. That ends with the first frame beyond.
    """

    def __init__(self, opening: Opening, terms: StreamTerms) -> None:
        state = terms.sealer.open(opening.stream_id, opening.checkpoint) if opening.checkpoint else None
        if state is not None:
            check_resumed(opening, state)
        self.stream_id = opening.stream_id
        self.group = opening.settings.group
        self._begins = not opening.epoch and state is None
        self.epoch = opening.epoch or (state.epoch if state else terms.epochs.next())
        self._policy = PolicySeat(terms.policies, opening.settings, opening.stream_id, terms.shadow_share)
        self._settings = opening.settings
        self.engine = make_engine(opening, self._policy.parameters, state)
        self._terms = terms
        self._settings_digest = opening.settings_digest
        self._interval = opening.checkpoint_interval or terms.checkpoint_interval
        self._until_checkpoint = self._interval
        self._answered = max(opening.answered, _NOTHING_YET)
        self._silent = self._answered > self._last_frame
        self._counted = self.engine.answered = self._answered
        self.engine.keep_silent(self._answered)
        self._waiting = WaitingFrames()
        self._late: FrameColumns | None = None
        self._recounting = self._silent
        self._held_counts: StreamCounts | None = None
        self._goodbye = b""
        self.ended = False
        """The caller has closed the stream and knows how it ended."""
        self.review: StreamReview | None = None
        """What review knows of this stream, once it is attached."""
        self._told: list[Report] = []
        self._rulings = Rulings()
        self._frames = 0
        self._rejected = [0] * len(Rejection)
        self._recording = (
            None
            if terms.recorder is None
            else begin_recording(terms.recorder, self.stream_id, self.epoch, opening.settings)
        )
        self._kept = (
            None if terms.keeping is None else terms.keeping.begin(opening.stream_id, self.epoch, self._settings)
        )
        self._class_names = tuple(opening.settings.class_names[class_id] for class_id in opening.settings.class_ids)
        self.answerer = Answerer(
            TrackIds(self.stream_id, self.epoch, caller=opening.settings.client_tracks),
            self._policy.version,
            state.detections if state else 0,
            terms.limits.max_frames,
            terms.most_work,
            include_boxes=opening.include_boxes,
            include_tracks=opening.settings.include_tracks,
            include_coasted=opening.settings.include_coasted,
        )

    @property
    def _last_frame(self) -> int:
        last = self.engine.last_frame
        return _NOTHING_YET if last is None else last

    @property
    def counted(self) -> int:
        """Index of the last frame that was counted, by this server; -1: none."""
        return max(self._counted, self._last_frame)

    @property
    def judged(self) -> int:
        """Index of the last frame whose decisions were counted, by this server; -1: none. With a decision lag, frames are counted before."""
        last = self.engine.last_judged
        return max(self.engine.answered, _NOTHING_YET if last is None else last)

    def skip_counting(self, last: int, judged: int) -> None:
        """Counts no frames up to index ``last`` and no decisions up to ``judged``: they were, when the stream was open before."""
        self._counted = max(self._counted, last)
        self.engine.answered = max(self.engine.answered, judged)
        self._recounting = self._counted > self._last_frame

    def counts(self) -> StreamCounts:
        """What this stream has counted."""
        if self._held_counts is not None:
            return self._held_counts
        decided = dict(zip(self._class_names, self.engine.tally.tolist(), strict=True))
        return StreamCounts(
            self._frames,
            tuple(self._rejected),
            self.engine.tracks,
            decided,
            self.engine.closed.tolist(),
            self._policy.shadow.counts(self._class_names),
        )

    def opened(self) -> stream_pb2.Opened:
        """What is said to Open."""
        limits = self._terms.limits
        return stream_pb2.Opened(
            epoch=self.epoch,
            policy_version=self._policy.version,
            first_frame=self._last_frame + 1,
            max_frames_per_message=limits.max_frames,
            max_detections_per_frame=limits.max_detections,
        )

    def greet(self) -> bytes:
        """The answer to Open: Opened, and a first checkpoint."""
        answer = Answer()
        answer.add_opened(self.opened())
        self.add_checkpoint(answer)
        return answer.to_bytes()

    def prepare(self, wanted: InForce) -> None:
        """Compiles a policy that is about to come into force. May be called by another thread than that which answers."""
        self._policy.prepare(wanted)

    def _keep_up(self) -> None:
        """Goes over to the policies that are in force by now."""
        self._policy.keep_up(self.engine, self.answerer, again=self._silent or self._recounting)

    def answer(self, data: bytes, desk: Desk) -> bytes:
        """The response to one request; SILENCE: it gets none; TOO_HEAVY: it is to be answered elsewhere, by ``answer_heavy``.

        Raises:
            InvalidRequestError: The bytes are no request, or a second Open.
        """
        if self._policy.is_outdated:
            self._keep_up()
        code = self._answer_at_once(data, desk)
        if code == DECLINED:
            return self._answer_the_long_way(data, desk)
        if code == HEAVY:
            return TOO_HEAVY
        count = frames_answered(code)
        self._frames += count
        self._until_checkpoint -= count
        decisions = desk.take(code)
        if self._policy.shadow.is_taken:
            self._follow_read(data, desk)
        if code & NEWS:
            self._report(desk.workspace.end())
        if not code & MORE and self._until_checkpoint > 0:
            return decisions
        answer = Answer()
        if code & MORE:
            self._add_the_rest(data, answer, desk)
        if self._until_checkpoint <= 0:
            self.add_checkpoint(answer)
        return decisions + answer.to_bytes()

    def answer_frames(self, frames: FrameColumns, desk: Desk) -> bytes:
        """The response to frames."""
        self._keep_up()
        answer = Answer()
        # A message that is too long is refused unread; a replay of the recording could not tell.
        if self._recording is not None and len(frames.indices) <= self._terms.limits.max_frames:
            record(self._recording, frames)
        self.run(frames, answer, desk)
        if self._until_checkpoint <= 0:
            self.add_checkpoint(answer)
        return answer.to_bytes()

    def answer_heavy(self, data: bytes, desk: Desk) -> bytes:
        """The response to a request however much work it is; SILENCE: it gets none.

        Raises:
            InvalidRequestError: The bytes are no request, or a second Open.
        """
        frames = wire.read_frames(data)
        return self.answer_otherwise(data, desk) if frames is None else self.answer_frames(frames, desk)

    def answer_otherwise(self, data: bytes, desk: Desk) -> bytes:
        """The response to a request that is no plain message of frames; SILENCE: it gets none.

        Raises:
            InvalidRequestError: The bytes are no request, or a second Open.
        """
        request = wire.read_request(data)
        kind = request.WhichOneof("message")
        if kind == "frames":
            return self.answer_frames(wire.frame_columns(request.frames), desk)
        if kind == "open":
            raise InvalidRequestError.of("open", "the stream is open already; Open occurs once, as the first message")
        if self.review is not None and self.review.take_evidence(request.evidence):
            return SILENCE
        answer = Answer()
        answer.add_notice(notices.tell_unexpected_evidence())
        return answer.to_bytes()

    def work(self, frames: FrameColumns) -> float:
        """About how many comparisons of a detection with a track, or with another detection, it takes to run frames."""
        tracks = self.engine.tracks
        counts = frames.counts.astype(np.float64)  # no caller's numbers are too large to be multiplied
        return float(counts @ (counts + tracks)) + len(counts) * tracks

    def run(self, frames: FrameColumns, answer: Answer, desk: Desk) -> None:
        """Runs the frames of a message and adds what came of them to the answer."""
        count = len(frames.indices)
        self._until_checkpoint -= count
        if self._silent:
            self._run_resumed(frames, answer, desk)
        else:
            self._run_rest(frames, answer, desk, 0, 0)

    def finish(self, answer: Answer, desk: Desk) -> None:
        """Ends all tracks and tells of it."""
        self._add_late(answer, desk, self.engine.finish(desk.workspace))

    def flush(self, answer: Answer, desk: Desk) -> None:
        """Adds the decisions on frames that wait for others, made with what is known now."""
        if self.engine.waits:
            self._add_late(answer, desk, self.engine.flush(desk.workspace))

    def _add_late(self, answer: Answer, desk: Desk, decisions: DecisionColumns) -> None:
        if self._waiting:
            late = self._waiting.take(decisions.frame_indices, self.engine.last_judged)
            if late is not None:
                self._late = late if self._late is None else FrameColumns.join([self._late, late])
        self._report(decisions)
        if self._rulings:
            self._rulings.apply(decisions)
        answer.add(self.answerer, desk, decisions)

    def say_goodbye(self, desk: Desk) -> bytes:
        """The last response of a stream whose caller has closed it.

        A caller that is gone looks like one that has closed until something is written to it. So the ends of tracks are counted no sooner than
        :meth:`settle` is called: the stream may be resumed, and its tracks go on.
        """
        self._held_counts = self.counts()
        answer = Answer()
        self.finish(answer, desk)
        goodbye = answer.to_bytes()
        if self.review is None:
            return goodbye
        self._goodbye = goodbye
        return goodbye + self.review.take_along(goodbye)[0]

    def settle(self) -> None:
        """The last response was written: the stream is over."""
        self._held_counts = None
        self.ended = True
        self._hand_over(b"", self._goodbye)

    def send_away(self) -> bytes:
        """The last response of a server that is about to stop: the newest checkpoint, to be taken elsewhere."""
        answer = Answer()
        answer.add_notice(notices.tell_draining())
        self.add_checkpoint(answer)
        return answer.to_bytes()

    def attach_review(self) -> None:
        """Has review look on from now on, where this server does reviews. The stream is this call's alone."""
        link = self._terms.review
        if link is not None:
            self.review = link.attach(
                self.stream_id, self.epoch, self._settings, self._policy.newest, self._answered,
                doubts(self.engine, self.answerer), begins=self._begins,
            )  # fmt: skip

    def attach_review_to_a_piece(self) -> None:
        """The same for a piece of a stream."""
        link = self._terms.review
        if link is not None:
            self.review = link.attach_unary(self.stream_id, self.epoch, self._settings, self._policy.newest)

    def reviewed(self, request: bytes | FrameColumns, response: bytes) -> bytes:
        """A response as it goes out, with what review has for the caller; it is kept for truth to come, too.

        ``request``: what it answers.
        """
        self._hand_over(request, response)
        review = self.review
        if review is None or not review.letters:
            return response
        pieces, answers = review.take_along(response)
        for each in answers:
            self._rule(each)
        return response + pieces

    def _hand_over(self, request: bytes | FrameColumns, response: bytes) -> None:
        """Gives a response to review and to the ledger. ``request``: what it answers; b"": the end of the stream."""
        review, kept = self.review, self._kept
        if review is None and kept is None:
            return
        if self.engine.waits or self._late is not None:
            # An answer's frames are not those of the message that it answers.
            request, self._late = self._late if self._late is not None else b"", None
        entry = request, response
        size = len(response) + (len(request) if isinstance(request, bytes) else len(response))
        if kept is not None:
            kept.keep(entry, size)
        if review is not None:
            review.after(entry, size, self._told, self.engine.judged_time)
            self._told.clear()

    def _rule(self, answer: StreamAnswer) -> None:
        """Has the boxes of a track follow what people decided, from the next message on."""
        if answer.epoch == self.epoch:
            track = self.answerer.track(answer.track_id)
            if track is not None:
                since = answer.probability if answer.told_before else None
                self._rulings.rule(self.engine, track, verdict_of(answer), since)

    def leave(self) -> None:
        """The call is over, and no more will come by it."""
        if self.review is not None and self._terms.review is not None:
            self._terms.review.detach(self.review, ended=self.ended)
        if self._recording is not None:
            self._recording.close()

    def add_checkpoint(self, answer: Answer) -> None:
        """Adds the state as it is now."""
        self._until_checkpoint = self._interval
        state = StreamState(
            self.epoch, self.answerer.letterhead.detections, self._settings_digest, self.engine.snapshot()
        )
        answer.add_checkpoint(self._terms.sealer.seal(self.stream_id, state), self.engine.last_judged)

    def _answer_at_once(self, data: bytes, desk: Desk) -> int:
        """The codec's answer, for streams that do nothing but answer, at once; its code."""
        if self._silent or self._recounting or self._recording is not None or self._rulings or self.engine.waits:
            return DECLINED
        return desk.answer(data, self.engine, self.answerer.letterhead)

    def _answer_the_long_way(self, data: bytes, desk: Desk) -> bytes:
        """The same for any message, and for streams that are resumed or recorded."""
        frames = wire.read_frames(data)
        if frames is None:
            return TOO_HEAVY if len(data) > _LARGE else self.answer_otherwise(data, desk)
        return TOO_HEAVY if self.work(frames) > self._terms.most_work else self.answer_frames(frames, desk)

    def _add_the_rest(self, data: bytes, answer: Answer, desk: Desk) -> None:
        """Adds what there is beside decisions on a message that was answered at once."""
        decisions = desk.workspace.end()
        if decisions.frames != decisions.sent or decisions.reset_count:
            frames = wire.read_frames(data)
            if frames is None:  # whatever the kernels read, it reads
                raise RuntimeError("the codec has read what the twin can't")
            self._tell_of(decisions, frames, answer, 0, 0, 0)

    def _follow_read(self, data: bytes, desk: Desk) -> None:
        """Has the policy in the shadow judge the frames of a message that was answered at once."""
        frames = wire.read_frames(data)
        if frames is not None:
            self._policy.shadow.follow(frames, desk.workspace, desk.shadow_workspace)

    def _report(self, decisions: DecisionColumns) -> None:
        """Keeps what the engine tells of tracks for review, where there is one."""
        if self._terms.review is not None and decisions.event_count + decisions.dismissed_count > 0:
            self._told.append(report(decisions, self.answerer))

    def _run_rest(
        self, frames: FrameColumns, answer: Answer, desk: Desk, first_frame: int, first_detection: int
    ) -> None:
        """Runs frames and tells of them; of their message, ``first_frame`` frames and ``first_detection`` detections went before."""
        count = len(frames.indices)
        fresh_from = self._fresh_from(frames.indices) if self._recounting else 0
        self._frames += count - fresh_from
        limit = self._terms.limits.max_frames
        if count > limit:
            self._tell(notices.tell_too_many_frames(count, limit), answer, fresh_from)
            return
        waits = self.engine.waits
        decisions = self.engine.advance(frames, desk.workspace)
        if waits:
            self._waiting.add(frames, decisions)
            self._late = self._waiting.take(decisions.frame_indices, self.engine.last_judged)
        if self._policy.shadow.is_taken:  # before people's rulings: one machine is compared with another
            self._policy.shadow.follow(frames, desk.workspace, desk.shadow_workspace)
        self._report(decisions)
        if self._rulings:
            self._rulings.apply(decisions)
            self._rulings.review(self.engine)
        answer.add(self.answerer, desk, decisions)
        if waits:
            answer.add_waiting(self.engine.waiting)
        self._tell_of(decisions, frames, answer, first_frame, first_detection, fresh_from)

    def _tell_of(
        self,
        decisions: DecisionColumns,
        frames: FrameColumns,
        answer: Answer,
        first_frame: int,
        first_detection: int,
        fresh_from: int,
    ) -> None:
        """Tells of frames that were refused, and of resets."""
        if decisions.error:
            self._tell(notices.tell_mismatch(decisions.error, decisions.sent), answer, fresh_from)
        # Nearly always every frame is taken and none needs a reset: then there is nothing to tell.
        elif decisions.frames != decisions.sent or decisions.reset_count:
            for told in notices.tell_frames(decisions, frames, first_frame, first_detection):
                self._tell(told, answer, fresh_from)

    def _tell(self, told: notices.Told, answer: Answer, fresh_from: int) -> None:
        """Adds a notice and counts those of its frames that have not been counted before."""
        answer.add_notice(told.notice)
        self._rejected[told.rejection] += max(0, told.last_place + 1 - max(told.first_place, fresh_from))

    def _fresh_from(self, indices: Indices) -> int:
        """The place from which on frames have not been counted before."""
        place, reached = first_after(indices, self._counted)
        self._recounting = not reached
        return place

    def _run_resumed(self, frames: FrameColumns, answer: Answer, desk: Desk) -> None:
        """Runs frames that the caller has the answers of silently, and the others as always."""
        count = len(frames.indices)
        silent, reached = first_after(frames.indices, self._answered)
        if silent == count:
            # A message that was too long was refused the first time, too.
            if count <= self._terms.limits.max_frames:
                self._take_silently(frames, desk)
        elif count > self._terms.limits.max_frames or not can_be_cut(frames):
            self._run_rest(frames, answer, desk, 0, 0)
            return
        else:
            detections = int(frames.counts[:silent].sum(dtype=np.int64))
            self._take_silently(cut(frames, 0, silent, 0, detections), desk)
            rest = cut(frames, silent, count, detections, len(frames.boxes))
            self._run_rest(rest, answer, desk, silent, detections)
        self._silent = not reached
        self._recounting = self._recounting and not (reached and self._counted <= self._answered)

    def _take_silently(self, frames: FrameColumns, desk: Desk) -> None:
        waits = self.engine.waits
        decisions = self.engine.advance(frames, desk.workspace)
        if waits:
            self._waiting.add(frames, decisions)
            self._waiting.take(decisions.frame_indices, self.engine.last_judged)
        if self.review is None:
            self.answerer.letterhead.detections += decisions.detections
            return
        # Whoever answered these frames may not have lived to book what came of them. A repeat is no second case.
        answer = Answer()
        answer.add(self.answerer, desk, decisions)
        response = answer.to_bytes()
        told = [report(decisions, self.answerer)]
        self.review.after((frames, response), 2 * len(response), told, self.engine.judged_time)
