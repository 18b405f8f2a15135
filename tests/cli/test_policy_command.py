"""`tertium policy` on files: what it prints, what it refuses, and its exit codes."""

import json
from pathlib import Path

import pytest

from tertium_server.cli.application import run
from tertium_server.policy import default_policy, dump_policy, load_policy
from tests.policies import plain_policy
from tests.scenes import scene, write_mot

OVERRIDES = """
groups:
  yard: {all: {box: {thresholds: {no: 0.1}}}}
zones:
  drive:
    polygon: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
    classes: {person: {box: {thresholds: {yes: 0.5}}}}
profiles:
  night:
    schedule: [{days: [mon], opens: "22:00", closes: "06:00"}]
    time_zone: Europe/Berlin
    all: {track: {thresholds: {yes: 0.8}}}
"""


@pytest.fixture(name="site")
def write_site(tmp_path: Path) -> Path:
    file = tmp_path / "site.yaml"
    person = "classes: {person: {box: {thresholds: {yes: 0.7}}}}"
    file.write_text(dump_policy(plain_policy()).replace("classes: {}", person) + OVERRIDES)
    return file


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def test_a_good_file_is_said_to_be_good_with_its_version(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "validate", str(site)]) == 0
    assert capsys.readouterr().out == f"{site}: plain, version {load_policy(site).version}: good\n"


def test_every_mistake_is_told_on_a_line_of_its_own_with_file_line_and_field(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write_text(site.read_text().replace("no: 0.1}", "no: 1.1}").replace("polygon:", "poligon:"))
    assert run(["policy", "validate", str(site)]) == 1
    lines = capsys.readouterr().err.splitlines()
    group, zone = line_of(site, "yard:"), line_of(site, "poligon")
    assert any(line.startswith(f"tertium: {site}: line {group}: groups.yard.all.box.thresholds.no: ") for line in lines)
    assert any(f"{site}: line {zone}: zones.drive.poligon: " in line and '"polygon"' in line for line in lines)


def test_classes_that_the_detector_lacks_are_mistakes(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "validate", str(site), "--classes", "person,car"]) == 0
    assert run(["policy", "validate", str(site), "--classes", "persons,car"]) == 1
    said = capsys.readouterr().err
    assert f"line {line_of(site, 'classes: {person: {box: {thresholds: {yes: 0.7')}: classes.person: " in said
    assert 'did you mean "persons"?' in said


@pytest.mark.parametrize("words", [[], ["--effective", "class=person"]])
def test_without_a_file_the_built_in_policy_is_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "show", *words]) == 0
    assert f"version {default_policy().version}" in capsys.readouterr().out


def test_what_is_shown_is_a_file_that_can_be_read(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "show", str(site)]) == 0
    again = tmp_path / "again.yaml"
    again.write_text(capsys.readouterr().out)
    assert load_policy(again) == load_policy(site)


def effective(site: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[float, str]]:
    assert run(["policy", "show", str(site), "--effective", *words]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    return {field: (float(value), origin) for field, value, origin in rows if value != "-"}


def test_what_holds_in_a_situation_is_shown_with_where_it_comes_from(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = effective(site, capsys, "class=person", "group=yard", "zone=drive", "profile=night")
    assert found["box.thresholds.yes"] == (0.5, "zones.drive.classes.person")
    assert found["box.thresholds.no"] == (0.1, "groups.yard.all")
    assert found["track.thresholds.yes"] == (0.8, "profiles.night.all")
    assert found["evidence.noise"] == (1.0, "defaults")
    assert effective(site, capsys, "class=person")["box.thresholds.yes"] == (0.7, "classes.person")


@pytest.mark.parametrize(
    ("time", "yes"),
    [("2026-11-23T21:30", 0.8), ("2026-11-23T22:30+01:00", 0.8), ("2026-11-23T20:30", 0.7), ("2026-11-25T21:30", 0.7)],
)
def test_a_time_chooses_the_profile(site: Path, capsys: pytest.CaptureFixture[str], time: str, yes: float) -> None:
    assert effective(site, capsys, f"time={time}")["track.thresholds.yes"][0] == yes


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["zone=drvie"], 1, 'did you mean "drive"?'),
        (["colour=red"], 2, "write WHAT=NAME"),
        (["time=soon"], 2, "is no date and time"),
    ],
)
def test_situations_that_can_not_be_are_refused(
    site: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert run(["policy", "show", str(site), "--effective", *words]) == code
    assert said in capsys.readouterr().err


def test_what_two_policies_say_differently_is_told_by_field(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = site.with_name("plain.yaml")
    plain.write_text(dump_policy(plain_policy()))
    assert run(["policy", "diff", str(plain), str(site)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "classes.person.box.thresholds.yes: (not there) -> 0.7" in lines
    assert 'profiles.night.time_zone: (not there) -> "Europe/Berlin"' in lines
    assert not any(line.startswith(("defaults", "tracker")) for line in lines)
    assert run(["policy", "diff", str(site), str(site)]) == 0
    assert capsys.readouterr().out == ""


def test_thresholds_are_exported_by_class_with_a_default(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "export", str(site), "--format", "thresholds-json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"person": 0.7, "default": 0.6}


def test_the_schema_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Tertium policy"


class TestCompare:
    @pytest.fixture(name="recording")
    def write_recording(self, tmp_path: Path) -> Path:
        for seed in (1, 2):
            write_mot(scene(seed), tmp_path / "recording")
        return tmp_path / "recording"

    def document(self, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
        assert run(["policy", "compare", *words, "--format", "mot", "--json"]) == 0
        document: dict[str, object] = json.loads(capsys.readouterr().out)
        return document

    def test_a_policy_beside_itself_changes_nothing(
        self, site: Path, recording: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        document = self.document(capsys, str(recording), str(site), str(site))
        assert document["changed"] == 0
        assert document["examples"] == []
        assert document["detections"] != 0

    def test_changes_are_counted_as_two_replays_tell_and_shown_by_example(
        self, tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tertium_server.tuning.readers import read_detections  # noqa: PLC0415 - loads numba
        from tertium_server.tuning.replay import replay  # noqa: PLC0415 - likewise

        files = [tmp_path / "old.yaml", tmp_path / "new.yaml"]
        files[0].write_text(dump_policy(plain_policy()))
        files[1].write_text(dump_policy(plain_policy()).replace("yes: 0.6", "yes: 0.7"))
        document = self.document(capsys, str(recording), *map(str, files))
        said = [
            [
                verdict
                for sequence in read_detections(recording, "mot")
                for verdict in replay(sequence, load_policy(file)).verdicts
            ]
            for file in files
        ]
        moved = sum((old, new) == (3, 2) for old, new in zip(*said, strict=True))
        assert moved > 0
        assert document["changed"] == moved
        assert document["classes"]["object"]["YES"]["MAYBE"] == moved  # type: ignore[index]
        examples = document["examples"]
        assert isinstance(examples, list)
        assert len(examples) == min(3, moved)
        for example in examples:
            assert (example["old"], example["new"]) == ("YES", "MAYBE")
            assert 0.6 <= example["new_probability"] < 0.7

    def test_the_table_names_both_versions(
        self, site: Path, recording: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["policy", "compare", str(recording), "built-in", str(site), "--format", "mot"]) == 0
        captured = capsys.readouterr()
        assert f"from {default_policy().version} to {load_policy(site).version}" in " ".join(captured.out.split())
        assert "--start" in captured.err
