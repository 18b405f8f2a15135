"""Stores of policies: one contract for the folder and for the database, SQLite and PostgreSQL alike."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tertium_server.policy import Policy, PolicyError, PolicyStoreError, UnknownVersionError, dump_policy
from tertium_server.policy.errors import PolicyStateError
from tertium_server.policy.store import BUILT_IN, DatabaseStore, FolderStore, PolicyStore
from tertium_server.policy.store.values import before, find
from tertium_server.storage import open_store
from tests.kills import KILLS
from tests.policies import plain_policy, policy_with
from tests.stores import fresh_store


def variant(yes: float) -> Policy:
    return policy_with({"defaults.box.thresholds.yes": yes, "name": f"yes from {yes}"})


@pytest.fixture(params=["folder", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PolicyStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path)
        return
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    with fresh_store(request.param, tmp_path, server) as url:
        database = open_store(url)
        yield DatabaseStore(database)
        database.close()


def test_what_is_put_is_found_again_with_its_number_and_story(store: PolicyStore) -> None:
    record, known = store.put(variant(0.8), "ann", "fewer false alarms")
    assert not known
    [found] = store.records()
    assert found.version == record.version == f"1-{variant(0.8).sha256[:12]}"
    assert found.policy.model_copy(update={"number": 0, "about": variant(0.8).about}) == variant(0.8)
    assert (found.policy.about.author, found.policy.about.reason) == ("ann", "fewer false alarms")
    assert found.policy.about.created.startswith("20")


def test_the_same_content_is_stored_once_whoever_brings_it(store: PolicyStore) -> None:
    first, _ = store.put(variant(0.8), "ann", "")
    again, known = store.put(variant(0.8).model_copy(update={"number": 7}), "bob", "mine")
    assert known
    assert again == first
    assert len(store.records()) == 1


def test_numbers_go_up_by_one(store: PolicyStore) -> None:
    for place, yes in enumerate((0.8, 0.7, 0.9), 1):
        assert store.put(variant(yes), "", "")[0].policy.number == place
    assert [record.policy.number for record in store.records()] == [1, 2, 3]


def test_eight_at_a_time_get_eight_numbers(store: PolicyStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = {
            each[0].policy.number for each in pool.map(lambda k: store.put(variant(0.7 + k / 100), "", ""), range(8))
        }
    assert numbers == set(range(1, 9))


def test_nothing_is_in_force_at_first(store: PolicyStore) -> None:
    standing = store.standing()
    assert (standing.active, standing.shadow, list(standing.activations)) == (None, None, [])
    with pytest.raises(PolicyStateError, match="nothing to roll back to"):
        before(standing)


def test_the_last_activation_holds_and_the_others_are_remembered(store: PolicyStore) -> None:
    first, second = (store.put(variant(yes), "", "")[0] for yes in (0.7, 0.8))
    store.activate(first, "ann", "go", "activate")
    store.activate(second, "bob", "better", "activate")
    standing = store.standing()
    assert standing.active == second.version
    assert [(each.version, each.author, each.reason) for each in standing.activations] == [
        (first.version, "ann", "go"),
        (second.version, "bob", "better"),
    ]


def test_the_shadow_comes_and_goes_and_leaves_what_is_in_force_alone(store: PolicyStore) -> None:
    first, second = (store.put(variant(yes), "", "")[0] for yes in (0.7, 0.8))
    store.activate(first, "", "", "activate")
    store.try_out(second, "ann", "try")
    assert (store.standing().active, store.standing().shadow) == (first.version, second.version)
    store.try_out(None, "ann", "enough")
    assert (store.standing().active, store.standing().shadow) == (first.version, None)


def test_rolling_back_goes_back_one_after_the_other_to_the_built_in_policy(store: PolicyStore) -> None:
    records = {record.version: record for record in (store.put(variant(yes), "", "")[0] for yes in (0.7, 0.8, 0.9))}
    one, two, three = records
    for version in (one, two, three):
        store.activate(records[version], "", "", "activate")
    for expected in (two, one):
        assert before(store.standing()) == expected
        store.activate(records[expected], "", "", "rollback")
    assert before(store.standing()) == BUILT_IN
    store.activate(records[three], "", "", "activate")
    assert before(store.standing()) == one, "what was rolled back is not what was before"


def test_a_version_is_found_by_any_of_its_names(store: PolicyStore) -> None:
    first, second = (store.put(variant(yes), "", "")[0] for yes in (0.7, 0.8))
    records = store.records()
    for name in (first.version, first.policy.sha256, "1", first.policy.sha256[:4], first.policy.sha256[:12]):
        assert find(records, name).version == first.version
    assert find(records, "2").version == second.version
    with pytest.raises(UnknownVersionError, match=f"did you mean .{first.version}"):
        find(records, first.version[:-1] + "x")
    for wanted in (first.policy.sha256[:3], "9" * 10_000):
        with pytest.raises(UnknownVersionError):
            find(records, wanted)


class TestFolder:
    def test_files_of_any_name_are_policies_and_a_lone_one_is_in_force(self, tmp_path: Path) -> None:
        (tmp_path / "site.yaml").write_text(dump_policy(variant(0.8)))
        store = FolderStore(tmp_path)
        assert [record.file for record in store.records()] == ["site.yaml"]
        assert store.standing().active == "site.yaml"
        assert find(store.records(), "site.yaml").policy == variant(0.8)

    def test_of_several_files_somebody_has_to_say_which(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.yaml").write_text(dump_policy(variant(0.8)))
        with pytest.raises(PolicyStoreError, match=r'holds 2 policies .* write \{"active": "a\.yaml"\}'):
            FolderStore(tmp_path).standing()
        (tmp_path / "active.json").write_text('{"active": "b.yaml"}')
        assert FolderStore(tmp_path).standing().active == "b.yaml"

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        for yes in (0.7, 0.8):
            (tmp_path / ".new").write_text(dump_policy(variant(yes)))
            (tmp_path / ".new").replace(tmp_path / "site.yaml")
            assert [record.policy for record in store.records()] == [variant(yes)]

    def test_a_stored_file_that_was_changed_is_refused_by_name(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        record, _ = store.put(variant(0.8), "", "")
        file = tmp_path / record.file
        file.write_text(file.read_text().replace("yes: 0.8", "yes: 0.85"))
        assert store.records() == []
        assert "was changed after it was stored" in str(store.broken()[record.file])

    def test_a_file_with_a_mistake_leaves_the_others_alone(self, tmp_path: Path) -> None:
        (tmp_path / "good.yaml").write_text(dump_policy(variant(0.8)))
        (tmp_path / "bad.yaml").write_text("name: nothing else\n")
        store = FolderStore(tmp_path)
        assert [record.file for record in store.records()] == ["good.yaml"]
        assert isinstance(store.broken()["bad.yaml"], PolicyError)

    def test_a_folder_that_is_away_is_none_without_policies(self, tmp_path: Path) -> None:
        folder = tmp_path / "volume"
        folder.mkdir()
        (folder / "site.yaml").write_text(dump_policy(variant(0.8)))
        store = FolderStore(folder)
        folder.rename(tmp_path / "elsewhere")
        for ask in (store.standing, store.records, store.broken):
            with pytest.raises(PolicyStoreError, match="volume: is not there"):
                ask()

    @pytest.mark.parametrize("content", ["", "[]", "{", '{"active": 7}', '{"activations": [{"x": 1}]}'])
    def test_an_active_file_of_another_form_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "active.json").write_text(content)
        with pytest.raises(PolicyStoreError, match=r"active\.json"):
            FolderStore(tmp_path).standing()


ACTIVATING = """
import sys
from pathlib import Path
from tertium_server.policy.store import DatabaseStore, FolderStore
from tertium_server.storage import open_store
kind, where = sys.argv[1:]
store = FolderStore(Path(where)) if kind == "folder" else DatabaseStore(open_store(where))
records = store.records()
print("ready", flush=True)
turn = 0
while True:
    store.activate(records[turn % 2], "", "", "activate")
    turn += 1
    print(turn, flush=True)
