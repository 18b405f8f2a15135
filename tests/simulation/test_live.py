"""A world played to the real server: each frame is decided, people answer, and the server is told the truth."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tertium_server.policy import default_policy
from tertium_server.review.access import Role, entry_for
from tertium_server.rpc.review_client import ReviewClient
from tertium_server.simulation import PlayError, World, preset, simulate
from tertium_server.simulation.live import LiveOptions, Played, play
from tertium_server.simulation.playing import Pace
from tertium_server.simulation.tally import Counts, tally
from tertium_server.tuning.replay import replay
from tests.rpc.live import Live, serving

PEOPLE = ("anna", "bert", "carl")
CHIEF, CAMERA = "chief token", "camera token"
START = 1_790_000_000_000_000_000


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    tokens = [entry_for(f"{name} token", name, [Role.REVIEW]) for name in PEOPLE]
    (tmp_path / "tokens.toml").write_text(
        "\n".join([*tokens, entry_for(CHIEF, "chief", [Role.ADMIN]), entry_for(CAMERA, "camera", [Role.INGEST])])
    )
    async with serving(tmp_path / "data", tokens=tmp_path / "tokens.toml", evidence_pictures=2) as server:
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
    world = preset("erring-reviewers", cameras=2, frames=200, reviewers={"misses": 0.2, "slips": 0.2})
    told = await played(
        world, live, review_tokens=tuple(f"{name} token" for name in PEOPLE), truth_token=CHIEF, prefix="site"
    )
    votes = sum(told.votes.values())
    assert votes > 5
    assert 0 < told.wrong_votes < votes / 2
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


async def test_people_without_time_leave_cases_unanswered(live: Live) -> None:
    world = preset("starved-audits", cameras=2, frames=200)
    told = await played(world, live, review_tokens=("anna token",))
    assert sum(told.votes.values()) <= 1  # 20 seconds of the cameras', and a minute for each case
    assert await waiting(live, "bert") > 1


async def test_a_token_that_is_not_known_ends_the_play_and_is_named(live: Live) -> None:
    with pytest.raises(PlayError, match=r"a reviewer: server .*: no token, or one that is not known"):
        await played(preset("calibrated", cameras=1, frames=60), live, review_tokens=("nobody",))


async def test_cameras_show_their_token(live: Live) -> None:
    with pytest.raises(PlayError, match=r"camera simulated/calibrated-01: no token, or one that is not known"):
        await played(preset("calibrated", cameras=1, frames=60), live, token="")


def test_shares_of_nothing_are_none() -> None:
    assert (Counts().precision, Counts(missed=3).recall) == (None, 0.0)
    assert (Counts(yes_right=1) + Counts(yes_right=2, yes_wrong=1)).precision == 0.75
