"""From the store to what is told: windows, classes, counters, and who tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import event, update

from tertium_server.quality import audit, leading, truths
from tertium_server.quality.department import QualityDepartment, read_book
from tertium_server.quality.instruments import series
from tertium_server.quality.truths import BoxCounts, TruthFrame
from tertium_server.quality.values import ALL, MICROS, Method, Window
from tertium_server.review.office import ReviewOffice
from tertium_server.review.values import Answer, Booking, Source, Stratum, Verdict
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import START, Clock, booking, id_of, office, terms
from tests.review.test_frame_audits import audit as audit_of_frame

HOUR = 3600 * MICROS


def department(store: Database, clock: Clock, *classes: str) -> QualityDepartment:
    return QualityDepartment(store, classes or ("person",), clock=clock)


def track(number: int, stratum: Stratum, pi: float = 1.0, **changes: object) -> Booking:
    return booking(number, stratum, rules=terms(audit_yes=pi, audit_no=pi), **changes)


def answer(store: Database, decided: Booking, said: Answer | None, verdict: Verdict | None = None) -> None:
    """As voting leaves a case that was answered."""
    values = {"answer": said and said.value, "state": "closed" if said else "open"}
    if verdict is not None:
        values["verdict"] = verdict.value
    with store.write() as connection:
        connection.execute(update(review.cases).where(review.cases.c.id == id_of(decided.decision)).values(**values))


def fill(store: Database, clock: Clock) -> None:
    """100 YES and 100 NO, each audited for certain, 90 and 5 of them real; 20 maybes, 12 real, 3 of the others past their deadline."""
    desk = office(store, clock)
    tracks = [track(number, Stratum.AUTO_YES) for number in range(100)]
    tracks += [track(number, Stratum.AUTO_NO) for number in range(100, 200)]
    tracks += [track(number, Stratum.MAYBE) for number in range(200, 220)]
    desk.book(tracks)
    for place, each in enumerate(tracks):
        if place < 200:
            answer(store, each, Answer.YES if place < 90 or 100 <= place < 105 else Answer.NO)
        elif place < 217:
            answer(store, each, Answer.YES if place < 212 else Answer.NO)
        else:
            answer(store, each, None, Verdict.YES)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def samples(made: QualityDepartment) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in made.metrics.collect()
        for sample in family.samples
    }


def test_estimates_are_those_of_what_the_store_holds(store: Database, clock: Clock) -> None:
    fill(store, clock)
    clock.pass_by(60)
    made = department(store, clock)
    made.refresh()
    book = made.metrics.book
    assert book is not None
    tally = book.tallies["person", Window.HOUR]
    assert (tally.auto_yes.population, tally.auto_yes.yes.count, tally.auto_yes.no.count) == (100, 90, 10)
    assert (tally.auto_no.population, tally.auto_no.yes.count, tally.auto_no.no.count) == (100, 5, 95)
    assert (tally.maybe.population, tally.maybe.yes.count, tally.maybe.no.count) == (20, 12, 5)
    assert tally.maybe.unanswered_yes == 3
    assert tally.auto_yes.probability == pytest.approx(95.0)
    told = samples(made)
    for window in Window:
        for name in ("person", ALL):
            expected = audit.estimate(book.tallies[name, window])
            assert told["tertium_precision_estimate_ratio", (name, window.value, "audit")] == expected.precision.value
            assert told["tertium_recall_estimate_ratio", (name, window.value, "audit")] == expected.recall.value
    # 90 + 12 + 3 · 12/17 of 112 + 3 hold rightly.
    assert book.estimates["person", Window.HOUR, Method.AUDIT].precision.value == pytest.approx(
        (102 + 36 / 17) / (112 + 3)
    )
    # 95 + 0.4 · 20 of what the probabilities promise.
    calibrated = book.estimates["person", Window.HOUR, Method.CALIBRATED]
    assert calibrated.precision.value == pytest.approx((95 + 8) / (100 + 17 * 0.4 + 3))
    assert calibrated.recall.value == pytest.approx((95 + 8) / (95 + 8 + 5))
    assert math.isnan(told["tertium_precision_estimate_ratio", ("other", "1h", "audit")])
    assert told["tertium_estimate_updated_timestamp_seconds", ()] == clock.now / MICROS


def test_decisions_count_in_the_windows_of_their_own_time_whenever_they_are_answered(
    file_store: Database, clock: Clock
) -> None:
    desk = office(file_store, clock)
    old = [track(number, Stratum.AUTO_YES, decided_at=START - 30 * HOUR) for number in range(40)]
    new = [track(number, Stratum.AUTO_YES, decided_at=START - HOUR // 4) for number in range(40, 80)]
    ancient = [track(number, Stratum.AUTO_YES, decided_at=START - 8 * 24 * HOUR) for number in range(80, 90)]
    desk.book(old + new + ancient)
    for each in [*old, *ancient]:
        answer(file_store, each, Answer.NO)
    for each in new:
        answer(file_store, each, Answer.YES)
    made = department(file_store, clock)
    made.refresh()
    assert made.metrics.book is not None
    value = {window: made.metrics.book.estimates[ALL, window, Method.AUDIT].precision.value for window in Window}
    assert value == {Window.HOUR: 1.0, Window.DAY: 1.0, Window.WEEK: 0.5}


def vote(desk: ReviewOffice, reviewer: str, *, real: Callable[[int], bool]) -> int:
    """Has somebody answer all that waits for them; how many cases that was."""
    count = 0
    while leases := desk.lease(reviewer, 16):
        for lease in leases:
            said = Answer.YES if real(lease.case.track_id) else Answer.NO
            desk.vote(lease.case.id, reviewer, lease.token, said)
        count += len(leases)
    return count


def test_where_nobody_gives_second_votes_what_is_wrong_is_seen_all_the_same(store: Database, clock: Clock) -> None:
    desk, made = office(store, clock), department(store, clock)
    checked = replace(terms(audit_yes=1.0, audit_no=1.0), double_check_yes=True)
    tracks = [track(number, Stratum.AUTO_YES) for number in range(50)]
    tracks += [track(number, Stratum.AUTO_NO) for number in range(50, 100)]
    tracks += [booking(number, Stratum.MAYBE, rules=checked) for number in range(100, 120)]
    desk.book(tracks)
    clock.pass_by(60)
    assert vote(desk, "anna", real=lambda number: number % 10 < 7) == 120
    made.refresh()
    assert made.metrics.book is not None
    tally = made.metrics.book.tallies["person", Window.HOUR]
    assert (tally.auto_yes.yes.count, tally.auto_yes.no.count) == (35, 15)
    assert (tally.auto_no.yes.count, tally.auto_no.no.count) == (35, 15)
    assert (tally.maybe.yes.count, tally.maybe.no.count, tally.maybe.lone_yes.count) == (0, 6, 14)
    told = made.metrics.book.estimates["person", Window.HOUR, Method.AUDIT]
    assert told.precision.value == pytest.approx(35 / 50)
    assert told.recall.value == pytest.approx(35 / (35 + 35 + 14))
    # Somebody else sees the cases that wait, and finds everything real: where the two contradict each other, nobody can tell.
    assert vote(desk, "bert", real=lambda _: True) == 15 + 35 + 14
    made.refresh()
    tally = made.metrics.book.tallies["person", Window.HOUR]
    assert (tally.auto_yes.yes.count, tally.auto_yes.no.count, tally.auto_yes.cannot_tell.count) == (35, 0, 15)
    assert (tally.auto_no.yes.count, tally.auto_no.no.count, tally.auto_no.cannot_tell.count) == (35, 15, 0)
    assert (tally.maybe.yes.count, tally.maybe.no.count, tally.maybe.lone_yes.count) == (14, 6, 0)
    # A third breaks the ties.
    assert vote(desk, "carl", real=lambda _: False) == 15
    made.refresh()
    tally = made.metrics.book.tallies["person", Window.HOUR]
    assert (tally.auto_yes.yes.count, tally.auto_yes.no.count, tally.auto_yes.cannot_tell.count) == (35, 15, 0)
    counted = samples(made)
    assert counted["tertium_reviewed_total", ("person", "auto_yes", "fp")] == 15
    assert counted["tertium_reviewed_total", ("person", "auto_yes", "tp")] == 35


def test_counters_count_each_track_once_and_never_fall(store: Database, clock: Clock) -> None:
    made = department(store, clock)
    made.refresh()
    told = samples(made)
    reviewed = {key: value for key, value in told.items() if key[0].startswith(("tertium_reviewed", "tertium_audit"))}
    assert len(reviewed) == 2 * 3 * (5 + 5 + 1 + 1)
    assert set(reviewed.values()) == {0.0}
    desk = office(store, clock)
    yes = [track(number, Stratum.AUTO_YES, 0.5, decided_at=START) for number in range(100)]
    opened = set(desk.book(yes))
    desk.book(yes)
    made.refresh()
    assert samples(made)["tertium_audit_population_total", ("person", "auto_yes")] == 100
    audited = [each for each in yes if id_of(each.decision) in opened]
    for each in audited:
        answer(store, each, Answer.YES)
    for _ in range(2):
        made.refresh()
    told = samples(made)
    assert told["tertium_reviewed_total", ("person", "auto_yes", "tp")] == len(audited)
    assert told["tertium_reviewed_weight_total", ("person", "auto_yes", "tp")] == 2 * len(audited)
    assert told["tertium_reviewed_weight_squared_total", ("person", "auto_yes")] == 4 * len(audited)
    # A vote is taken back, and cast otherwise.
    answer(store, audited[0], None)
    made.refresh()
    answer(store, audited[0], Answer.NO)
    answer(store, audited[1], Answer.CANNOT_TELL)
    made.refresh()
    told = samples(made)
    assert told["tertium_reviewed_total", ("person", "auto_yes", "tp")] == len(audited)
    assert told["tertium_reviewed_total", ("person", "auto_yes", "fp")] == 1
    assert told["tertium_reviewed_total", ("person", "auto_yes", "cannot_tell")] == 1
    # A week later all this is out of the windows, and still counted.
    clock.pass_by(8 * 86_400)
    made.refresh()
    assert samples(made)["tertium_reviewed_total", ("person", "auto_yes", "tp")] == len(audited)


def test_whole_frames_are_no_tracks(file_store: Database, clock: Clock) -> None:
    fill(file_store, clock)
    clock.pass_by(1)
    alone = read_book(file_store, ("person",), clock.now)
    office(file_store, clock).book_frame(audit_of_frame())
    with file_store.write() as connection:
        of_frames = review.cases.c.source == Source.FRAME_AUDIT.value
        connection.execute(update(review.cases).where(of_frames).values(answer="no", state="closed"))
    assert read_book(file_store, ("person",), clock.now).tallies == alone.tallies


def test_what_a_round_has_counted_before_it_failed_is_counted(
    file_store: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = department(file_store, clock)
    made.refresh()
    clock.pass_by(1)
    fill(file_store, clock)
    with monkeypatch.context() as failing:
        failing.setattr(truths, "read_frame_audits", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.refresh()
    made.refresh()
    assert samples(made)["tertium_audit_population_total", ("person", "auto_yes")] == 100
    assert samples(made)["tertium_reviewed_total", ("person", "auto_yes", "tp")] == 90


def test_a_server_that_starts_counts_only_what_comes_from_then_on(file_store: Database, clock: Clock) -> None:
    fill(file_store, clock)
    clock.pass_by(1)
    made = department(file_store, clock)
    late = [track(number, Stratum.AUTO_NO, decided_at=clock.now) for number in range(500, 510)]
    office(file_store, clock).book(late)  # before the first refresh, after the start
    made.refresh()
    told = samples(made)
    assert told["tertium_audit_population_total", ("person", "auto_no")] == 10
    assert told["tertium_reviewed_total", ("person", "auto_yes", "tp")] == 0


def test_one_process_tells_and_another_takes_over_when_it_is_gone(store: Database, clock: Clock) -> None:
    fill(store, clock)
    first, second = department(store, clock), department(store, clock)
    for _ in range(2):
        first.refresh()
        second.refresh()
    assert first.metrics.book is not None
    assert second.metrics.book is None
    assert not [key for key in samples(second) if "estimate" in key[0]]
    clock.pass_by(46)
    second.refresh()
    first.refresh()
    assert second.metrics.book is not None
    assert first.metrics.book is None
    assert samples(second)["tertium_reviewed_total", ("person", "auto_yes", "tp")] == 0


def test_containers_of_one_host_do_not_take_each_other_for_gone(
    file_store: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the host's network they have its name, and each has a process 1."""
    leaders = []
    for container in ("one", "two"):
        monkeypatch.setattr(Path, "readlink", lambda _, name=container: Path(f"pid:[{name}]"))
        monkeypatch.setattr(leading, "_PROCESS", container)
        leaders.append(leading.Leadership(file_store, "work", seconds=45.0, clock=clock))
    assert [each.hold() for each in leaders] == [True, False]
    clock.pass_by(46)
    assert [each.hold() for each in reversed(leaders)] == [True, False]


