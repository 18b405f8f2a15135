"""Policies that change under streams that run: a real server, real connections."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
import watchfiles.main

from tertium.v1 import decisions_pb2
from tertium.v1 import policy_service_pb2 as pb
from tertium.v1.policy_service_pb2_grpc import PolicyServiceStub
from tertium_server.policy import Policy, default_policy, dump_policy
from tests.policies import policy_with
from tests.rpc.builders import Response, batched, frames_of, one_frame, open_message, opening, recording, solo, told
from tests.rpc.live import Call, Live, ending_of, serving, until
from tests.scenes import scene

YES, MAYBE, NO = decisions_pb2.VERDICT_YES, decisions_pb2.VERDICT_MAYBE, decisions_pb2.VERDICT_NO
CHANGED = decisions_pb2.TrackEvent.REASON_POLICY_CHANGED


def variant(name: str, yes: float, no: float) -> Policy:
    """The built-in policy with other thresholds: the same evidence, other verdicts."""
    changes = {
        f"defaults.{part}.thresholds.{word}": value
        for part in ("box", "track")
        for word, value in (("yes", yes), ("no", no))
    }
    return policy_with({"name": name, **changes}, default_policy())


STRICT, LOOSE = variant("strict", 0.8, 0.5), variant("loose", 0.4, 0.1)
THRESHOLDS = {STRICT.sha256[:12]: (0.8, 0.5), LOOSE.sha256[:12]: (0.4, 0.1)}


def verdict(probability: float, thresholds: tuple[float, float]) -> int:
    yes, no = thresholds
    return YES if probability >= yes else NO if probability < no else MAYBE


async def opened(live: Live, **changes: Any) -> Call:
    """A call whose stream is open, under whatever policy."""
    call = Call(live.channel)
    await call.send(opening(**changes).SerializeToString())
    call.opened = await call.receive()
    return call


def write(path: Path, text: str) -> None:
    """Puts a file in place of another, as editors do."""
    temporary = path.with_name(".new")
    temporary.write_text(text)
    temporary.replace(path)


class Policies:
    """The policies of a live server, by its service."""

    def __init__(self, live: Live) -> None:
        self.stub = PolicyServiceStub(live.channel)

    async def put(self, policy: Policy) -> str:
        return (await self.stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(policy)))).policy.version

    async def activate(self, version: str) -> pb.ActivatePolicyResponse:
        return await self.stub.ActivatePolicy(pb.ActivatePolicyRequest(version=version))

    async def shadow(self, version: str) -> None:
        await self.stub.ShadowPolicy(pb.ShadowPolicyRequest(version=version))


CHANGES = int(os.environ.get("TERTIUM_TEST_CHANGES", "1000"))
"""Some, so that all tests together stay quick; 1,000 and more by the variable."""


async def test_changes_again_and_again_under_load_lose_no_frame_and_mix_no_policies(tmp_path: Path) -> None:
    reloads = CHANGES
    recordings = [frames_of(scene(number, 2 * reloads)) for number in range(8)]
    async with serving(tmp_path, policy_poll_seconds=3600) as live:
        policies = Policies(live)
        versions = [await policies.put(policy) for policy in (STRICT, LOOSE)]
        await policies.activate(versions[0])
        done = asyncio.Event()

        async def camera(number: int) -> tuple[int, list[Response]]:
            call = await opened(live, stream_id=f"camera-{number}")
            responses: list[Response] = []
            sent = 0
            for message in batched(recordings[number], 1 + number % 4):
                responses.append(await call.ask(message))
                sent += len(message.frame_indices)
                if done.is_set() and sent > 200:
                    break
            responses.append(await call.close())
            return sent, responses

        cameras = [asyncio.create_task(camera(number)) for number in range(len(recordings))]
        for turn in range(reloads):
            await policies.activate(versions[(turn + 1) % 2])
        done.set()
        played = await asyncio.gather(*cameras)
        assert live.sample("tertium_policy_reloads_total", result="applied") == reloads + 1
        assert live.sample("tertium_policy_reloads_total", result="refused") == 0
    stamps = Counter(
        each.decisions.policy_version for _, responses in played for each in responses if each.decisions.frame_indices
    )
    assert set(stamps) == set(versions)
    assert min(stamps.values()) > 20
    assert any(event.reason == CHANGED for _, responses in played for each in responses for event in each.events)
    for number, (sent, responses) in enumerate(played):
        check_each_is_judged_by_one_policy(responses)
        assert [index for each in responses for index in each.decisions.frame_indices] == list(range(sent))
        assert not any(each.notices for each in responses)
        # Tracks have kept their evidence: as if nothing had ever been changed.
        alone = solo(recordings[number][:sent], stream_id=f"camera-{number}")
        assert list(told(responses).decisions.probabilities) == list(alone.decisions.probabilities)


def check_each_is_judged_by_one_policy(responses: list[Response]) -> None:
    """That which each response is stamped with."""
    for each in responses:
        stamp = each.decisions.policy_version
        if each.decisions.frame_indices:
            thresholds = THRESHOLDS[stamp.partition("-")[2]]
            expected = [verdict(probability, thresholds) for probability in each.decisions.probabilities]
            assert list(each.decisions.verdicts) == expected
            assert {event.why.policy_version for event in each.events} <= {stamp}


async def test_open_tracks_are_judged_anew_and_told_why(tmp_path: Path) -> None:
    still = [one_frame(index, [(100, 100, 140, 200, 0.6)]) for index in range(60)]
    async with serving(tmp_path) as live:
        policies = Policies(live)
        loose, strict = [await policies.put(policy) for policy in (LOOSE, variant("stricter", 0.99999, 0.5))]
        await policies.activate(loose)
        call = await opened(live)
        before = told(await call.play(still[:50]))
        assert before.decisions.track_verdicts[-1] == YES
        await policies.activate(strict)
        after = await call.ask(still[50])
    [event] = after.events
    assert (event.reason, event.from_verdict, event.to_verdict) == (CHANGED, YES, MAYBE)
    assert event.why.policy_version == after.decisions.policy_version == strict
    assert event.why.probability == pytest.approx(before.decisions.track_probabilities[-1])
    assert event.track_id == before.decisions.track_ids[-1]


async def test_a_checkpoint_of_an_older_policy_goes_on_under_the_newer_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        policies = Policies(live)
        versions = [await policies.put(policy) for policy in (LOOSE, STRICT)]
        await policies.activate(versions[0])
        call = await opened(live, checkpoint_interval=1)
        first = await call.play(recording()[:40])
        call.cancel()
        await policies.activate(versions[1])
        resumed = await opened(
            live, checkpoint=first[-1].checkpoint.state, last_answered_frame=39, epoch=call.opened.opened.epoch
        )
        assert resumed.opened.opened.policy_version == versions[1]
        rest = await resumed.play(recording()[40:])
        assert {each.decisions.policy_version for each in rest} == {versions[1]}
    alone = solo(recording())
    assert [*told(first).decisions.probabilities, *told(rest).decisions.probabilities] == list(
        alone.decisions.probabilities
    )
    assert set(told(first).decisions.track_ids) & set(told(rest).decisions.track_ids)
    assert any(event.reason == CHANGED for event in told(rest).events)


class TestFiles:
    async def test_a_changed_file_is_taken_up_and_a_bad_one_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "site.yaml"
        write(file, dump_policy(STRICT))
        async with serving(tmp_path / "data", policy=file) as live:
            call = await opened(live)
            assert call.opened.opened.policy_version == STRICT.version
            frames = iter(recording())
            write(file, dump_policy(LOOSE))

            async def stamp() -> str:
                return (await call.ask(next(frames))).decisions.policy_version

            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert await stamp() == LOOSE.version
            assert live.sample("tertium_policy_info", policy="loose", version=LOOSE.version, sha=LOOSE.sha256) == 1
            write(file, dump_policy(STRICT).replace("yes: 0.8", "yes: 0.3"))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="refused") == 1)
            assert await stamp() == LOOSE.version
            write(file, dump_policy(STRICT))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 2)
            assert await stamp() == STRICT.version
            assert live.sample("tertium_policy_reloads_total", result="refused") == 1
        captured = capsys.readouterr()
        logged = captured.err + captured.out
        assert "policy refused" in logged
        assert "lies over yes" in logged

    async def test_a_file_that_is_away_for_a_moment_changes_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "site.yaml"
        write(file, dump_policy(STRICT))
        async with serving(tmp_path / "data", policy=file) as live:
            file.unlink()
            await until(lambda: live.sample("tertium_policy_reloads_total", result="refused") == 1)
            assert (await opened(live)).opened.opened.policy_version == STRICT.version
            write(file, dump_policy(LOOSE))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert (await opened(live)).opened.opened.policy_version == LOOSE.version

    async def test_a_link_that_is_turned_as_kubernetes_does_is_followed(self, tmp_path: Path) -> None:
        for name, policy in (("one", STRICT), ("two", LOOSE)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "site.yaml").write_text(dump_policy(policy))
        (tmp_path / "now").symlink_to("one")
        (tmp_path / "site.yaml").symlink_to("now/site.yaml")
        async with serving(tmp_path / "data", policy=tmp_path / "site.yaml") as live:
            (tmp_path / "next").symlink_to("two")
            (tmp_path / "next").replace(tmp_path / "now")
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert (await opened(live)).opened.opened.policy_version == LOOSE.version

    async def test_a_server_with_a_file_stores_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "site.yaml"
        write(file, dump_policy(STRICT))
        async with serving(tmp_path / "data", policy=file) as live:
            stub = Policies(live).stub
            for call in (
                stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(LOOSE))),
                stub.ActivatePolicy(pb.ActivatePolicyRequest(version="built-in")),
                stub.RollbackPolicy(pb.RollbackPolicyRequest()),
            ):
                ending = await ending_of(call)
                assert ending.code is grpc.StatusCode.FAILED_PRECONDITION
                assert "--policy" in ending.message
            listed = await stub.ListPolicies(pb.ListPoliciesRequest())
            assert [each.name for each in listed.policies if each.active] == ["strict"]


class TestFolders:
    async def test_what_git_puts_there_is_taken_up(self, tmp_path: Path) -> None:
        folder = tmp_path / "policies"
        folder.mkdir()
        write(folder / "site.yaml", dump_policy(STRICT))
        async with serving(tmp_path / "data", policy_dir=folder) as live:
            assert (await opened(live)).opened.opened.policy_version == STRICT.version
            write(folder / "site.yaml", dump_policy(LOOSE))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert (await opened(live)).opened.opened.policy_version == LOOSE.version
            write(folder / "night.yaml", dump_policy(STRICT))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="refused") == 1)
            write(folder / "active.json", json.dumps({"active": "night.yaml"}))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 2)
            assert (await opened(live)).opened.opened.policy_version == STRICT.version

    async def test_a_file_that_is_away_while_git_changes_branches_changes_nothing(self, tmp_path: Path) -> None:
        folder = tmp_path / "policies"
        folder.mkdir()
        write(folder / "site.yaml", dump_policy(STRICT))
        async with serving(tmp_path / "data", policy_dir=folder) as live:
            (folder / "site.yaml").unlink()
            await until(lambda: live.sample("tertium_policy_reloads_total", result="refused") == 1)
            assert (await opened(live)).opened.opened.policy_version == STRICT.version
            write(folder / "site.yaml", dump_policy(LOOSE))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert (await opened(live)).opened.opened.policy_version == LOOSE.version

    async def test_files_are_looked_at_where_the_system_has_no_watches_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "no watches left")

        monkeypatch.setattr(watchfiles.main, "RustNotify", refuse)
        folder = tmp_path / "policies"
        folder.mkdir()
        write(folder / "site.yaml", dump_policy(STRICT))
        async with serving(tmp_path / "data", policy_dir=folder, policy_poll_seconds=0.05) as live:
            write(folder / "site.yaml", dump_policy(LOOSE))
            await until(lambda: live.sample("tertium_policy_reloads_total", result="applied") == 1)
            assert (await opened(live)).opened.opened.policy_version == LOOSE.version

    async def test_files_that_nobody_wants_yet_are_told_of_if_they_are_wrong(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "policies"
        folder.mkdir()
        write(folder / "site.yaml", dump_policy(STRICT))
        write(folder / "active.json", json.dumps({"active": "site.yaml"}))
        said: list[str] = []

        def told_of_it() -> bool:
            captured = capsys.readouterr()
            said.append(captured.out + captured.err)
            return "next.yaml" in "".join(said)

        async with serving(tmp_path / "data", policy_dir=folder, policy_poll_seconds=0.05) as live:
            write(folder / "next.yaml", "name: nothing else\n")
            await until(told_of_it)
            assert live.sample("tertium_policy_reloads_total", result="refused") == 0
            assert (await opened(live)).opened.opened.policy_version == STRICT.version
        assert "can't be used" in "".join(said)

    async def test_versions_are_put_activated_and_rolled_back_there(self, tmp_path: Path) -> None:
        folder = tmp_path / "policies"
        folder.mkdir()
        async with serving(tmp_path / "data", policy_dir=folder) as live:
            policies = Policies(live)
            versions = [await policies.put(policy) for policy in (STRICT, LOOSE)]
            for version in versions:
                await policies.activate(version)
            assert (await opened(live)).opened.opened.policy_version == versions[1]
            await policies.stub.RollbackPolicy(pb.RollbackPolicyRequest())
            assert (await opened(live)).opened.opened.policy_version == versions[0]
        assert {path.name for path in folder.glob("*.yaml")} == {
            f"000{number}-{policy.sha256[:12]}.yaml" for number, policy in ((1, STRICT), (2, LOOSE))
        }


async def test_what_one_server_activates_the_others_take_up(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shared.sqlite"
    async with (
        serving(tmp_path / "a", store=store) as one,
        serving(tmp_path / "b", store=store, policy_poll_seconds=0.05) as other,
    ):
        policies = Policies(one)
        await policies.activate(await policies.put(STRICT))
        await until(lambda: other.sample("tertium_policy_reloads_total", result="applied") == 1)
        assert (await opened(other)).opened.opened.policy_version == f"1-{STRICT.sha256[:12]}"


class TestShadow:
    async def counts(self, live: Live) -> dict[tuple[str, str], float]:
        names = {"yes": YES, "maybe": MAYBE, "no": NO}
        return {
            (active, shadow): live.sample("tertium_shadow_decisions_total", **{"class": "person", "active": active, "shadow": shadow})
            for active in names
            for shadow in names
        }  # fmt: skip

    @pytest.mark.parametrize(("size", "recorded"), [(1, False), (5, False), (5, True)])
    async def test_the_active_policy_as_its_own_shadow_agrees_with_itself(
        self, tmp_path: Path, size: int, *, recorded: bool
    ) -> None:
        # Messages that are recorded take another way through the server.
        async with serving(tmp_path, classes=("person",), record=tmp_path / "record" if recorded else None) as live:
            policies = Policies(live)
            version = await policies.put(STRICT)
            await policies.activate(version)
            call = await opened(live)
            responses = await call.play(batched(recording()[:30], size))
            await policies.shadow(version)  # in the middle of the stream
            followed = await call.play(batched(recording()[30:], size))
            counts = await self.counts(live)
        assert (
            told([*responses, *followed]).decisions.probabilities
            == told([Response(decisions=solo(recording()).decisions)]).decisions.probabilities
        )
        said = Counter(told(followed).decisions.verdicts)
        assert {pair: count for pair, count in counts.items() if count} == {
            (name, name): said[number] for name, number in (("yes", YES), ("maybe", MAYBE), ("no", NO)) if said[number]
        }

    async def test_what_the_shadow_says_is_counted_and_never_sent(self, tmp_path: Path) -> None:
        async with serving(tmp_path, classes=("person",)) as live:
            policies = Policies(live)
            await policies.activate(await policies.put(LOOSE))
            await policies.shadow(await policies.put(STRICT))
            call = await opened(live)
            responses = [*await call.play(recording()), await call.close()]
            counts = await self.counts(live)
        decisions = told(responses).decisions
        expected = Counter(
            (verdict(probability, (0.4, 0.1)), verdict(probability, (0.8, 0.5)))
            for probability in decisions.probabilities
        )
        names: dict[int, str] = {YES: "yes", MAYBE: "maybe", NO: "no"}
        assert {pair: count for pair, count in counts.items() if count} == {
            (names[active], names[shadow]): count for (active, shadow), count in expected.items()
        }
        assert len(expected) > 3
        assert {each.decisions.policy_version for each in responses if each.decisions.frame_indices} == {
            f"1-{LOOSE.sha256[:12]}"
        }
        assert list(decisions.probabilities) == list(solo(recording()).decisions.probabilities)

    async def test_a_resumed_stream_is_counted_once(self, tmp_path: Path) -> None:
        async with serving(tmp_path, classes=("person",)) as live:
            policies = Policies(live)
            version = await policies.put(STRICT)
            await policies.activate(version)
            await policies.shadow(version)
            call = await opened(live)
            await call.play(recording()[:40])
            call.cancel()
            resumed = await opened(live, last_answered_frame=39, checkpoint=call.opened.checkpoint.state)
            await resumed.play(recording())
            counts = await self.counts(live)
        # Frames that are run again are counted by nobody, and the shadow follows from the first new one.
        detections = sum(len(message.scores) for message in recording())
        assert sum(counts.values()) == detections
        assert all(active == shadow for (active, shadow), count in counts.items() if count)

    async def test_only_a_share_of_the_streams_is_followed_always_the_same(self, tmp_path: Path) -> None:
        from tertium_server.rpc.shadow import is_followed  # noqa: PLC0415 - after grpc was told how to poll

        names = [f"camera-{number}" for number in range(1000)]
        followed = [name for name in names if is_followed(name, 0.2)]
        assert 120 < len(followed) < 280
        assert set(followed) <= {name for name in names if is_followed(name, 0.5)}
        assert [name for name in names if is_followed(name, 1.0)] == names
        async with serving(tmp_path, classes=("person",), shadow_share=0.2) as live:
            policies = Policies(live)
            await policies.shadow(await policies.put(STRICT))
            left_out = next(name for name in names if name not in followed)
            for name in (left_out, followed[0]):
                await (await opened(live, stream_id=name)).play(recording(length=20))
            counts = await self.counts(live)
        assert sum(counts.values()) == sum(len(message.scores) for message in recording(length=20))

    async def test_it_ends_when_nobody_wants_it_any_more(self, tmp_path: Path) -> None:
        async with serving(tmp_path, classes=("person",)) as live:
            policies = Policies(live)
            await policies.shadow(await policies.put(STRICT))
            call = await opened(live)
            await call.play(recording()[:20])
            before = await self.counts(live)
            await policies.shadow("")
            await call.play(recording()[20:])
            assert await self.counts(live) == before


def test_the_open_message_of_these_tests_is_of_one_class() -> None:
    assert dict(open_message().class_names) == {1: "person"}


async def test_zones_that_can_not_be_placed_are_told_of_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zone = {"polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], "all": {"box": {"thresholds": {"yes": 0.9}}}}
    zoned = Policy.model_validate(default_policy().to_tree() | {"zones": {"drive": zone}})
    (tmp_path / "site.yaml").write_text(dump_policy(zoned))
    async with serving(tmp_path / "data", policy=tmp_path / "site.yaml") as live:
        await opened(live, stream_id="sized")
        await opened(live, stream_id="unsized", frame_width=0, frame_height=0)
    captured = capsys.readouterr()
    [line] = [line for line in (captured.out + captured.err).splitlines() if "zones without effect" in line]
    assert "unsized" in line
    assert "drive" in line