"""


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_killed_while_it_activates_a_store_holds_the_old_or_the_new_version(kind: str, tmp_path: Path) -> None:
    where = str(tmp_path) if kind == "folder" else f"sqlite:///{tmp_path}/store.sqlite"
    store = FolderStore(tmp_path) if kind == "folder" else DatabaseStore(open_store(where))
    versions = [store.put(variant(yes), "", "")[0].version for yes in (0.7, 0.8)]
    store.activate(store.records()[1], "", "", "activate")
    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", ACTIVATING, kind, where], stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = 0
        for line in process.stdout:
            said = 0 if line == b"ready\n" else int(line)
            if said > kill:  # in the middle of the next one, wherever that is
                os.kill(process.pid, signal.SIGKILL)
                break
        said += sum(1 for _ in process.stdout)
        process.stdout.close()
        process.wait()
        # What was said to be in force is, or what came after it.
        assert store.standing().active in {versions[(said - 1) % 2], versions[said % 2]}
        assert find(store.records(), store.standing().active or "").version in versions
        if kind == "folder":
            assert json.loads((tmp_path / "active.json").read_text())["active"] in versions


def test_policies_are_equal_whatever_their_number() -> None:
    assert plain_policy().model_copy(update={"number": 5}).sha256 == plain_policy().sha256
