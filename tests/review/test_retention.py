"""What the store lets go of, and that nobody's figures change by it. On SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, func, select, text, update

from tertium_server.cli.tune_reviews import read_answers
from tertium_server.quality.department import read_book
from tertium_server.review.blobs import Blobs
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.gallery import Gallery
from tertium_server.review.gold import add_gold
from tertium_server.review.office import ReviewOffice
from tertium_server.review.reading import decided_tracks
from tertium_server.review.retention import Retention, RetentionRules, rows_held
from tertium_server.review.values import MICROS, Answer, Booking, Stratum
from tertium_server.review.webhook import TARGET
from tertium_server.storage import Database, sqlite_url
from tertium_server.storage.migrating import upgrade
from tertium_server.storage.tables import review
from tertium_server.tuning.reviewed.cases import Reviews
from tertium_server.tuning.reviewed.weighing import weigh
from tests.review.builders import START, Clock, booking, id_of, office, terms
from tests.stores import sqlite_store

DAY = 86_400 * MICROS
STRATA = (Stratum.AUTO_YES, Stratum.AUTO_NO, Stratum.MAYBE)


def rows(store: Database, table: Any) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def answers_of(store: Database) -> Reviews:
    """What ``tertium tune --reviews`` takes from a store."""
    return read_answers(store.engine.url.render_as_string(hide_password=False), sample=True)


def world(tracks: int = 1300, days: int = 13) -> list[Booking]:
    """Tracks of two streams, two classes and two policies, of many days up to START; a tenth of the confident ones is audited."""
    rules = terms(audit_yes=0.1, audit_no=0.1, salt="s")
    return [
        booking(
            number,
            STRATA[number % 7 % 3],
            rules=rules,
            stream_id=("gate", "yard")[number % 2],
            class_name=("person", "car")[number % 5 == 0],
            policy_version=("1-a", "2-b")[number > tracks // 2],
            decided_at=START - days * DAY + number * (days * DAY // tracks),
        )
        for number in range(tracks)
    ]


def answer_all_but_some(store: Database) -> None:
    """As voting leaves cases: of every five one is open."""
    with store.write() as connection:
        names = sorted(connection.execute(select(review.cases.c.id)).scalars())
        for place, name in enumerate(names):
            if place % 5:
                values = {"answer": ("yes", "no")[place % 3 == 0], "state": "closed", "closed_at": START}
                connection.execute(update(review.cases).where(review.cases.c.id == name).values(**values))


def finish(retention: Retention) -> None:
    for _ in range(100):
        if not retention.work():
            return
    raise AssertionError("it never ends")


class TestDecidedTracks:
    def test_estimates_and_the_weights_of_answers_are_those_from_before(self, store: Database) -> None:
        clock = Clock()
        bookings = world()
        office(store, clock).book(bookings)
        answer_all_but_some(store)
        book, reviews = read_book(store, ("person", "car"), clock.now), answers_of(store)
        removed = Counter[str]()
        keep = Retention(
            store, RetentionRules(), removed=lambda table, count: removed.update({table: count}), clock=clock
        )
        finish(keep)
        old = sum(each.decision.decided_at < START - 8 * DAY for each in bookings)
        assert removed["decisions"] == old == 500
        assert rows(store, review.decisions) == len(bookings) - old
        after = read_book(store, ("person", "car"), clock.now)
        # NaN is itself in no figure that is compared as text.
        assert (repr(after.estimates), after.tallies) == (repr(book.estimates), book.tallies)
        again = answers_of(store)
        assert again.population == reviews.population
        assert sum((again.population or {}).values()) == len(bookings)
        assert (
            weigh(again.tracks, again.population).weights.tolist()
            == weigh(reviews.tracks, reviews.population).weights.tolist()
        )
        assert len(again.tracks) == len(reviews.tracks) > 100

    def test_interrupted_between_the_totals_and_the_rows_nothing_is_counted_twice(self, store: Database) -> None:
        clock = Clock()
        office(store, clock).book(world())
        clock.pass_by(30 * 86_400)
        before = answers_of(store).population
        keep = Retention(store, RetentionRules(), clock=clock)
        assert keep.work()

        def break_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("DELETE FROM decisions"):
                raise ConnectionAbortedError

        event.listen(store.engine, "before_cursor_execute", break_off)
        with pytest.raises(ConnectionAbortedError):
            keep.work()
        event.remove(store.engine, "before_cursor_execute", break_off)
        assert answers_of(store).population == before
        assert rows(store, review.decisions) == 800
        finish(keep)
        assert (rows(store, review.decisions), answers_of(store).population) == (0, before)

    def test_servers_that_share_a_store_count_each_track_once(self, store: Database) -> None:
        clock = Clock()
        bookings = world(1600)
        office(store, clock).book(bookings)
        before = answers_of(store).population
        clock.pass_by(30 * 86_400)
        failures: list[BaseException] = []

        def keep() -> None:
            try:
                finish(Retention(store, RetentionRules(), clock=clock))
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [Thread(target=keep) for _ in range(3)]
        for thread in threads:
            thread.start()
        # The path of bookings goes on meanwhile.
        office(store, clock).book([booking(9000 + number, decided_at=clock.now) for number in range(50)])
        for thread in threads:
            thread.join()
        assert failures == []
        assert rows(store, review.decisions) == 50
        with store.read() as connection:
            totals = connection.execute(select(func.sum(review.decided_totals.c.tracks))).scalar_one()
        assert totals == len(bookings)
        population = answers_of(store).population or {}
        assert {cell: count for cell, count in population.items() if cell in (before or {})} == before

    def test_a_track_that_comes_again_opens_no_second_case(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        assert len(desk.book([booking(1)])) == 1
        clock.pass_by(9 * 86_400)
        finish(Retention(store, RetentionRules(), clock=clock))
        assert rows(store, review.decisions) == 0
        # With another that is new: one must not take the other with it.
        assert desk.book([booking(1), booking(2)]) == [id_of(booking(2).decision)]
        assert (rows(store, review.cases), rows(store, review.evidence)) == (2, 2)

    def test_a_store_of_an_older_version_gives_its_rows_up_too(self, store_url: str) -> None:
        store = Database(store_url)
        upgrade(store, "0004")
        office(store).book(world())
        with store.read() as connection:
            kind = ("stream_id", "epoch", "class_name", "stratum", "policy_version")
            columns = [review.decisions.c[name] for name in kind]
            query = select(*columns, func.count()).group_by(*columns)
            old = {tuple(kind): count for *kind, count in connection.execute(query)}
        upgrade(store)
        clock = Clock()
        clock.pass_by(30 * 86_400)
        finish(Retention(store, RetentionRules(), clock=clock))
        with store.read() as connection:
            found = {
                (each.stream_id, each.epoch, each.class_name, each.stratum, each.policy_version): each.count
                for each in decided_tracks(connection)
            }
        assert (found, rows(store, review.decisions)) == (old, 0)
        store.close()

    def test_rows_are_counted_by_the_databases_own_estimate(self, store: Database) -> None:
        with store.read() as connection:
            assert set(rows_held(connection).values()) == {0}
        office(store).book([booking(number) for number in range(30)])
        with store.write() as connection:
            connection.execute(text("ANALYZE"))
        with store.read() as connection:
            held = rows_held(connection)
        assert held == {"decisions": 30, "decided_totals": 0, "cases": 30, "answers": 0, "outbox": 0}


class TestEvents:
    def test_what_was_sent_goes_and_what_waits_stays(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        desk.targets = (TARGET, "label-studio")
        desk.book([booking(number) for number in range(6)])
        now = clock.now
        fates = [
            {"sent_at": now},
            {"given_up_at": now},
            {},
            {"sent_at": now + 5 * DAY},
            {"next_at": now + 20 * DAY},
            {"sent_at": now},
        ]
        with store.write() as connection:
            numbers = (
                connection.execute(
                    select(review.outbox.c.seq).where(review.outbox.c.target == TARGET).order_by(review.outbox.c.seq)
                )
                .scalars()
                .all()
            )
            for number, fate in zip(numbers, fates, strict=True):
                if fate:
                    connection.execute(update(review.outbox).where(review.outbox.c.seq == number).values(**fate))
        clock.pass_by(9 * 86_400)
        finish(Retention(store, RetentionRules(), desk.targets, clock=clock))
        with store.read() as connection:
            left = connection.execute(select(review.outbox.c.seq).where(review.outbox.c.target == TARGET)).scalars()
            assert set(left) == {numbers[2], numbers[3], numbers[4]}
        # Nothing of the other's was sent.
        assert rows(store, review.outbox) == 3 + 6


class TestCases:
    @staticmethod
    def answer(desk: ReviewOffice, name: str) -> None:
        desk.vote_elsewhere(name, "ann", Answer.YES, origin="page")

    @staticmethod
    def show(store: Database, with_picture: str, with_task: str) -> None:
        picture = {
            "case_id": with_picture, "frame_index": 1, "key": "a picture", "media_type": "image/png", "width": 1, "height": 1,
            "bytes": 1, "crop": [], "stored_at": START,
        }  # fmt: skip
        task = {"bridge": "label-studio", "case_id": with_task, "external_id": "1", "pushed_at": START}
        with store.write() as connection:
            connection.execute(review.pictures.insert().values(picture))
            connection.execute(review.bridge_tasks.insert().values(task))

    def test_they_stay_for_good_unless_the_operator_says_otherwise(self, store: Database) -> None:
        clock = Clock()
        office(store, clock).book([booking(1)])
        answer_all_but_some(store)
        with store.write() as connection:
            connection.execute(update(review.cases).values(state="closed", closed_at=START))
        clock.pass_by(3650 * 86_400)
        finish(Retention(store, RetentionRules(), clock=clock))
        assert rows(store, review.cases) == 1

    def test_closed_ones_go_with_all_that_hangs_on_them_and_those_still_wanted_stay(
        self, store: Database, tmp_path: Path
    ) -> None:
        clock = Clock()
        desk = office(store, clock)
        names = desk.book([booking(number) for number in range(7)])
        closed, open_, untold, elsewhere, copied, late, withdrawn = names
        for name in (closed, untold, elsewhere, copied):
            self.answer(desk, name)
        desk.withdraw(withdrawn)
        desk.mark_delivered([each.seq for each in desk.undelivered(["gate"]) if each.case_id != untold], 7, 100)
        self.show(store, closed, elsewhere)
        gold, _ = add_gold(store, Gallery(store, Blobs(str(tmp_path / "evidence"))), copied, None, clock.now)
        clock.pass_by(20 * 86_400)
        self.answer(desk, late)
        desk.mark_delivered([each.seq for each in desk.undelivered(["gate"]) if each.case_id == late], 7, 100)
        clock.pass_by(15 * 86_400)
        finish(Retention(store, RetentionRules(case_days=30.0), clock=clock))
        with store.read() as connection:
            assert set(connection.execute(select(review.cases.c.id)).scalars()) == {
                open_,
                untold,
                elsewhere,
                copied,
                late,
                gold,
            }
            assert list(connection.execute(select(review.blob_deletions.c.key)).scalars()) == ["a picture"]
            for table in (review.votes, review.answers, review.pictures, review.evidence):
                assert closed not in set(connection.execute(select(table.c.case_id)).scalars())
        assert [each.case_id for each in desk.undelivered(["gate"])] == [untold]

    def test_answers_that_are_left_are_a_sample_of_the_tracks_that_are_counted(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        # Ten tracks on each of five days; of each day, half are answered at once and a tenth only now.
        days = [[booking(10 * day + k, decided_at=START + day * 10 * DAY) for k in range(10)] for day in range(5)]
        for bookings in days:
            names = desk.book(bookings)
            for name in names[:5]:
                self.answer(desk, name)
            clock.pass_by(10 * 86_400)
        for bookings in days:
            self.answer(desk, id_of(bookings[9].decision))
        desk.mark_delivered([each.seq for each in desk.undelivered(["gate"])], 7, 100)
        keep = Retention(store, RetentionRules(case_days=30.0), clock=clock)
        for _ in range(6):
            keep.work()
        reviews = answers_of(store)
        # The third day is that of 30 days ago: some of its cases may be gone.
        wanted = {id_of(each.decision) for bookings in days[3:] for each in (*bookings[:5], bookings[9])}
        assert {track.case_id for track in reviews.tracks} == wanted
        assert list((reviews.population or {}).values()) == [20]
        assert weigh(reviews.tracks, reviews.population).weights.tolist() == pytest.approx([20 / 12] * 12)
        with store.read() as connection:
            left = set(connection.execute(select(review.cases.c.id)).scalars())
        assert left == {id_of(each.decision) for bookings in days for each in bookings[5:]} | wanted | {
            id_of(each.decision) for each in days[2][:5]
        }


def test_room_in_a_file_is_used_again(tmp_path: Path) -> None:
    store, clock = sqlite_store(tmp_path), Clock()
    desk = office(store, clock)
    sizes = []
    for week in range(4):
        tracks = range(1500 * week, 1500 * (week + 1))
        rules = terms(audit_yes=1e-9)
        desk.book([booking(each, Stratum.AUTO_YES, rules=rules, decided_at=clock.now) for each in tracks])
        clock.pass_by(9 * 86_400)
        finish(Retention(store, RetentionRules(), clock=clock))
        with store.read() as connection:
            sizes.append(connection.execute(text("PRAGMA page_count")).scalar_one())
            assert rows_held(connection) == {
                "decisions": 0,
                "decided_totals": week + 1,
                "cases": 0,
                "answers": 0,
                "outbox": 0,
            }
    assert sizes[-1] < 1.1 * sizes[0]
    store.close()


def test_a_server_does_it_by_itself_and_counts_what_is_gone(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    office(store).book(world(600))
    store.close()
    department = ReviewDepartment(
        ReviewSettings(store_url=sqlite_url(tmp_path), spool_folder=tmp_path / "spool", evidence_url=str(tmp_path))
    )
    registry = CollectorRegistry()
    registry.register(department.metrics)
    department.clerk.work()
    assert registry.get_sample_value("tertium_review_rows", {"table": "decisions"}) == 600
    assert registry.get_sample_value("tertium_review_rows_removed_total", {"table": "decisions"}) == 500
    department.clerk.work()
    assert registry.get_sample_value("tertium_review_rows_removed_total", {"table": "decisions"}) == 600
    assert registry.get_sample_value("tertium_review_rows_removed_total", {"table": "cases"}) == 0
    department.store.close()
