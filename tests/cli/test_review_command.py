"""`tertium review`: lists, numbers, exports and tokens."""

import io
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tertium_server.cli.application import run
from tertium_server.review.footage import Footage, FrameOfTrack
from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.reading import list_cases
from tertium_server.review.values import Answer, Booking, Stratum
from tertium_server.storage import Database, open_store, sqlite_url, upgrade
from tests.review.builders import booking, terms
from tests.stores import sqlite_store


def shown(track: int, stratum: Stratum = Stratum.MAYBE, **changes: Any) -> Booking:
    made = booking(track, stratum, **changes)
    frames = tuple(FrameOfTrack(k, 1000 * k, 1.0, 2.0, 31.0, 42.0, 0.25, 0.5) for k in range(3))
    return Booking(decision=made.decision, terms=made.terms, evidence=Footage(frames, 640, 360).to_json())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a yes, a no, a cannot tell, and a case that waits."""
    store = sqlite_store(tmp_path)
    desk = ReviewOffice(store, QueueRules(audit_share=0.0, gold_share=0.0))
    rules = terms(audit_yes=0.25, salt="2")
    audits = [shown(k, Stratum.AUTO_YES, rules=rules) for k in range(100, 140)]
    desk.book([shown(1, probability=0.5), shown(2, probability=0.3), *audits])
    for lease in desk.lease("anna", 16):
        desk.vote(lease.case.id, "anna", lease.token, Answer.NO if lease.case.track_id == 2 else Answer.YES)
    desk.book([shown(3, stream_id="yard"), shown(4, class_name="Ünï\u202ecode")])
    store.close()
    return tmp_path


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_cases_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "list", "--data-dir", str(folder), "--waiting"]) == 0
    waiting = lines(capsys)
    assert len(waiting) == 2
    assert all(line.isascii() for line in waiting)
    assert run(["review", "list", "--data-dir", str(folder), "--stream", "yard"]) == 0
    (line,) = lines(capsys)
    assert "maybe by machine" in line
    assert run(["review", "list", "--data-dir", str(folder), "--stream", "nowhere"]) == 0
    assert capsys.readouterr() == ("", "there are no such cases\n")
    assert run(["review", "list", "--data-dir", str(folder), "--most", "3"]) == 0
    assert len(lines(capsys)) == 3


def test_the_queue_is_told_in_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "stats", "--data-dir", str(folder)]) == 0
    text = [" ".join(line.split()) for line in lines(capsys)]
    assert "waiting maybe open 2" in text
    assert "answered maybe yes 1" in text
    assert "answered maybe no 1" in text


def test_answers_go_out_as_lines_the_least_certain_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "export", "--data-dir", str(folder)]) == 0
    found = [json.loads(line) for line in lines(capsys)]
    assert [(each["track_id"], each["answer"], each["weight"]) for each in found[:2]] == [
        (1, "yes", 1.0),
        (2, "no", 1.0),
    ]
    audits = found[2:]
    assert audits
    # Each audited track stands for all those that the coin passed over.
    assert {(each["source"], each["answer"], each["weight"]) for each in audits} == {("audit_yes", "yes", 4.0)}
    assert found[0]["frames"][1] == {"index": 1, "time": 1000, "box": [1.0, 2.0, 31.0, 42.0], "score": 0.25}


def test_answers_go_out_as_coco_that_pycocotools_reads(folder: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    out = tmp_path / "reviewed.json"
    assert run(["review", "export", "--data-dir", str(folder), "--format", "coco", "--out", str(out)]) == 0
    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr("sys.stdout", io.StringIO())
        read = coco.COCO(str(out))
    document = json.loads(out.read_text())
    assert len(read.getCatIds()) == 1
    assert {annotation["bbox"][2] for annotation in read.loadAnns(read.getAnnIds())} == {30.0}
    assert [each["track_id"] for each in document["rejected"]] == [2, 2, 2]
    assert 2 not in {each["track_id"] for each in document["annotations"]}
    assert len({image["id"] for image in document["images"]}) == len(document["images"]) == 3


def test_a_token_is_printed_once_and_its_entry_holds_the_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "token", "anna", "--role", "review", "--role", "admin"]) == 0
    told = capsys.readouterr()
    secret = told.err.split("again: ")[1].split()[0]
    assert secret not in told.out
    assert tomllib.loads(told.out)["tokens"]["anna"]["roles"] == ["review", "admin"]
    assert run(["review", "token", 'a"b']) == 2


def test_a_folder_without_a_store_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "stats", "--data-dir", str(tmp_path)]) == 2
    assert "there is no store in it" in capsys.readouterr().err


def test_a_store_of_another_version_is_told_from_one_that_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Database(sqlite_url(tmp_path))
    upgrade(store, "0004")
    store.close()
    for command in (["review", "stats", "--data-dir"], ["tune", "--out", "-", "--reviews"]):
        assert run([*command, str(tmp_path)]) == 2
        assert "its tables are revision 0004, here " in capsys.readouterr().err


def test_gold_cases_are_made_and_reviewers_are_told_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(sqlite_url(folder))
    with store.read() as connection:
        answered = [case for case in list_cases(connection) if case.answer is Answer.NO]
    store.close()
    assert run(["review", "gold", "list", "--data-dir", str(folder)]) == 0
    assert "there are no gold cases yet; make one: " in capsys.readouterr().err
    assert run(["review", "gold", "add", answered[0].id, "--data-dir", str(folder)]) == 0
    (name,) = lines(capsys)
    assert run(["review", "gold", "list", "--data-dir", str(folder)]) == 0
    (line,) = lines(capsys)
    assert line.split()[:2] == [name, "no"]
    assert run(["review", "stats", "--data-dir", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (anna,) = told["reviewers"]
    assert (anna["name"], anna["gold_right"], anna["gold_wrong"]) == ("anna", 0, 0)
    assert anna["votes"] == sum(each["count"] for each in told["answers"])
    assert told["waiting"] == 2
    assert run(["review", "gold", "add", "0" * 32, "--data-dir", str(folder)]) == 1
    assert "there is no case" in capsys.readouterr().err