def test_a_process_whose_number_another_has_now_is_gone(
    file_store: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaders = []
    for process in ("former", "present"):
        monkeypatch.setattr(leading, "_PROCESS", process)
        leaders.append(leading.Leadership(file_store, "work", seconds=45.0, clock=clock))
    assert [each.hold() for each in leaders] == [True, True]


def test_a_process_that_stops_leaves_the_telling_to_the_next(file_store: Database, clock: Clock) -> None:
    first = department(file_store, clock)
    first.start()
    first.stop(10)
    second = department(file_store, clock)
    second.refresh()
    assert second.metrics.book is not None


def test_hostile_class_names_make_no_series(file_store: Database, clock: Clock) -> None:
    row = {
        "stream_group": "default", "epoch": 1, "track_id": 1, "policy_version": "1", "decided_at": START, "frame_index": 1,
        "stratum": "auto_yes", "probability": 0.9, "pi": 0.1, "chosen": False,
    }  # fmt: skip
    rows = [
        row | {"id": str(number), "class_name": f'x"\n{{{number}}}', "stream_id": f"stream {number}"}
        for number in range(10_000)
    ]
    with file_store.write() as connection:
        connection.execute(review.decisions.insert(), rows)
    made = department(file_store, clock)
    registry = CollectorRegistry()
    registry.register(made.metrics)
    made.refresh()
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert len(lines) == series(2)
    assert made.metrics.book is not None
    assert made.metrics.book.tallies["other", Window.DAY].auto_yes.population == 10_000


def test_a_scrape_asks_the_store_nothing(file_store: Database, clock: Clock) -> None:
    fill(file_store, clock)
    made = department(file_store, clock)
    made.refresh()
    asked: list[str] = []
    event.listen(file_store.engine, "before_cursor_execute", lambda _c, _u, statement, *_: asked.append(statement))
    assert samples(made)
    assert asked == []
    made.refresh()
    assert asked


def test_a_book_can_be_read_without_a_server_and_is_the_same(file_store: Database, clock: Clock) -> None:
    fill(file_store, clock)
    made = department(file_store, clock)
    made.refresh()
    assert made.metrics.book is not None
    assert repr(read_book(file_store, ("person",), clock.now).estimates) == repr(made.metrics.book.estimates)


def frames(count: int, **changes: object) -> Iterator[TruthFrame]:
    for index in range(count):
        yield replace(
            TruthFrame("gate", 1, index, START - index * MICROS, {"person": BoxCounts(tp=9, fp=1, fn=3)}),
            **changes,  # type: ignore[arg-type]
        )


def test_truth_has_windows_and_repeats_replace(store: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truths, "SCENE_FRAMES", 100)
    clock.pass_by(1)
    for again in range(2):
        with store.write() as connection:
            assert truths.keep(connection, list(frames(600)), clock.now) == 600 * again
    with store.write() as connection:
        old = list(frames(600, stream_id="old", decided_at=START - 26 * HOUR, classes={"car": BoxCounts(fn=2)}))
        truths.keep(connection, old, clock.now)
    made = department(store, clock)
    made.refresh()
    book = made.metrics.book
    assert book is not None
    day, week = book.truths[ALL, Window.DAY], book.truths[ALL, Window.WEEK]
    assert (day.frames, int(day.tp.sum()), int(day.fp.sum()), int(day.fn.sum())) == (600, 5400, 600, 1800)
    assert (week.frames, int(week.fn.sum())) == (1200, 3000)
    truth = book.estimates["person", Window.DAY, Method.TRUTH]
    assert (truth.precision.value, truth.recall.value) == pytest.approx((0.9, 0.75))
    # Another report, of the same frames: now everything is right.
    with store.write() as connection:
        truths.keep(connection, list(frames(600, classes={"person": BoxCounts(tp=10)})), clock.now + 1)
    made.refresh()
    assert made.metrics.book is not None
    assert made.metrics.book.estimates["person", Window.DAY, Method.TRUTH].precision.value == 1.0


def test_truth_is_forgotten_when_it_has_left_all_windows(file_store: Database, clock: Clock) -> None:
    with file_store.write() as connection:
        truths.keep(connection, list(frames(3, decided_at=START - 8 * 24 * HOUR)), clock.now)
        truths.keep(connection, list(frames(2, stream_id="new")), clock.now)
    department(file_store, clock).refresh()
    with file_store.read() as connection:
        assert truths.newest_report(connection)[1] == 4


def test_frames_that_people_counted_give_recall_of_all_classes_together(file_store: Database, clock: Clock) -> None:
    cases = office(file_store, clock).book([track(number, Stratum.MAYBE) for number in range(60)])
    rows = [
        {
            "case_id": case, "stream_group": "default", "decided_at": START - place * MICROS, "pi": 0.01 * (1 + place % 2),
            "shown": 4, "expected": 3.5, "yes": 3, "expected_yes": 2.8, "missed": 1 if place % 2 else None, "answered_at": START,
        }
        for place, case in enumerate(cases)
    ]  # fmt: skip
    clock.pass_by(1)
    with file_store.write() as connection:
        connection.execute(review.frame_audits.insert(), rows[:58])
    made = department(file_store, clock)
    made.refresh()
    assert made.metrics.book is not None
    assert made.metrics.book.estimates[ALL, Window.HOUR, Method.FRAME_AUDIT].recall.effective_samples == 29
    with file_store.write() as connection:
        connection.execute(review.frame_audits.insert(), rows[58:])
    made.refresh()
    told = samples(made)
    assert told["tertium_recall_estimate_ratio", (ALL, "1h", "frame_audit")] == pytest.approx(2.8 / 4.5)
    assert math.isnan(told["tertium_precision_estimate_ratio", (ALL, "1h", "frame_audit")])
    assert ("tertium_recall_estimate_ratio", ("person", "1h", "frame_audit")) not in told
