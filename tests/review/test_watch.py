"""Which tracks become decisions, and when."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from tertium_server.review.values import Stratum, Verdict
from tertium_server.review.watch import Decided, TrackNews, TrackWatch

SECOND = 1_000_000_000
MAYBE, YES, NO = Verdict.MAYBE, Verdict.YES, Verdict.NO


def news(seconds: float, verdict: Verdict, *, track: int = 1, ended: bool = False, **changes: Any) -> TrackNews:
    values: dict[str, Any] = {
        "track_id": track,
        "class_id": 0,
        "frame_index": round(seconds * 10),
        "first_frame": 0,
        "time": round(seconds * SECOND),
        "verdict": verdict,
        "ended": ended,
        "probability": 0.5,
        "policy_version": "0",
    }
    return TrackNews(**(values | changes))


def watch(seconds: float = 2.0) -> TrackWatch:
    return TrackWatch(lambda _class_id: seconds)


def told(decided: list[Decided]) -> list[tuple[int, Stratum]]:
    return [(each.news.track_id, each.stratum) for each in decided]


def test_a_track_that_stays_maybe_is_decided_when_its_time_has_come() -> None:
    tracks = watch(2.0)
    assert tracks.take(news(1, MAYBE)) == []
    assert tracks.waiting
    assert tracks.advance(3 * SECOND - 1) == []
    assert told(tracks.advance(3 * SECOND)) == [(1, Stratum.MAYBE)]
    assert tracks.advance(9 * SECOND) == []
    assert not tracks.waiting


def test_a_track_that_makes_up_its_mind_in_time_is_no_case() -> None:
    tracks = watch(2.0)
    tracks.take(news(1, MAYBE))
    assert tracks.take(news(2.9, YES)) == []
    assert tracks.advance(100 * SECOND) == []
    assert told(tracks.take(news(120, YES, ended=True))) == [(1, Stratum.AUTO_YES)]


def test_what_was_due_before_news_comes_first_however_late_anybody_looks() -> None:
    tracks = watch(2.0)
    tracks.take(news(1, MAYBE))
    assert told(tracks.take(news(50, YES))) == [(1, Stratum.MAYBE)]


def test_a_spell_that_was_interrupted_starts_anew() -> None:
    tracks = watch(2.0)
    tracks.take(news(1, MAYBE))
    tracks.take(news(2, YES))
    tracks.take(news(2.5, MAYBE))
    assert tracks.advance(round(4.4 * SECOND)) == []
    assert told(tracks.advance(round(4.5 * SECOND))) == [(1, Stratum.MAYBE)]


def test_the_end_decides_at_once() -> None:
    tracks = watch(60)
    for track, verdict in enumerate((MAYBE, YES, NO)):
        tracks.take(news(1, MAYBE, track=track))
        assert told(tracks.take(news(1.5, verdict, track=track, ended=True))) == [(track, Stratum.of(verdict))]


def test_a_track_is_decided_once() -> None:
    tracks = watch(1)
    tracks.take(news(0, MAYBE))
    assert len(tracks.advance(SECOND)) == 1
    assert tracks.take(news(2, YES)) == []
    assert tracks.take(news(3, MAYBE)) == []
    assert tracks.advance(90 * SECOND) == []
    assert tracks.take(news(91, MAYBE, ended=True)) == []


def test_a_number_that_the_caller_uses_again_is_another_track() -> None:
    tracks = watch(1)
    assert told(tracks.take(news(1, YES, ended=True))) == [(1, Stratum.AUTO_YES)]
    assert told(tracks.take(news(2, NO, ended=True, first_frame=15))) == [(1, Stratum.AUTO_NO)]


def test_classes_have_times_of_their_own() -> None:
    tracks = TrackWatch({0: 1.0, 1: 5.0}.__getitem__)
    tracks.take(news(0, MAYBE, track=1, class_id=0))
    tracks.take(news(0, MAYBE, track=2, class_id=1))
    assert told(tracks.advance(1 * SECOND)) == [(1, Stratum.MAYBE)]
    assert told(tracks.advance(5 * SECOND)) == [(2, Stratum.MAYBE)]


HAPPENINGS = some.lists(
    some.tuples(some.integers(0, 3), some.sampled_from([MAYBE, YES, NO]), some.booleans()), max_size=30
)


@given(HAPPENINGS, some.sets(some.integers(0, 300), max_size=40))
def test_looking_more_often_changes_nothing(happenings: list[tuple[int, Verdict, bool]], looks: set[int]) -> None:
    # What is decided depends on capture times alone, not on when the watch was asked.
    def play(moments: set[int]) -> list[tuple[int, int, Stratum]]:
        tracks, found = watch(1.5), list[Decided]()
        for moment in range(301):
            if moment % 10 == 0 and moment // 10 < len(happenings):
                track, verdict, ended = happenings[moment // 10]
                found += tracks.take(news(moment / 10, verdict, track=track, ended=ended))
            elif moment in moments:
                found += tracks.advance(moment * SECOND // 10)
        found += tracks.advance(1000 * SECOND)
        return sorted((each.news.track_id, each.news.time, each.stratum) for each in found)

    assert play(looks) == play(set())
