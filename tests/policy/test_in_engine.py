"""Zones, profiles and changes of policy in the engine: every decision is that of the parameters which hold for its track, there and then."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertium_server.engine import EventReason, EventType, StreamEngine, Verdict, Workspace
from tertium_server.policy import Policy, compile_parameters
from tertium_server.policy.polygon import contains
from tertium_server.policy.resolution import Situation, effective_judgement
from tertium_server.policy.schedule import is_open
from tests.engine.streams import (
    CLASSES,
    SECOND,
    Frame,
    Journal,
    assert_same,
    columns,
    engine_with,
    filmed,
    play,
    settings_with,
)
from tests.policies import plain_data, plain_policy, policy_with

WIDTH, HEIGHT = 640, 360
LEFT = [[0.0, 0.0], [0.45, 0.0], [0.55, 1.0], [0.0, 1.0]]
MIDDLE = [[0.3, 0.2], [0.8, 0.3], [0.6, 1.0]]


def policy_of(**sections: Any) -> Policy:
    return Policy.model_validate(plain_data() | sections)


def strict(yes: float, no: float = 0.2) -> dict[str, Any]:
    thresholds = {"yes": yes, "no": no}
    return {"box": {"thresholds": thresholds}, "track": {"thresholds": thresholds}}


ZONED = policy_of(
    zones={
        "left": {"polygon": LEFT, "all": strict(0.8), "classes": {"car": strict(0.9, 0.5)}},
        "middle": {"polygon": [[x * WIDTH, y * HEIGHT] for x, y in MIDDLE], "units": "pixels", "all": strict(0.4, 0.3)},
    }
)


def sized(policy: Policy, **changes: Any) -> StreamEngine:
    return engine_with(policy, frame_width=WIDTH, frame_height=HEIGHT, **changes)


def zone_at(policy: Policy, x: float, y: float) -> str | None:
    for name, zone in policy.zones.items():
        scale = (WIDTH, HEIGHT) if zone.units == "relative" else (1, 1)
        if contains([(corner[0] * scale[0], corner[1] * scale[1]) for corner in zone.polygon], x, y):
            return name
    return None


def plain_verdict(probability: float, no: float, yes: float) -> Verdict:
    return Verdict.YES if probability >= yes else Verdict.NO if probability < no else Verdict.MAYBE


class TestZones:
    @pytest.mark.parametrize("seed", range(6))
    def test_every_box_is_judged_by_the_zone_that_holds_the_middle_of_its_lower_edge(self, seed: int) -> None:
        film = filmed(seed)
        journal = play(sized(ZONED), film)
        seen: set[tuple[str | None, str]] = set()
        places = 0
        for frame in film:
            for class_id in frame.class_ids:
                box, probability = journal["boxes"][places], journal["probabilities"][places]
                # As float32, the box's corners are rounded: a point so near to an edge is not asked about.
                zones = {
                    zone_at(ZONED, (box[0] + box[2]) / 2 + dx, float(box[3]) + dy)
                    for dx in (-0.01, 0.01)
                    for dy in (-0.01, 0.01)
                }
                if len(zones) == 1:
                    [zone] = zones
                    name = CLASSES[class_id]
                    thresholds = effective_judgement(ZONED, Situation(class_name=name, zone=zone)).box.thresholds
                    expected = plain_verdict(float(probability), thresholds.no, thresholds.yes)
                    assert journal["verdicts"][places] == expected, (frame.index, name, zone)
                    seen.add((zone, name))
                places += 1
        assert len({zone for zone, _ in seen}) == 3

    @pytest.mark.parametrize("seed", range(3))
    def test_zones_that_change_nothing_change_nothing(self, seed: int) -> None:
        alike = policy_of(
            zones={
                "left": {"polygon": LEFT},
                "middle": {"polygon": MIDDLE, "all": {"box": {"thresholds": {"yes": 0.6}}}},
            }
        )
        assert_same(
            play(sized(alike), filmed(seed), finish=True), play(sized(plain_policy()), filmed(seed), finish=True)
        )

    def test_one_zone_over_the_whole_picture_is_as_good_as_none(self) -> None:
        wide = policy_of(
            zones={"all": {"polygon": [[-0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], "all": strict(0.8)}}
        )
        plain = policy_with({f"defaults.{part}.thresholds.yes": 0.8 for part in ("box", "track")})
        inside = [
            Frame(index, index * SECOND // 10, ((200.0 + index, 100.0, 240.0 + index, 200.0),), (0.7,), (0,), (1,))
            for index in range(40)
        ]
        assert_same(play(sized(wide), inside, finish=True), play(sized(plain), inside, finish=True))

    def test_a_track_that_crosses_is_told_of_once_with_the_reason(self) -> None:
        policy = policy_of(
            zones={"right": {"polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "all": strict(0.999, 0.2)}}
        )
        walk = [
            Frame(
                index, index * SECOND // 10, ((200.0 + 5 * index, 100.0, 240.0 + 5 * index, 200.0),), (0.9,), (0,), (1,)
            )
            for index in range(40)
        ]
        journal = play(sized(policy), walk)
        changes = [event for event in journal["events"] if event["reason"] == EventReason.ZONE_CHANGED]
        [crossing] = changes
        assert (crossing["type"], crossing["from_verdict"], crossing["to_verdict"]) == (
            EventType.VERDICT_CHANGED, Verdict.YES, Verdict.MAYBE,
        )  # fmt: skip
        # The ground point is at 220 + 5 * index: the edge is at 320.
        assert abs(crossing["frame_index"] - 20) <= 2
        assert len(set(journal["track_ids"].tolist())) == 1, "it stays the same track"

    def test_without_a_frame_size_only_zones_in_pixels_hold(self) -> None:
        known = compile_parameters(ZONED, settings_with(frame_width=WIDTH, frame_height=HEIGHT))
        unknown = compile_parameters(ZONED, settings_with())
        assert (len(known.judges), len(unknown.judges)) == (3 * 2, 2 * 2)
        assert unknown.zone_corners.tolist() == [[x * WIDTH, y * HEIGHT] for x, y in MIDDLE]

    def test_only_streams_and_groups_that_are_meant_have_a_zone(self) -> None:
        policy = policy_of(zones={"drive": {"polygon": LEFT, "streams": ["gate-*"], "groups": ["yard"]}})
        for group, stream, zones in (("yard", "gate-1", 1), ("yard", "door", 0), ("default", "gate-1", 0)):
            chosen = settings_with(frame_width=WIDTH, frame_height=HEIGHT, group=group)
            assert len(compile_parameters(policy, chosen, stream).zone_starts) == 1 + zones


MONDAY = 1_795_392_000 * SECOND  # 2026-11-23T00:00 UTC
NIGHT = policy_of(
    profiles={
        "night": {
            "schedule": [{"days": ["mon"], "opens": "22:00", "closes": "22:01"}, {"opens": "22:02", "closes": "22:04"}],
            "all": strict(0.85, 0.5),
        }
    }
)
NIGHT_ONLY = policy_with(
    {
        f"defaults.{part}.thresholds.{name}": value
        for part in ("box", "track")
        for name, value in (("yes", 0.85), ("no", 0.5))
    }
)


def evening(seed: int, start: int, length: int = 60, step: int = 5 * SECOND) -> list[Frame]:
    """A film from a time of that Monday evening, a frame every few seconds."""
    return [
        Frame(
            each.index,
            MONDAY + start * 60 * SECOND + place * step,
            each.boxes,
            each.scores,
            each.class_ids,
            each.track_ids,
        )
        for place, each in enumerate(filmed(seed, length=length))
    ]


class TestProfiles:
    @pytest.mark.parametrize("seed", range(3))
    def test_every_frame_is_judged_by_the_profile_that_its_capture_time_opens(self, seed: int) -> None:
        film = evening(seed, 22 * 60 - 1)
        journal, day, night = (play(sized(policy), film) for policy in (NIGHT, plain_policy(), NIGHT_ONLY))
        assert journal["probabilities"].tobytes() == day["probabilities"].tobytes(), "evidence knows no thresholds"
        profile = NIGHT.profiles["night"]
        opened = [is_open(profile.schedule, profile.time_zone, frame.time) for frame in film]
        assert {*opened} == {True, False}
        for number, verdicts in enumerate(journal.by_frame("verdicts")):
            expected = (night if opened[number] else day).by_frame("verdicts")[number]
            assert verdicts.tolist() == expected.tolist()

    @pytest.mark.parametrize("batch", [1, 7, 60])
    def test_messages_may_be_cut_anywhere(self, batch: int) -> None:
        film = evening(1, 22 * 60 - 1)
        whole, pieces = Journal(), Journal()
        for journal, size in ((whole, 60), (pieces, batch)):
            engine, workspace = sized(NIGHT, include_features=True), Workspace()
            for first in range(0, len(film), size):
                part = columns(film[first : first + size])
                journal.add(engine.advance(part, workspace), len(part.boxes))
        assert_same(whole, pieces)

    @given(st.integers(1, 58))
    @settings(max_examples=12, deadline=None)
    def test_a_stream_that_is_cut_and_restored_goes_on_as_if_nothing_had_happened(self, cut: int) -> None:
        film = evening(2, 22 * 60 - 1)
        chosen = settings_with(frame_width=WIDTH, frame_height=HEIGHT, include_features=True)
        whole = play(StreamEngine(compile_parameters(NIGHT, chosen), chosen), film)
        first = StreamEngine(compile_parameters(NIGHT, chosen), chosen)
        play(first, film[:cut])
        restored = StreamEngine.restore(compile_parameters(NIGHT, chosen), chosen, first.snapshot())
        rest = play(restored, film[cut:])
        for name in ("verdicts", "probabilities", "track_verdicts", "track_ids"):
            assert np.concatenate(whole.by_frame(name)[cut:]).tobytes() == rest[name].tobytes(), name

    def test_tracks_are_judged_anew_at_the_first_frame_after_the_edge(self) -> None:
        still = [
            Frame(
                index,
                MONDAY + (21 * 60 + 59) * 60 * SECOND + index * SECOND,
                ((200.0, 100.0, 240.0, 200.0),),
                (0.62,),
                (0,),
                (1,),
            )
            for index in range(90)
        ]
        policy = policy_of(
            profiles={"night": NIGHT.profiles["night"].model_dump(mode="json") | {"all": strict(0.999, 0.99)}}
        )
        journal = play(sized(policy), still)
        changes = [event for event in journal["events"] if event["reason"] == EventReason.POLICY_CHANGED]
        assert [int(event["frame_index"]) for event in changes][:1] == [60]
        assert changes[0]["from_verdict"] > changes[0]["to_verdict"]

    def test_time_that_runs_backwards_over_an_edge_goes_back_to_the_day(self) -> None:
        film = evening(3, 22 * 60, length=10)
        early = [
            Frame(each.index + 10, each.time - 600 * SECOND, each.boxes, each.scores, each.class_ids) for each in film
        ]
        journal, day = play(sized(NIGHT), [*film, *early]), play(sized(plain_policy()), [*film, *early])
        for number in range(10, 20):
            assert journal.by_frame("verdicts")[number].tolist() == day.by_frame("verdicts")[number].tolist()


CHANGES: list[Mapping[str, object]] = [
    {"defaults.track.thresholds.yes": 0.9, "defaults.box.thresholds.yes": 0.8},
    {"defaults.track.thresholds.no": 0.6},
    {"defaults.track.weights.constant": -2.0},
    {"defaults.evidence.noise": 3.0},
    {"tracker.lifetime.coast": 0.5},
]


class TestChangesOfPolicy:
    @pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
    def test_a_stream_goes_on_as_one_restored_from_its_checkpoint_under_the_new_policy(
        self, changes: Mapping[str, object]
    ) -> None:
        film, new = filmed(5), policy_with(changes)
        chosen = settings_with(frame_width=WIDTH, frame_height=HEIGHT, include_features=True)
        engine = sized(plain_policy(), include_features=True)
        play(engine, film[:40])
        restored = StreamEngine.restore(compile_parameters(new, chosen), chosen, engine.snapshot())
        engine.adopt(compile_parameters(new, chosen))
        assert_same(play(engine, film[40:], finish=True), play(restored, film[40:], finish=True))

    def test_a_policy_of_the_same_numbers_changes_nothing(self) -> None:
        film, again = filmed(6), policy_with({"name": "another", "provenance": {"by": "hand"}})
        chosen = settings_with(frame_width=WIDTH, frame_height=HEIGHT, include_features=True)
        changed, left_alone = sized(plain_policy(), include_features=True), sized(plain_policy(), include_features=True)
        for cut in range(0, 80, 5):
            changed.adopt(compile_parameters(again, chosen))
            assert_same(play(changed, film[cut : cut + 5]), play(left_alone, film[cut : cut + 5]))

    def test_verdicts_are_those_of_the_new_thresholds_at_once_and_the_reason_is_told(self) -> None:
        still = [
            Frame(index, index * SECOND // 10, ((200.0, 100.0, 240.0, 200.0),), (0.62,), (0,), (1,))
            for index in range(60)
        ]
        engine = sized(plain_policy())
        before = play(engine, still[:40])
        probability = float(before["track_probabilities"][-1])
        assert before["track_verdicts"][-1] == Verdict.YES
        # The probability lies within the margin under the new threshold: hysteresis alone would keep the YES.
        new = policy_with({"defaults.track.thresholds.yes": min(0.999, probability + 0.02)})
        engine.adopt(compile_parameters(new, settings_with(frame_width=WIDTH, frame_height=HEIGHT)))
        after = play(engine, still[40:41])
        [event] = after["events"]
        assert (event["reason"], event["from_verdict"], event["to_verdict"]) == (
            EventReason.POLICY_CHANGED, Verdict.YES, Verdict.MAYBE,
        )  # fmt: skip
        assert event["probability"] == np.float32(probability), "by the evidence there was"
        assert event["track_id"] == before["track_ids"][-1]
        assert after["track_ids"].tolist() == [before["track_ids"][-1]]

    def test_zones_may_come_and_go(self) -> None:
        film = filmed(7)
        chosen = settings_with(frame_width=WIDTH, frame_height=HEIGHT)
        engine = sized(plain_policy())
        for cut in range(0, 80, 10):
            policy = ZONED if cut % 20 else plain_policy()
            restored = StreamEngine.restore(compile_parameters(policy, chosen), chosen, engine.snapshot())
            engine.adopt(compile_parameters(policy, chosen))
            assert_same(play(engine, film[cut : cut + 10]), play(restored, film[cut : cut + 10]))

    def test_parameters_for_other_classes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="class ids"):
            sized(plain_policy()).adopt(compile_parameters(plain_policy(), settings_with(class_names={0: "person"})))
