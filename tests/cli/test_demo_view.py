"""What the demo shows, drawn without a terminal: every size has room for the essentials, every event its words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from tertium_client import (
    Answer,
    CoastedTracks,
    EventReason,
    EventType,
    FrameDecisions,
    Notice,
    NoticeCode,
    ProtocolError,
    TrackEvent,
    Verdict,
    Why,
)
from tertium_server.demo.board import Board, Happening
from tertium_server.demo.cameras import load_cameras
from tertium_server.demo.drawing import draw_scene
from tertium_server.demo.gauges import Figures, Gauges
from tertium_server.demo.summary import summarize
from tertium_server.demo.view import Screen, interval_bar
from tertium_server.demo.words import headline, reason, short_reason

CAMERAS = load_cameras(20)
WHY = Why(
    probability=0.71,
    lower=0.57,
    upper=0.82,
    threshold=0.7,
    hits=1400,
    misses=0,
    evidence_fast=0.7,
    evidence_slow=0.31,
    score=0.69,
    policy_version="0-abc",
)
CONFIRMED = TrackEvent(
    type=EventType.VERDICT_CHANGED,
    track_id=5 << 24 | 14,
    class_id=0,
    frame_index=13,
    first_frame=2,
    from_verdict=Verdict.MAYBE,
    to_verdict=Verdict.YES,
    reason=EventReason.THRESHOLD,
    retroactive_from=2,
    why=WHY,
)


def decisions(frame: int, verdicts: list[Verdict], coasted: list[tuple[int, Verdict]] | None = None) -> FrameDecisions:
    """A frame with a detection for each verdict, on tracks 1, 2, …; box and track are judged alike."""
    count = len(verdicts)
    numbers = np.array(verdicts, np.uint8)
    chances: NDArray[np.float32] = ((numbers - 0.5) / 3).astype(np.float32)
    margin = np.float32(0.1)
    resting = coasted or []
    return FrameDecisions(
        frame_index=frame,
        policy_version="0-abc",
        track_ids=np.arange(1, count + 1, dtype=np.int64) + (5 << 24),
        probabilities=chances,
        verdicts=numbers,
        track_probabilities=chances,
        track_lower=chances - margin,
        track_upper=chances + margin,
        track_verdicts=numbers,
        coasted=CoastedTracks(
            track_ids=np.array([number + (5 << 24) for number, _ in resting], np.int64),
            boxes=np.zeros((len(resting), 4), np.float32),
            probabilities=np.full(len(resting), 0.4, np.float32),
            verdicts=np.array([verdict for _, verdict in resting], np.uint8),
        ),
    )


def answer(decided: FrameDecisions, *events: TrackEvent) -> Answer:
    return Answer(decided.frame_index, decided, events)


def scores(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def drawn(what: Any, columns: int = 80, lines: int = 24) -> list[str]:  # anything rich can draw
    console = Console(width=columns, height=lines, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get().splitlines()


def test_boxes_and_tracks_are_counted_by_verdict_and_against_the_threshold() -> None:
    board = Board(CAMERAS)
    camera = board.cameras[0]
    yes, maybe, no = Verdict.YES, Verdict.MAYBE, Verdict.NO
    board.take(camera, answer(decisions(1, [maybe, no, no])), scores(0.6, 0.1, 0.5))
    board.take(camera, answer(decisions(2, [yes, maybe], coasted=[(3, no)])), scores(0.4, 0.2))
    board.take(camera, answer(decisions(3, [maybe])), scores(0.7))
    assert camera.tally.boxes == {yes: 1, maybe: 3, no: 2}
    assert (camera.tally.strong, camera.tally.strong_not_yes) == (3, 3)
    assert camera.tally.tracks == {yes: 1, maybe: 1, no: 1}
    [confirmed] = camera.confirmed.values()
    assert (confirmed.number, confirmed.boxes, confirmed.strong) == (1, 3, 2)
    assert sorted(camera.alive) == [1]
    assert camera.frames == 3


def test_a_track_without_a_box_counts_a_miss_and_its_event_sets_the_numbers_right() -> None:
    board = Board(CAMERAS)
    camera = board.cameras[0]
    board.take(camera, answer(decisions(1, [Verdict.MAYBE] * 14)), scores(*[0.3] * 14))
    board.take(camera, answer(decisions(2, [], coasted=[(14, Verdict.MAYBE)])), scores())
    track = camera.alive[14]
    assert (track.hits, track.misses, track.seen, track.lower, track.probability) == (
        1,
        1,
        False,
        track.upper,
        track.upper,
    )
    board.take(camera, answer(decisions(3, [Verdict.YES] * 14), CONFIRMED), scores(*[0.3] * 14))
    track = camera.alive[14]
    assert (track.hits, track.misses, track.evidence, track.seen) == (1400, 0, 0.31, True)


def test_a_refused_frame_ends_the_demo() -> None:
    board = Board(CAMERAS)
    notice = Notice(NoticeCode.INVALID, 1, "frames.boxes[0]", "not finite", 1)
    with pytest.raises(ProtocolError, match="frame 1 of the demo was refused: not finite"):
        board.take(board.cameras[0], Answer(1, None, (), (notice,)), scores())


def test_events_are_told_in_words() -> None:
    happening = Happening(CAMERAS[0], CONFIRMED)
    assert happening.seconds == 1.0
    assert headline(happening) == "person 14: MAYBE → YES"
    assert reason(happening) == (
        "71 % real is over 70 % after 1,400 boxes; last score 0.69, evidence +0.3; so it was since frame 2"
    )
    assert short_reason(happening) == "71 % > 70 %, 1,400 boxes, from frame 2"
    barely = replace(CONFIRMED, why=replace(WHY, probability=0.7021))
    assert short_reason(Happening(CAMERAS[0], barely)).startswith("70.2 % > 70.0 %, ")
    fell = replace(
        CONFIRMED,
        from_verdict=Verdict.MAYBE,
        to_verdict=Verdict.NO,
        retroactive_from=None,
        why=replace(WHY, probability=0.1, threshold=0.2, hits=1, misses=1),
    )
    assert reason(Happening(CAMERAS[1], fell)) == (
        "10 % real fell under 20 % after 1 box and 1 miss; last score 0.69, evidence +0.3"
    )
    assert short_reason(Happening(CAMERAS[1], fell)) == "10 % < 20 %, 1 box, score 0.69"


ENDS = set(EventReason) - {
    EventReason.UNSPECIFIED,
    EventReason.THRESHOLD,
    EventReason.REVIEW,
    EventReason.POLICY_CHANGED,
    EventReason.ZONE_CHANGED,
}
"""All others change the verdict on a track that goes on."""


@pytest.mark.parametrize("why", sorted(ENDS))
def test_every_end_of_a_track_has_its_words(why: EventReason) -> None:
    ended = Happening(CAMERAS[0], replace(CONFIRMED, type=EventType.ENDED, reason=why, retroactive_from=None))
    assert headline(ended).startswith("person 14 ")
    assert headline(ended) != "person 14 ended"
    assert reason(ended) == "last word YES at 71 %, after 1,400 boxes"


@pytest.mark.parametrize(
    ("value", "lower", "upper", "drawing"),
    [
        (0.5, 0.2, 0.8, "──━━━●━━━──"),
        (0.0, 0.0, 0.1, "●━─────────"),
        (1.0, 1.0, 1.0, "──────────●"),
        (0.5, -1.0, 2.0, "━━━━━●━━━━━"),
    ],
)
def test_an_interval_is_drawn_to_scale(value: float, lower: float, upper: float, drawing: str) -> None:
    assert interval_bar(value, lower, upper, 11, "green").plain == drawing


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (100, 30), (120, 40), (200, 60), (80, 20)])
def test_the_screen_fits_its_terminal_however_much_there_is_to_show(columns: int, lines: int) -> None:
    board = Board(CAMERAS)
    gauges = Gauges("127.0.0.1:65535")
    gauges.figures = Figures(frames=123456, streams=2, tracks=1234, milliseconds=12.3)
    screen = Screen(board, gauges, "4× real time")
    assert len(drawn(screen, columns, lines)) <= lines, "empty at the start"
    for camera in board.cameras:
        for frame in range(1, 41):
            verdicts = [Verdict.MAYBE] * 14 + [Verdict.NO] * 300
            event = replace(CONFIRMED, frame_index=frame)
            board.take(camera, answer(decisions(frame, verdicts), event), scores(*[0.3] * 314))
    picture = drawn(screen, columns, lines)
    assert len(picture) <= lines
    assert max(map(len, picture)) <= columns
    text = "\n".join(picture)
    for words in (
        "Entrance ended",
        " 14: MAYBE → YES  71 % ",
        "300 candidates are NO",
        "560 MAYBE  12,000 NO",
        "http://127.0.0.1:65535/metrics  123,456 frames",
        "evidence: log-odds",
    ):
        assert words in text


def test_the_summary_compares_with_the_threshold_in_words() -> None:
    board = Board(CAMERAS)
    board.take(board.cameras[0], answer(decisions(1, [Verdict.YES, Verdict.MAYBE])), scores(0.3, 0.6))
    board.take(board.cameras[1], answer(decisions(1, [Verdict.MAYBE])), scores(0.6))
    text = " ".join(" ".join(drawn(summarize(board), 200)).split())
    assert "Entrance: 1 track is real. The threshold keeps 0 of the 1 boxes found there, and 1 boxes" in text
    assert "Car park: the threshold keeps 1 of 1 boxes. Tertium is sure of no car yet;" in text
    assert "a person look at 1 of 1 tracks." in text
    assert "policy 0-abc" in text


def test_a_figure_looks_in_the_next_picture_as_it_did_in_the_last() -> None:
    """People who look through a film strip have to take it for the same one."""
    middles = []
    for left in range(0, 1180, 5):
        box = np.array([[left, 100, left + 100, 300]], np.float32)
        middles.append(draw_scene((1280, 720), box, None)[224, left + 50].astype(int))
    assert np.abs(np.diff(middles, axis=0)).max() <= 3
    assert np.abs(middles[0] - middles[-1]).max() > 50
