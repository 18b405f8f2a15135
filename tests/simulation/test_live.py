"""A world played to the real server: each frame is decided, people answer, and the server is told the truth."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tertium_server.policy import Policy, default_policy, dump_policy
from tertium_server.review.access import Role, entry_for
from tertium_server.rpc.review_client import ReviewClient
from tertium_server.simulation import PlayError, World, preset, simulate
from tertium_server.simulation.live import LiveOptions, Played, play
from tertium_server.simulation.playing import Pace, TrackBook
from tertium_server.simulation.tally import Counts, tally
from tertium_server.storage import open_store, sqlite_url
from tertium_server.storage.tables import review
from tertium_server.tuning.replay import replay
from tests.rpc.live import Live, serving

PEOPLE = ("anna", "bert", "carl")
CHIEF, CAMERA = "chief token", "camera token"
START = 1_790_000_000_000_000_000


@asynccontextmanager
async def site(tmp_path: Path, **changes: Any) -> AsyncGenerator[Live]:
    """A server with people and a camera."""
    tokens = [entry_for(f"{name} token", name, [Role.REVIEW]) for name in PEOPLE]
    (tmp_path / "tokens.toml").write_text(
        "\n".join([*tokens, entry_for(CHIEF, "chief", [Role.ADMIN]), entry_for(CAMERA, "camera", [Role.INGEST])])
    )
    values: dict[str, Any] = {"tokens": tmp_path / "tokens.toml", "evidence_pictures": 2} | changes
    async with serving(tmp_path / "data", **values) as server:
        yield server


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with site(tmp_path) as server:
        yield server


async def played(world: World, live: Live, **changes: Any) -> Played:
    options: dict[str, Any] = {"address": live.service.listen, "pace": Pace(start=START), "token": CAMERA} | changes
    return await asyncio.to_thread(play, world, LiveOptions(**options))


def total(live: Live, name: str) -> float:
    """Of a metric over its labels."""
    families = live.service.registry.collect()
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


async def waiting(live: Live, name: str) -> int:
    """Cases that somebody could have now."""

    def lease() -> int:
        with ReviewClient(live.service.listen, f"{name} token") as desk:
            return len(desk.lease(16))

    return await asyncio.to_thread(lease)


async def test_every_frame_is_decided_and_the_verdicts_are_those_of_a_replay(live: Live) -> None:
    world = preset("drift", cameras=2, frames=120)
    told = await played(world, live)
    assert told.frames == 240
    assert told.policy_version == default_policy().version
    judged = [one.labelled() for one in simulate(world)]
    again = tally((one, replay(one.sequence, default_policy())) for one in judged)
    assert told.tally.boxes == again.boxes
    assert told.tally.tracks == again.tracks
    assert told.truth is None
    assert live.sample("tertium_frames_received_total", group="default") == 240


async def test_people_answer_and_the_server_counts_the_truth_as_the_world_does(live: Live) -> None:
    # Who errs now and then does so by the names of cases, which are others in every run: here they always do.
    world = preset("erring-reviewers", cameras=2, frames=200, reviewers={"misses": 1.0, "slips": 1.0})
    told = await played(
        world, live, review_tokens=tuple(f"{name} token" for name in PEOPLE), truth_token=CHIEF, prefix="site"
    )
    votes = sum(told.votes.values())
    assert votes > 5
    assert told.wrong_votes == votes - told.votes["cannot_tell"]
    assert told.votes == Counter(
        {answer: told.votes[answer] for answer in ("yes", "no", "cannot_tell") if told.votes[answer]}
    )
    assert told.truth is not None
    assert (told.truth.accepted, told.truth.refused) == (400, 0)
    ours, theirs = told.tally.boxes["person"], told.truth.counts["person"]
    assert theirs == {
        "tp": ours.yes_right,
        "fp": ours.yes_wrong,
        "fn": ours.missed,
        "maybe_tp": ours.maybe_right,
        "maybe_fp": ours.maybe_wrong,
    }
    assert total(live, "tertium_review_votes_total") == votes
    assert [await waiting(live, name) for name in PEOPLE] == [0, 0, 0]


def read_store(data: Path) -> tuple[list[int], list[tuple[Any, ...]]]:
    """Tracks decided; and of cases the track, the stratum and the answer."""
    store = open_store(sqlite_url(data))
    with store.read() as connection:
        tracks = list(connection.execute(select(review.decisions.c.track_id)).scalars())
        columns = review.cases.c
        found = connection.execute(select(columns.track_id, columns.stratum, columns.answer))
        cases = [tuple(row) for row in found]
    store.close()
    return tracks, cases


async def until_all_is_answered(live: Live, data: Path, book: TrackBook) -> None:
    """Cases may come when the world's people have gone home. Then those who are left answer, and estimates are made of it."""

    def answer() -> None:
        for name in PEOPLE:
            with ReviewClient(live.service.listen, f"{name} token") as desk:
                while cases := desk.lease(16):
                    for case in cases:
                        desk.vote(case, "yes" if book.is_real(case.track_id) else "no")

    def done() -> bool:
        tracks, cases = read_store(data)
        booked = total(live, "tertium_review_pending_bookings") == 0
        return booked and len(tracks) == len(cases) == total(live, "tertium_reviewed_total")

    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(done):
        assert time.monotonic() < deadline, read_store(data)
        await asyncio.to_thread(answer)
        await asyncio.sleep(0.3)


