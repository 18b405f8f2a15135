"""The bridge to Label Studio: cases out once, answers in whatever gets lost, closed cases away. By real HTTP, with the real one's traps."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from tertium_server.review.blobs import Blobs
from tertium_server.review.bridges.bridge import Bridge, BridgeRules
from tertium_server.review.bridges.label_studio import LabelStudio, LabelStudioSettings
from tertium_server.review.bridges.label_studio_task import LABEL_CONFIG, MODEL_VERSION
from tertium_server.review.footage import Footage, FrameOfTrack
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.syncing import SyncMetrics
from tertium_server.review.values import Answer, Booking, DecidedBy, State, Stratum, Verdict
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import Clock, booking
from tests.review.fake_label_studio import LEGACY, PERSONAL, FakeLabelStudio
from tests.review.test_frame_audits import audit
from tests.stores import sqlite_store

FOOTAGE = Footage(tuple(FrameOfTrack(k, k, 110.0, 120.0, 150.0, 200.0, 0.25, 0.375) for k in range(3)), 640, 360)


def shown(track: int = 1, stratum: Stratum = Stratum.MAYBE, **changes: Any) -> Booking:
    made = booking(track, stratum, **changes)
    return Booking(decision=made.decision, terms=made.terms, evidence=FOOTAGE.to_json())


def picture(side: int = 100) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (9, 99, 9)).save(out, "PNG")
    return out.getvalue()


class Set:
    """An office with a bridge, worked by hand."""

    def __init__(self, store: Database, folder: Path, token: str = LEGACY) -> None:
        self.store = store
        self.clock = Clock()
        self.fake = FakeLabelStudio()
        rules = QueueRules(audit_share=0.0, gold_share=0.0)
        self.office = ReviewOffice(store, rules, targets=("label-studio",), clock=self.clock)
        self.gallery = Gallery(store, Blobs(str(folder / "blobs")))
        self.registry = CollectorRegistry()
        self.sync = SyncMetrics()
        self.registry.register(self.sync)
        self.bridge = self.make_bridge(token)

    def make_bridge(self, token: str = LEGACY) -> Bridge:
        tool = LabelStudio(LabelStudioSettings(self.fake.url, token))
        # Now, as the bridge sees it, goes by with the office's clock.
        rules = BridgeRules(poll_seconds=15.0, sweep_seconds=600.0, picture_seconds=30.0)
        return Bridge(self.office, self.gallery, tool, self.sync, rules, clock=lambda: self.clock.now / 1e6)

    def work(self, seconds: float = 0.0) -> None:
        self.clock.pass_by(seconds)
        self.bridge.work()

    def open(self, *bookings: Booking) -> list[str]:
        """Cases that have waited for their pictures."""
        cases = self.office.book(bookings or [shown()])
        self.work(31.0)
        return cases

    @property
    def task(self) -> int:
        """The only task there is."""
        (number,) = self.fake.tasks
        return number

    def failures(self, operation: str) -> float | None:
        labels = {"tool": "label-studio", "operation": operation}
        return self.registry.get_sample_value("tertium_review_sync_failures_total", labels)

    def votes(self) -> list[tuple[str, str, bool]]:
        columns = review.votes.c
        query = select(columns.reviewer, columns.answer, columns.fenced).where(columns.undone_at.is_(None))
        with self.store.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(columns.seq))]

    def close(self) -> None:
        self.bridge.stop(1.0)
        self.fake.close()


@pytest.fixture(name="site")
def make_site(tmp_path: Path) -> Iterator[Set]:
    store = sqlite_store(tmp_path)
    site = Set(store, tmp_path)
    yield site
    site.close()
    store.close()


def test_a_case_becomes_one_task_with_its_box_and_without_any_hint(site: Set) -> None:
    (case,) = site.office.book([shown(stratum=Stratum.AUTO_YES, probability=0.987654321)])
    site.gallery.take(
        case,
        [SentPicture(1, picture(), (100.0, 100.0, 200.0, 300.0)), SentPicture(2, picture(50), (0.0, 0.0, 0.0, 0.0))],
    )
    for _ in range(3):
        site.work(20.0)
    assert site.fake.imports == 1
    task = site.fake.tasks[site.task]
    (prediction,) = task["predictions"]
    (region,) = prediction["result"]
    box = [region["value"][name] for name in ("x", "y", "width", "height")]
    assert box == [10.0, 10.0, 40.0, 40.0]  # of a crop from 100, 100 to 200, 300
    assert (region["original_width"], region["original_height"]) == (100, 100)
    (project,) = site.fake.projects.values()
    assert project["model_version"] == prediction["model_version"] == MODEL_VERSION
    assert project["label_config"] == LABEL_CONFIG
    assert 0.0 <= prediction["score"] <= 0.5
    for name in ("picture", "film"):
        kind, _, data = task["data"][name].partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.format == "JPEG"
    # The verdict, the score and the source are nowhere in it, nor any pre-selected answer.
    told = json.dumps(task | {"data": task["data"] | {"picture": "", "film": ""}})
    assert all(word not in told for word in ("0.98", "audit", "auto_yes", '"choices"', "probability"))


def test_pictures_are_waited_for_but_not_for_ever(site: Set) -> None:
    site.office.book([shown()])
    site.work(5.0)
    assert site.fake.imports == 0
    site.work(26.0)
    assert site.fake.imports == 1
    with Image.open(
        io.BytesIO(base64.b64decode(site.fake.tasks[site.task]["data"]["picture"].partition(",")[2]))
    ) as sketch:
        assert sketch.size == (640, 360)


def test_a_task_whose_import_was_never_confirmed_is_found_and_not_made_again(site: Set) -> None:
    site.fake.loses_answers = 2
    (case,) = site.open()
    assert site.failures("push") == 1
    for _ in range(5):
        site.work(3700.0)
    assert site.fake.imports == 1
    site.fake.annotate(site.task, "yes")
    site.work(20.0)
    assert site.office.find(case).answer is Answer.YES


def test_a_bridge_that_was_killed_between_import_and_note_makes_no_second_task(site: Set) -> None:
    site.fake.loses_answers = 1
    (case,) = site.open()
    site.bridge.stop(1.0)
    site.bridge = site.make_bridge()
    site.work(3700.0)
    assert site.fake.imports == 1
    with site.store.read() as connection:
        kept = connection.execute(select(review.bridge_tasks.c.external_id, review.bridge_tasks.c.case_id)).one()
    assert tuple(kept) == (str(site.task), case)


def test_an_answer_is_found_by_polling_closes_its_case_and_takes_the_task_away(site: Set) -> None:
    (case,) = site.open()
    site.fake.annotate(site.task, "no")
    site.work(16.0)
    found = site.office.find(case)
    assert (found.state, found.verdict, found.decided_by) == (State.CLOSED, Verdict.NO, DecidedBy.HUMAN)
    assert site.votes() == [("label-studio:7", "no", False)]
    site.work(1.0)
    assert not site.fake.tasks
    assert site.failures("push") == site.failures("pull") == site.failures("withdraw") == 0


def test_a_vote_against_the_machine_waits_for_a_second_person_there(site: Set) -> None:
    (case,) = site.open(shown(stratum=Stratum.AUTO_YES))
    site.fake.annotate(site.task, "no", person=1)
    site.work(16.0)
    assert site.office.find(case).state is State.SECOND_REVIEW
    assert site.fake.tasks
    site.fake.annotate(site.task, "no", person=2)
    site.work(16.0)
    assert site.office.find(case).answer is Answer.NO
    assert [reviewer for reviewer, _, _ in site.votes()] == ["label-studio:1", "label-studio:2"]


def test_a_page_and_the_tool_answer_the_same_case_together(site: Set) -> None:
    (case,) = site.open(shown(stratum=Stratum.AUTO_NO))
    site.fake.annotate(site.task, "yes")
    site.work(16.0)
    (lease,) = site.office.lease("anna")
    site.office.vote(case, "anna", lease.token, Answer.YES)
    assert site.office.find(case).answer is Answer.YES
    site.work(1.0)
    assert not site.fake.tasks


def test_an_answer_on_a_case_that_somebody_has_is_kept_and_settles_nothing_by_itself(site: Set) -> None:
    (case,) = site.open()
    (lease,) = site.office.lease("anna")
    site.fake.annotate(site.task, "no")
    site.work(16.0)
    assert site.votes() == [("label-studio:7", "no", True)]
    assert site.office.find(case).state is State.OPEN
    site.office.vote(case, "anna", lease.token, Answer.NO)
    assert site.office.find(case).answer is Answer.NO


def test_changed_and_deleted_answers_change_votes_however_old(site: Set) -> None:
    (case,) = site.open(shown(stratum=Stratum.AUTO_YES))
    number = site.fake.annotate(site.task, "no")
    site.work(16.0)
    site.fake.change(site.task, number, "cannot tell")
    site.work(7200.0)
    assert site.votes() == [("label-studio:7", "cannot_tell", False)]
    site.fake.delete(site.task, number)
    site.work(16.0)
    assert site.votes() == []
    assert site.office.find(case).state is State.OPEN


def test_a_task_whose_answers_can_not_be_taken_keeps_no_other_from_being_read(site: Set) -> None:
    _, other = site.open(shown(1), shown(2))
    site.office.book_frame(audit())
    first, second = site.fake.tasks
    site.fake.tasks[first]["data"]["case_id"] = audit().case_id  # of a whole frame, on which a yes alone says nothing
    for task in (first, second):
        site.fake.annotate(task, "yes")
    site.work(16.0)
    assert [answer for _, answer, _ in site.votes()] == ["yes"]
    assert site.fake.tasks[second]["data"]["case_id"] == other
    assert site.office.find(other).state is State.CLOSED


def test_a_skipped_task_is_no_answer(site: Set) -> None:
    site.open()
    site.fake.annotate(site.task, "yes", skipped=True)
    site.work(16.0)
    assert site.votes() == []


def test_a_withdrawn_case_leaves_the_tool_and_an_answer_of_the_last_moment_is_kept(site: Set) -> None:
    (case,) = site.open(shown(stratum=Stratum.AUTO_YES))
    site.fake.annotate(site.task, "yes")
    site.office.withdraw(case)
    site.work(1.0)
    assert not site.fake.tasks
    assert [answer for _, answer, _ in site.votes()] == ["yes"]


def test_tasks_that_somebody_removed_there_come_back_and_cases_older_than_the_bridge_go_out(site: Set) -> None:
    site.office.targets = ()
    older = site.office.book([shown(5)])
    site.office.targets = ("label-studio",)
    site.work(31.0)  # compares, and finds the older one
    site.work(31.0)
    (first,) = [task["data"]["case_id"] for task in site.fake.tasks.values()]
    assert [first] == older
    site.fake.tasks.clear()
    site.work(601.0)
    site.work(31.0)
    assert [task["data"]["case_id"] for task in site.fake.tasks.values()] == older
    assert site.fake.imports == 2


def test_a_nudge_finds_a_deletion_at_once(site: Set) -> None:
    site.open(shown(stratum=Stratum.AUTO_YES))
    number = site.fake.annotate(site.task, "no")
    site.work(16.0)
    site.fake.tasks[site.task]["annotations"].clear()  # and the task's time stays as it was
    del number
    site.work(1.0)
    assert site.votes() != []
    site.bridge.nudge()
    site.work(1.0)
    assert site.votes() == []


def test_a_legacy_token_that_is_refused_is_told_with_its_remedy_and_loses_nothing(
    site: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    site.fake.takes_legacy = False
    site.open()
    assert site.failures("push") == site.failures("pull") == 1
    assert "personal access token" in capsys.readouterr().out
    site.fake.takes_legacy = True
    site.work(3700.0)
    assert site.fake.imports == 1


def test_personal_tokens_are_exchanged_for_access_again_and_again(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    site = Set(store, tmp_path, PERSONAL)
    (case,) = site.open()
    site.fake.access = "expired"  # the server knows another by now
    site.fake.annotate(site.task, "yes")
    site.work(16.0)
    assert site.office.find(case).answer is Answer.YES
    assert site.failures("pull") == 0
    site.close()
    store.close()


def test_a_tool_that_is_away_keeps_nothing_from_going_on(site: Set) -> None:
    site.fake.away = True
    cases = site.open(*(shown(k) for k in range(1, 6)))
    assert site.failures("push") == 5
    (lease,) = site.office.lease("anna")
    site.office.vote(lease.case.id, "anna", lease.token, Answer.YES)
    site.fake.away = False
    site.work(3700.0)
    assert sorted(task["data"]["case_id"] for task in site.fake.tasks.values()) == sorted(set(cases) - {lease.case.id})


def test_many_tasks_are_read_page_by_page(site: Set) -> None:
    site.office.book([shown(k) for k in range(1, 131)])
    site.work(31.0)
    for number in list(site.fake.tasks):
        site.fake.annotate(number, "yes")
    site.work(16.0)
    assert len(site.votes()) == 130


@pytest.mark.parametrize("seconds", [16.0, 601.0], ids=["polled", "compared"])
def test_answers_given_while_pages_are_read_hide_no_other(
    site: Set, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("tertium_server.review.bridges.label_studio._PAGE", 2)
    site.open(*(shown(k, Stratum.AUTO_YES) for k in range(1, 5)))
    first, *others = site.fake.tasks
    for task in (first, *others):
        site.fake.annotate(task, "no")
    more = iter([8])
    site.fake.after_page = lambda: [site.fake.annotate(first, "no", person) for person in more]
    site.work(seconds)
    assert len([who for who, *_ in site.votes() if who == "label-studio:7"]) == 4
    site.work(31.0)
    assert site.fake.imports == 4


def test_a_task_deleted_while_pages_are_read_makes_no_other_look_deleted(
    site: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertium_server.review.bridges.label_studio._PAGE", 2)
    cases = site.open(*(shown(k, Stratum.AUTO_YES) for k in range(1, 5)))
    first, _, third, _ = site.fake.tasks
    for person in (7, 8):
        site.fake.annotate(third, "no" if person == 7 else "yes", person)
    gone = iter([first])
    site.fake.after_page = lambda: [site.fake.tasks.pop(task) for task in gone]
    for _ in range(3):
        site.work(601.0)
    assert sorted(task["data"]["case_id"] for task in site.fake.tasks.values()) == sorted(cases)
    assert site.fake.imports == 5  # the deleted one came back, and no other came twice
    assert sorted(site.votes()) == [("label-studio:7", "no", False), ("label-studio:8", "yes", False)]
