"""The clerk and its spool: what becomes of cases while the store is away."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from tertium_server.review.clerk import Clerk
from tertium_server.review.office import ReviewOffice
from tertium_server.review.spool import Spool
from tertium_server.review.values import Booking, Stratum
from tertium_server.storage import Database, StoreUnavailableError
from tertium_server.storage.tables import review
from tests.review.builders import booking, id_of, office
from tests.servers import wait_until
from tests.stores import sqlite_store


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    store = sqlite_store(tmp_path)
    yield store
    store.close()


class Away(ReviewOffice):
    """An office whose store goes away and comes back."""

    away = False

    def book(self, bookings: object) -> list[str]:
        if self.away:
            raise StoreUnavailableError("gone")
        return super().book(bookings)  # type: ignore[arg-type]


def away_office(store: Database) -> Away:
    desk = office(store)
    return Away(store, desk.rules, clock=desk.clock)


def cases(store: Database) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(review.cases)).scalar_one()


def big(track: int) -> Booking:
    made = booking(track)
    return Booking(decision=made.decision, terms=made.terms, evidence={"frames": ["x" * 1000]})


def test_bookings_of_many_threads_are_all_in_the_store(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    clerk.start()

    def submit(first: int) -> None:
        for track in range(first, first + 200):
            clerk.submit(booking(track))

    threads = [threading.Thread(target=submit, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clerk.stop(60)
    assert cases(sqlite) == 800


def test_while_the_store_is_away_cases_wait_on_the_disk_and_are_booked_when_it_is_back(
    sqlite: Database, tmp_path: Path
) -> None:
    desk = away_office(sqlite)
    desk.away = True
    clerk = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    for track in range(10):
        clerk.submit(booking(track))
    clerk.work()
    assert clerk.state.away
    assert (clerk.state.waiting, clerk.state.spooled, clerk.state.lost) == (0, 10, 0)
    # The process dies here; another one finds what waits.
    desk.away = False
    heir = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    assert heir.state.spooled == 10
    heir.work()
    assert (heir.state.spooled, heir.state.away) == (0, False)
    assert cases(sqlite) == 10


def test_the_same_case_from_the_spool_and_from_a_replay_is_one(sqlite: Database, tmp_path: Path) -> None:
    desk = away_office(sqlite)
    clerk = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    desk.away = True
    clerk.submit(booking(1))
    clerk.work()
    desk.away = False
    Clerk(desk, Spool(tmp_path / "other", 1 << 20)).submit(booking(1))
    desk.book([booking(1)])
    heir = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    heir.work()
    assert cases(sqlite) == 1


def test_the_spool_is_bounded_and_what_finds_no_room_is_counted(sqlite: Database, tmp_path: Path) -> None:
    desk = away_office(sqlite)
    desk.away = True
    clerk = Clerk(desk, Spool(tmp_path / "spool", 4000), most_waiting=0)
    for track in range(10):
        clerk.submit(big(track))
    assert clerk.state.spooled + clerk.state.lost == 10
    assert 0 < clerk.state.spooled < 4
    assert sum(file.stat().st_size for file in (tmp_path / "spool").iterdir()) <= 4000


def test_stopping_while_the_store_is_away_leaves_all_on_the_disk(sqlite: Database, tmp_path: Path) -> None:
    desk = away_office(sqlite)
    desk.away = True
    clerk = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    clerk.start()
    clerk.submit(booking(1))
    assert clerk.stop(60)
    assert Spool(tmp_path / "spool", 1 << 20).bookings == 1


def test_what_the_spool_gives_back_is_what_it_was_given(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    batch = [big(1), booking(2, Stratum.AUTO_NO, stream_id="\u00fc \U0001f4f7", track_id=2**62)]
    assert spool.put(batch)
    found = spool.oldest()
    assert found is not None
    assert found[1] == batch


def test_a_batch_that_another_process_books_while_room_is_looked_for_costs_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    (tmp_path / "1-2.json").symlink_to(tmp_path / "booked")  # listed, and gone when it is looked at
    assert spool.put([booking(1)])


def test_a_batch_that_another_process_has_just_finished_stops_no_start(tmp_path: Path) -> None:
    (tmp_path / ".1-2.json").symlink_to(tmp_path / "renamed")  # listed, and gone when it is looked at
    assert Spool(tmp_path, 1 << 20).bookings == 0


def test_a_damaged_batch_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    spool.put([booking(1)])
    spool.put([booking(2)])
    first = min(tmp_path.glob("*.json"))
    first.write_bytes(first.read_bytes()[:20])
    again = Spool(tmp_path, 1 << 20)
    found = again.oldest()
    assert found is not None
    assert found[1] == [booking(2)]
    assert [file.suffix for file in sorted(tmp_path.iterdir())] == [".damaged", ".json"]


def test_one_booking_that_the_store_refuses_takes_no_other_with_it(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    clerk.submit(booking(1))
    clerk.submit(booking(2, track_id=2**70))
    clerk.submit(booking(3))
    clerk.work()
    assert cases(sqlite) == 2
    assert clerk.state.lost == 1


def test_a_booking_that_the_store_refuses_when_it_is_back_holds_up_none(sqlite: Database, tmp_path: Path) -> None:
    desk = away_office(sqlite)
    desk.away = True
    clerk = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    for made in (booking(1), booking(2, track_id=2**70), booking(3)):
        clerk.submit(made)
    clerk.work()
    assert clerk.state.spooled == 3
    desk.away = False
    later = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    told: list[str] = []
    for made in (booking(4), booking(5, track_id=2**70)):
        later.submit(made, told.append)
    later.work()
    assert cases(sqlite) == 3
    assert (later.state.waiting, later.state.spooled, later.state.lost) == (0, 0, 2)
    assert told == [id_of(booking(4).decision)]


def test_an_errand_that_fails_holds_up_neither_others_nor_chores(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    done: list[str] = []
    clerk.add_chore(lambda: done.append("chore"))
    clerk.ask(lambda: 1 // len(done))
    clerk.ask(lambda: done.append("errand"))
    clerk.work()
    assert done == ["errand", "chore"]


def test_an_errand_that_finds_the_store_away_is_done_when_it_is_back(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("tertium_server.review.clerk.time", SimpleNamespace(monotonic=lambda: now[0]))
    desk = away_office(sqlite)
    desk.away = True
    clerk = Clerk(desk, Spool(tmp_path / "spool", 1 << 20))
    done: list[str] = []
    clerk.ask(lambda: done.extend(desk.book([booking(1)])))
    clerk.ask(lambda: done.append("next"))
    clerk.work()
    assert done == []
    desk.away = False
    now[0] += 60.0
    clerk.work()
    assert done == [id_of(booking(1).decision), "next"]


def test_chores_are_done_and_one_that_fails_is_tried_again(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    done = list[int]()

    def chore() -> None:
        done.append(len(done))
        if len(done) == 1:
            raise ValueError("for once")

    clerk.add_chore(chore)
    clerk.start()
    clerk.nudge()
    wait_until(lambda: len(done) >= 2, "the chore to be done again")
    assert clerk.stop(60)


def test_bookings_do_not_set_off_chores_but_a_nudge_does(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("tertium_server.review.clerk.time", SimpleNamespace(monotonic=lambda: now[0]))
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    constant, rare = list[float](), list[float]()
    clerk.add_chore(lambda: constant.append(now[0]))
    clerk.add_chore(lambda: rare.append(now[0]), every=5.0)
    for moment, track in ((100.0, 1), (100.1, 2), (100.2, 3)):
        now[0] = moment
        clerk.submit(booking(track))
        clerk.work()
    assert cases(sqlite) == 3
    assert constant == rare == [100.0]
    clerk.nudge()
    clerk.work()
    clerk.work()
    assert (constant, rare) == ([100.0, 100.2], [100.0])
    now[0] = 101.0
    clerk.work()
    assert (constant, rare) == ([100.0, 100.2, 101.0], [100.0])
    now[0] = 105.0
    clerk.work()
    assert rare == [100.0, 105.0]


def test_a_chore_that_leaves_some_of_it_goes_on_with_the_next_bookings(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    left = [True, True, False]
    clerk.add_chore(lambda: left.pop(0), every=3600.0)
    for number in range(6):
        clerk.submit(booking(number))
        clerk.work()
    assert (left, cases(sqlite)) == ([], 6)


def test_the_clerk_may_rest_after_every_hundred_bookings(sqlite: Database, tmp_path: Path) -> None:
    clerk = Clerk(office(sqlite), Spool(tmp_path / "spool", 1 << 20))
    for track in range(250):
        clerk.submit(booking(track))
    booked: list[int] = []
    clerk.work(lambda: booked.append(cases(sqlite)))
    assert booked == [100, 200, 250]