async def test_where_everything_is_reviewed_the_audited_estimate_is_what_the_world_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books: list[TrackBook] = []

    class Kept(TrackBook):
        def __init__(self) -> None:
            super().__init__()
            books.append(self)

    monkeypatch.setattr("tertium_server.simulation.live.TrackBook", Kept)
    tree = default_policy().model_dump(mode="json")
    tree["review"] |= {"audit_yes": 1.0, "audit_no": 1.0, "audit_no_hits": 1000}
    (tmp_path / "policy.yaml").write_text(dump_policy(Policy.model_validate(tree)))
    people = [{"name": "person", "arrivals_per_minute": 90}]
    careful = {"misses": 0, "slips": 0, "cannot_tell": 0}
    world = preset("erring-reviewers", cameras=1, frames=300, classes=people, reviewers=careful)
    async with site(tmp_path, policy=tmp_path / "policy.yaml", classes=("person",), estimate_seconds=0.5) as live:
        tokens = tuple(f"{name} token" for name in PEOPLE)
        await played(world, live, pace=Pace(start=START, pictures=False), review_tokens=tokens)
        await until_all_is_answered(live, tmp_path / "data", books[0])
        tracks, cases = read_store(tmp_path / "data")
        assert sorted(track for track, _, _ in cases) == sorted(tracks)
        real = {track for track in tracks if books[0].is_real(track)}
        # What the machine was sure of, and what people said of the rest.
        held = {
            track for track, stratum, answer in cases if stratum == "auto_yes" or (stratum, answer) == ("maybe", "yes")
        }
        assert real - held, "the machine errs"
        for figure, expected in (("precision", len(held & real) / len(held)), ("recall", len(held & real) / len(real))):
            labels = {"class": "all", "window": "1h", "method": "audit"}
            for end in ("ratio", "lower_ratio", "upper_ratio"):
                assert live.sample(f"tertium_{figure}_estimate_{end}", **labels) == pytest.approx(expected)


async def test_people_without_time_leave_cases_unanswered(live: Live) -> None:
    world = preset("starved-audits", cameras=2, frames=200)
    told = await played(world, live, review_tokens=("anna token",))
    assert sum(told.votes.values()) <= 1  # 20 seconds of the cameras', and a minute for each case
    left = 0
    async with asyncio.timeout(120):  # tracks that were decided last are booked in a moment
        while left < 2:
            left += await waiting(live, "bert")


async def test_a_token_that_is_not_known_ends_the_play_and_is_named(live: Live) -> None:
    with pytest.raises(PlayError, match=r"a reviewer: server .*: no token, or one that is not known"):
        await played(preset("calibrated", cameras=1, frames=60), live, review_tokens=("nobody",))


async def test_cameras_show_their_token(live: Live) -> None:
    with pytest.raises(PlayError, match=r"camera simulated/calibrated-01: no token, or one that is not known"):
        await played(preset("calibrated", cameras=1, frames=60), live, token="")


def test_shares_of_nothing_are_none() -> None:
    assert (Counts().precision, Counts(missed=3).recall) == (None, 0.0)
    assert (Counts(yes_right=1) + Counts(yes_right=2, yes_wrong=1)).precision == 0.75


async def test_what_goes_wrong_beside_the_cameras_is_told_and_what_goes_wrong_in_us_is_not_taken_for_a_refusal(
    tmp_path: Path,
) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    world = preset("drift", cameras=1, frames=20)
    async with serving(tmp_path, review=False) as live:
        with pytest.raises(PlayError, match=r"a reviewer: server .* with --no-review a server has neither review nor"):
            await played(world, live, token="", review_tokens=("anybody's",))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(
                play, world, LiveOptions(address=live.service.listen, pace=Pace(start=START)), fails
            )
