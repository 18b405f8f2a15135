from __future__ import annotations

from typing import Any

import pytest

from tertium.v1 import stream_pb2
from tertium_server.errors import InvalidRequestError
from tertium_server.rpc.opening import EpochClock, FrameLimits, check_open
from tests.rpc.builders import open_message

LIMITS = FrameLimits(max_detections=1000, max_tracks=2000, max_frames=256)

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("open.stream_id", {"stream_id": ""}),
    ("open.stream_id", {"stream_id": "x" * 257}),
    ("open.stream_id", {"stream_id": "a\nb"}),
    ("open.stream_id", {"stream_id": "a\x00"}),
    ("open.group", {"group": "g" * 65}),
    ("open.group", {"group": "\t"}),
    ("open.class_names", {"class_names": {}}),
    ("open.class_names", {"class_names": {number: f"class {number}" for number in range(1025)}}),
    ("open.class_names[65536]", {"class_names": {65536: "person"}}),
    ("open.class_names[3]", {"class_names": {1: "person", 3: ""}}),
    ("open.class_names[3]", {"class_names": {3: "x" * 65}}),
    ("open.class_names[3]", {"class_names": {3: "\x1b[31m"}}),
    ("open.class_names[9]", {"class_names": {1: "person", 9: "person"}}),
    ("open.frame_width", {"frame_width": 65537}),
    ("open.frame_height", {"frame_height": 65537}),
    ("open.nominal_fps", {"nominal_fps": -1.0}),
    ("open.nominal_fps", {"nominal_fps": 1000.5}),
    ("open.nominal_fps", {"nominal_fps": float("nan")}),
    ("open.nominal_fps", {"nominal_fps": float("inf")}),
    ("open.score_scale", {"score_scale": 3}),
    ("open.epoch", {"epoch": 2**63}),
    ("open.last_answered_frame", {"last_answered_frame": 2**62 + 1}),
    ("open.checkpoint_interval", {"checkpoint_interval": 10_001}),
]


@pytest.mark.parametrize(
    ("field", "changes"), WRONG, ids=[f"{number} {field}" for number, (field, _) in enumerate(WRONG)]
)
def test_a_field_that_is_wrong_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_open(open_message(**changes), LIMITS)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_open(stream_pb2.Open(nominal_fps=-1, checkpoint_interval=99_999), LIMITS)
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["open.stream_id", "open.class_names", "open.nominal_fps", "open.checkpoint_interval"]


def test_what_a_caller_writes_is_shown_escaped_and_cut() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_open(open_message(stream_id="\x1b[2J" + "x" * 10_000), LIMITS)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"stream_id": "x" * 256},
        {"stream_id": "Kamera Süd 3 – Tor"},
        {"class_names": {0: "a", 65535: "b"}},
        {"class_names": {number: f"class {number}" for number in range(1024)}},
        {"nominal_fps": 1000.0},
        {"epoch": 2**63 - 1},
        {"last_answered_frame": 2**62},
        {"checkpoint_interval": 10_000},
        {"frame_width": 65536, "frame_height": 0},
        {"score_scale": stream_pb2.SCORE_SCALE_LOGIT},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_values_at_the_ends_of_their_ranges_are_taken(changes: dict[str, Any]) -> None:
    assert check_open(open_message(**changes), LIMITS).stream_id


def test_what_is_said_is_what_the_engine_gets() -> None:
    opening = check_open(
        open_message(
            group="north",
            nominal_fps=25,
            client_tracks=True,
            score_scale=stream_pb2.SCORE_SCALE_LOGIT,
            include_coasted=False,
        ),
        LIMITS,
    )
    settings = opening.settings
    assert (settings.class_names, settings.frame_width, settings.frame_height) == ({1: "person"}, 640, 360)
    assert (settings.nominal_fps, settings.client_tracks, settings.logits, settings.group) == (25, True, True, "north")
    assert (settings.include_tracks, settings.include_coasted, opening.include_boxes) == (True, False, True)
    assert (settings.max_detections, settings.max_tracks) == (1000, 2000)
    assert opening.answered == -1


def test_an_empty_group_is_the_default_one_and_frame_0_can_be_answered() -> None:
    opening = check_open(open_message(last_answered_frame=0), LIMITS)
    assert (opening.settings.group, opening.answered) == ("default", 0)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"class_names": {1: "car"}}, False),
        ({"frame_width": 641}, False),
        ({"nominal_fps": 5}, False),
        ({"client_tracks": True}, False),
        ({"score_scale": stream_pb2.SCORE_SCALE_LOGIT}, False),
        ({"group": "elsewhere"}, True),
        ({"include_boxes": False}, True),
        ({"checkpoint_interval": 7}, True),
    ],
    ids=str,
)
def test_the_digest_is_of_what_a_checkpoint_depends_on(changes: dict[str, Any], same: bool) -> None:  # noqa: FBT001 - a parameter
    digest = check_open(open_message(), LIMITS).settings_digest
    assert (check_open(open_message(**changes), LIMITS).settings_digest == digest) is same


def test_epochs_grow_and_never_repeat() -> None:
    clock = EpochClock()
    epochs = [clock.next() for _ in range(10_000)]
    assert epochs == sorted(set(epochs))
