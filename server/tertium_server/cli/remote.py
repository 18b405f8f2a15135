"""A running server as the judge of a replay, through the client that cameras use."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Generator, Iterator

import tertium_client
from tertium_client import Answer, Client, Frame, NoticeCode, Reconnect, Stream
from tertium_server.rpc.caller import CallError
from tertium_server.rpc.trust import credentials_of_environment
from tertium_server.tuning.decisions import Decisions, DecisionsBuilder, ReplayError
from tertium_server.tuning.frames import Frames, frames_of
from tertium_server.tuning.readers import FrameOrder, Sequence, named

from .failure import MISUSED, CommandError
from .judging import Judge

_MOST_BYTES = 2 * 2**20
"""Of one message: well under what servers and proxies take."""

_BYTES_A_DETECTION = 32
"""Four corners, a score, a class id and a track id."""

_MOST_NAME = 200
"""Characters of a sequence's name in the name of its stream, which may have 256 in all."""

CONNECT_WITHIN = 15.0
"""Seconds in which a server has to answer for the first time. Once it has, it is waited for as long as the client does."""

_RESETS = (NoticeCode.RESET_GAP, NoticeCode.RESET_TIME_BACKWARDS)


@contextlib.contextmanager
def connected(address: str, batch: int, *, client_tracks: bool) -> Generator[Judge]:
    """A judge that asks the server at HOST:PORT.

    Raises:
        CommandError: the address can't be one.
    """
    if not address.rpartition(":")[2].isdecimal():
        raise CommandError(f"--server {address}: names no port; give HOST:PORT", MISUSED)
    try:
        credentials = credentials_of_environment()
    except CallError as error:
        raise CommandError(str(error), MISUSED) from error
    try:
        client = Client(address, credentials=credentials, reconnect=Reconnect(connect_within=CONNECT_WITHIN))
    except tertium_client.InvalidSettingsError as error:
        raise CommandError(f"--server {address}: {error.problem}", MISUSED) from error
    with client:
        judge = _RemoteJudge(client, address, batch, client_tracks=client_tracks)
        yield judge.judge


class _RemoteJudge:
    """Sends each sequence as a stream of its own."""

    def __init__(self, client: Client, address: str, batch: int, *, client_tracks: bool) -> None:
        self._client = client
        self._address = address
        self._batch = batch
        self._client_tracks = client_tracks
        # Two replays on one server must not take each other's streams over.
        self._run = secrets.token_hex(4)

    def judge(self, sequence: Sequence, progress: Callable[[int], None]) -> Decisions:
        """All decisions on a sequence.

        Raises:
            ReplayError: the server refused the stream or a frame, or is not there.
        """
        try:
            return self._judge(sequence, progress)
        except tertium_client.DisconnectedError as error:  # which names the server, what happened and the remedy
            raise ReplayError(sequence.name, str(error)) from error
        except tertium_client.TertiumError as error:
            raise ReplayError(sequence.name, f"server {self._address}: {error}") from error

    def _judge(self, sequence: Sequence, progress: Callable[[int], None]) -> Decisions:
        order = sequence.by_frame()
        builder = DecisionsBuilder(sequence, order, client_tracks=self._client_tracks)
        frames = frames_of(sequence, order.order, order.counts, client_tracks=self._client_tracks)
        resets = 0
        with self._open(sequence, order) as stream:
            version = stream.policy_version
            for answer in stream.decide(_single(frames, tracked=self._client_tracks), finish=True):
                resets += sum(notice.code in _RESETS for notice in answer.notices)
                if answer.frame_index is not None:
                    version = _take(builder, sequence, answer)
                    progress(1)
        return builder.build(version, resets)

    def _open(self, sequence: Sequence, order: FrameOrder) -> Stream:
        name = "".join(character if character.isprintable() else "?" for character in sequence.name[:_MOST_NAME])
        heaviest = int(order.counts.max(initial=0)) * _BYTES_A_DETECTION + _BYTES_A_DETECTION
        batch = min(self._batch, max(1, _MOST_BYTES // heaviest))
        return self._client.open(
            f"replay/{self._run}/{name}",
            batch=batch,
            batch_delay=1.0,
            max_in_flight=max(256, 4 * batch),
            # A set of files without a single row names no class; the server wants one.
            class_names=sequence.class_names or {0: "object"},
            frame_size=sequence.frame_size,
            nominal_fps=sequence.nominal_fps,
            client_tracks=self._client_tracks,
            logits=sequence.logits,
            epoch=1,
            include_tracks=True,
        )


def _single(frames: Frames, *, tracked: bool) -> Iterator[Frame]:
    """The frames one by one; the client puts them together again."""
    for frame in frames.split(1):
        yield Frame(
            boxes=frame.boxes,
            scores=frame.scores,
            class_ids=frame.class_ids,
            track_ids=frame.track_ids if tracked else None,
            frame_index=int(frame.indices[0]),
            capture_time=int(frame.times[0]),
        )


def _take(builder: DecisionsBuilder, sequence: Sequence, answer: Answer) -> str:
    """Keeps the decisions on a frame; the version of the policy."""
    decisions = answer.decisions
    if decisions is None:
        reason = "without a reason" if answer.refusal is None else f"{answer.refusal.field}: {answer.refusal.message}"
        raise ReplayError(
            sequence.name, f"{named(str(sequence.source))}, frame {answer.frame_index}: the server refused it, {reason}"
        )
    if decisions.track_probabilities is None or decisions.track_verdicts is None:
        raise ReplayError(sequence.name, "the server left out what it says of tracks; is it older than this client?")
    builder.add(
        decisions.track_ids,
        decisions.probabilities,
        decisions.verdicts,
        decisions.track_probabilities,
        decisions.track_verdicts,
    )
    return decisions.policy_version
