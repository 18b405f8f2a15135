"""PolicyService over real connections, the commands that use it, and a server that is killed while it activates."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path

import grpc
import pytest

from tertium.v1 import policy_service_pb2 as pb
from tertium.v1.policy_service_pb2_grpc import PolicyServiceStub
from tertium_server.cli.application import run
from tertium_server.policy import default_policy, dump_policy, parse_policy
from tertium_server.policy.keeper import PolicyKeeper, StoreSource
from tertium_server.policy.store import DatabaseStore, FolderStore, PolicyStore
from tertium_server.review.access import Role, entry_for
from tertium_server.storage import open_store, sqlite_url
from tests.kills import KILLS
from tests.policies import policy_with
from tests.rpc.live import Live, ServerProcess, ending_of, serving, until
from tests.servers import wait_until

STRICT = policy_with({"name": "strict", "defaults.box.thresholds.yes": 0.9})
LOOSE = policy_with({"name": "loose", "defaults.box.thresholds.yes": 0.5})


def stub_of(live: Live) -> PolicyServiceStub:
    return PolicyServiceStub(live.channel)


async def test_a_policy_goes_from_a_file_into_force_and_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        stub = stub_of(live)
        put = await stub.PutPolicy(
            pb.PutPolicyRequest(document=dump_policy(STRICT), author="ann", reason="fewer false alarms")
        )
        assert not put.known
        assert put.policy.version == f"1-{STRICT.sha256[:12]}"
        assert (put.policy.name, put.policy.author, put.policy.reason) == ("strict", "ann", "fewer false alarms")
        assert not put.policy.active
        activated = await stub.ActivatePolicy(pb.ActivatePolicyRequest(version="1", author="bob", reason="go"))
        assert (activated.policy.version, activated.policy.active) == (put.policy.version, True)
        assert activated.previous_version == default_policy().version
        listed = await stub.ListPolicies(pb.ListPoliciesRequest())
        assert [(each.name, each.active) for each in listed.policies] == [("strict", True), ("built-in", False)]
        assert [(each.version, each.author, each.reason) for each in listed.activations] == [
            (put.policy.version, "bob", "go")
        ]
        back = await stub.RollbackPolicy(pb.RollbackPolicyRequest(author="bob", reason="no"))
        assert (back.policy.name, back.previous_version) == ("built-in", put.policy.version)
        # A server that starts anew goes on where this one was.
    async with serving(tmp_path) as live:
        got = await stub_of(live).GetPolicy(pb.GetPolicyRequest())
        assert parse_policy(got.document, "here").sha256 == default_policy().sha256
        assert got.policy.version == back.policy.version


async def test_a_dry_run_checks_and_stores_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        stub = stub_of(live)
        tried = await stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(STRICT), dry_run=True))
        assert not tried.known
        assert tried.policy.sha256 == STRICT.sha256
        assert len((await stub.ListPolicies(pb.ListPoliciesRequest())).policies) == 1
        known = await stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(default_policy()), dry_run=True))
        assert known.known


async def test_versions_are_compared_by_field(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        stub = stub_of(live)
        for policy in (STRICT, LOOSE):
            await stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(policy)))
        changes = (await stub.DiffPolicies(pb.DiffPoliciesRequest(from_version="1", to_version="2"))).changes
        assert {each.field: (json.loads(each.before), json.loads(each.after)) for each in changes} == {
            "name": ("strict", "loose"),
            "defaults.box.thresholds.yes": (0.9, 0.5),
        }


REFUSED: list[tuple[str, object, grpc.StatusCode, list[str]]] = [
    ("PutPolicy", pb.PutPolicyRequest(document="- a\n"), grpc.StatusCode.INVALID_ARGUMENT, ["document"]),
    (
        "PutPolicy",
        pb.PutPolicyRequest(document=dump_policy(STRICT).replace("yes: 0.9", "yes: 0.1").replace("name: strict", "name: ''")),
        grpc.StatusCode.INVALID_ARGUMENT,
        ["name", "defaults.box.thresholds"],
    ),
    ("PutPolicy", pb.PutPolicyRequest(author="a" * 257), grpc.StatusCode.INVALID_ARGUMENT, ["author"]),
    ("ActivatePolicy", pb.ActivatePolicyRequest(reason="r" * 4097), grpc.StatusCode.INVALID_ARGUMENT, ["reason"]),
    ("ActivatePolicy", pb.ActivatePolicyRequest(), grpc.StatusCode.INVALID_ARGUMENT, ["version"]),
    ("ActivatePolicy", pb.ActivatePolicyRequest(version="7"), grpc.StatusCode.NOT_FOUND, []),
    ("GetPolicy", pb.GetPolicyRequest(version="nothing"), grpc.StatusCode.NOT_FOUND, []),
    ("DiffPolicies", pb.DiffPoliciesRequest(from_version="7"), grpc.StatusCode.NOT_FOUND, []),
    ("ShadowPolicy", pb.ShadowPolicyRequest(version="7"), grpc.StatusCode.NOT_FOUND, []),
    ("RollbackPolicy", pb.RollbackPolicyRequest(), grpc.StatusCode.FAILED_PRECONDITION, []),
]  # fmt: skip


async def test_what_can_not_be_done_is_refused_with_the_field_at_fault(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        for method, request, code, fields in REFUSED:
            ending = await ending_of(getattr(stub_of(live), method)(request))
            assert ending.code is code, (method, ending.message)
            assert sorted(ending.fields) == sorted(fields), (method, ending.message)
        assert live.sample("tertium_policy_reloads_total", result="applied") == 0


async def test_a_store_that_is_away_leaves_what_is_in_force(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", policy_poll_seconds=0.05) as live:
        stub = stub_of(live)
        await stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(STRICT)))
        await stub.ActivatePolicy(pb.ActivatePolicyRequest(version="1"))
        for file in (tmp_path / "data").glob("*.sqlite*"):
            file.write_bytes(b"no database" * 1000)
        await until(lambda: live.sample("tertium_policy_reloads_total", result="refused") >= 1)
        ending = await ending_of(stub.ActivatePolicy(pb.ActivatePolicyRequest(version="1")))
        assert ending.code is grpc.StatusCode.UNAVAILABLE
        assert (
            live.sample("tertium_policy_info", policy="strict", version=f"1-{STRICT.sha256[:12]}", sha=STRICT.sha256)
            == 1
        )


async def test_with_tokens_only_administrators_change_policies(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(entry_for("an-admin", "ann", [Role.ADMIN]) + entry_for("a-reviewer", "bob", [Role.REVIEW]))
    put = pb.PutPolicyRequest(document=dump_policy(STRICT))

    def shown(token: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {token}"),)

    async with serving(tmp_path / "data", tokens=tokens) as live:
        stub = stub_of(live)
        for call in (stub.PutPolicy(put), stub.ListPolicies(pb.ListPoliciesRequest(), metadata=shown("nobody"))):
            assert (await ending_of(call)).code is grpc.StatusCode.UNAUTHENTICATED
        for change in (
            stub.PutPolicy(put, metadata=shown("a-reviewer")),
            stub.ActivatePolicy(pb.ActivatePolicyRequest(version="built-in"), metadata=shown("a-reviewer")),
            stub.RollbackPolicy(pb.RollbackPolicyRequest(), metadata=shown("a-reviewer")),
            stub.ShadowPolicy(pb.ShadowPolicyRequest(), metadata=shown("a-reviewer")),
        ):
            assert (await ending_of(change)).code is grpc.StatusCode.PERMISSION_DENIED
        assert len((await stub.ListPolicies(pb.ListPoliciesRequest(), metadata=shown("a-reviewer"))).policies) == 1
        stored = await stub.PutPolicy(put, metadata=shown("an-admin"))
        assert stored.policy.author == "ann", "who does not say who they are is who they have shown to be"


def test_the_commands_do_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for policy in (STRICT, LOOSE):
        (tmp_path / f"{policy.name}.yaml").write_text(dump_policy(policy))
    strict, loose = (f"{number}-{policy.sha256[:12]}" for number, policy in ((1, STRICT), (2, LOOSE)))

    def say(*words: str, code: int = 0) -> str:
        assert run(["policy", *words, "--server", server.listen]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.out + captured.err

    with ServerProcess(tmp_path / "data") as server:
        assert say("put", str(tmp_path / "strict.yaml"), "--author", "ann", "--reason", "fewer") == f"{strict}\n"
        assert say("put", str(tmp_path / "strict.yaml")) == f"{strict}: was stored before\n"
        said = say("put", str(tmp_path / "loose.yaml"), "--activate")
        assert said == f"{loose}\n{loose} is in force; before: {default_policy().version}\n"
        assert say("activate", "1") == f"{strict} is in force; before: {loose}\n"
        assert say("shadow", "2") == f"{loose} is in the shadow\n"
        lines = say("list").splitlines()
        assert lines[0].split()[:2] == [loose, "shadow"]
        assert lines[1].split()[:2] == [strict, "active"]
        assert lines[1].endswith("strict  fewer")
        assert say("shadow") == "no policy is in the shadow\n"
        assert say("rollback") == f"{loose} is in force; before: {strict}\n"
        assert say("activate", "2") == f"{loose} was in force already\n"
        assert say("put", "gone.yaml", code=1) == "tertium: gone.yaml: can't be read: No such file or directory\n"
        assert parse_policy(say("show"), "here").name == "loose"
        assert parse_policy(say("show", "1"), "here").name == "strict"
        assert "defaults.box.thresholds.yes: 0.9 -> 0.5" in say("diff", "1", "2", code=1)
        assert 'there is no policy "strikt"' in say("activate", "strikt", code=1)
        (tmp_path / "strict.yaml").write_text("name: nothing else\n")
        assert "defaults: line 1: is missing" in say("put", str(tmp_path / "strict.yaml"), code=1)
    assert "is not there" in say("list", code=1)


@pytest.mark.parametrize("place", ["store", "folder"])
def test_a_server_that_is_killed_while_it_activates_comes_back_with_the_old_or_the_new_policy(
    tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    environment = {"TERTIUM_POLICY_DIR": str(folder)} if place == "folder" else {}
    chance = random.Random(5)  # noqa: S311 - no secret
    versions = [f"{number}-{policy.sha256[:12]}" for number, policy in ((1, STRICT), (2, LOOSE))]

    async def activate_until_killed(server: ServerProcess) -> set[str]:
        """The versions that may be in force: the last that was said to be, and the one on its way."""
        async with grpc.aio.insecure_channel(server.listen) as channel:
            stub = PolicyServiceStub(channel)
            for policy in (STRICT, LOOSE):
                await stub.PutPolicy(pb.PutPolicyRequest(document=dump_policy(policy)))
            last = (await stub.GetPolicy(pb.GetPolicyRequest())).policy.version
            asyncio.get_running_loop().call_later(chance.uniform(0.02, 0.3), server.signal, signal.SIGKILL)
            for turn in range(100_000):
                wanted = versions[turn % 2]
                try:
                    await stub.ActivatePolicy(pb.ActivatePolicyRequest(version=wanted))
                except grpc.aio.AioRpcError:
                    return {last, wanted}
                last = wanted
        raise AssertionError("it was never killed")

    possible = {default_policy().version}
    for _ in range(KILLS):
        with ServerProcess(tmp_path / "data", **environment) as server:
            stamped = asyncio.run(in_force(server))
            assert stamped in possible
            possible = asyncio.run(activate_until_killed(server))
    # And what the next server would find.
    store: PolicyStore = (
        FolderStore(folder) if environment else DatabaseStore(open_store(sqlite_url(tmp_path / "data")))
    )
    assert PolicyKeeper(StoreSource(store)).in_force.policy.version in possible


async def in_force(server: ServerProcess) -> str:
    async with grpc.aio.insecure_channel(server.listen) as channel:
        return (await PolicyServiceStub(channel).GetPolicy(pb.GetPolicyRequest())).policy.version


def test_a_hang_up_has_the_policy_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(dump_policy(STRICT))
    environment = {"TERTIUM_POLICY": str(file), "TERTIUM_POLICY_POLL_SECONDS": "3600"}
    with ServerProcess(tmp_path / "data", **environment) as server:
        file.unlink()  # whatever the watch has seen by then: at the signal the file is looked for
        server.signal(signal.SIGHUP)
        wait_until(lambda: "policy refused" in server.log, "the policy to be looked for")
        assert asyncio.run(in_force(server)) == STRICT.version
