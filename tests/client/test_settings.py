"""What streams and clients are opened with."""

from __future__ import annotations

from typing import Any

import pytest

from tertium.v1 import stream_pb2
from tertium_client import Client, InvalidSettingsError
from tertium_client._channel import Connection, ConnectionOptions
from tertium_client._settings import Flow, OpenOptions, StreamOptions, StreamSettings

WRONG: list[tuple[str, Any]] = [
    ("stream_id", ""),
    ("stream_id", "a" * 257),
    ("stream_id", "line\nbreak"),
    ("stream_id", 7),
    ("group", "g" * 65),
    ("class_names", ["person"]),
    ("class_names", {"0": "person"}),
    ("class_names", {0: 5}),
    ("class_names", {}),
    ("class_names", {number: str(number) for number in range(1025)}),
    ("class_names", {-1: "a"}),
    ("class_names", {65536: "a"}),
    ("class_names", {0: ""}),
    ("class_names", {0: "a" * 65}),
    ("class_names", {0: "a", 1: "a"}),
    ("frame_size", (1, 2, 3)),
    ("frame_size", (-1, 5)),
    ("frame_size", (640.0, 480.0)),
    ("frame_size", 640),
    ("frame_size", (5, 65537)),
    ("nominal_fps", -1.0),
    ("nominal_fps", 1000.1),
    ("nominal_fps", float("nan")),
    ("epoch", -1),
    ("epoch", 2**63),
    ("checkpoint_interval", 0),
    ("checkpoint_interval", 10_001),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_settings_that_no_server_would_take_name_their_field(field: str, value: Any) -> None:
    options: dict[str, Any] = {"stream_id": "s", field: value}
    with pytest.raises(InvalidSettingsError) as raised:
        StreamSettings(**options)
    assert raised.value.field.startswith(field)


def test_settings_survive_their_message() -> None:
    settings = StreamSettings(
        stream_id="s",
        class_names={5: "x", 0: "y"},
        group="g",
        frame_size=(640, 480),
        nominal_fps=12.5,
        client_tracks=True,
        logits=True,
        epoch=9,
        checkpoint_interval=7,
        include_boxes=True,
        include_tracks=True,
        include_coasted=True,
    )
    message = settings.message(epoch=9, checkpoint=b"c", last_answered=0)
    assert StreamSettings.of_message(stream_pb2.Open.FromString(message.SerializeToString())) == settings
    assert message.HasField("last_answered_frame")
    assert {field.name for field, _ in message.ListFields()} == {
        field.name for field in stream_pb2.Open.DESCRIPTOR.fields
    }


def test_the_options_are_the_fields_of_what_is_made_of_them() -> None:
    assert set(StreamOptions.__annotations__) | {"stream_id"} == set(StreamSettings.__dataclass_fields__)
    assert set(OpenOptions.__annotations__) == set(StreamOptions.__annotations__) | set(Flow.__dataclass_fields__)
    assert set(ConnectionOptions.__annotations__) | {"address"} == set(Connection.__dataclass_fields__)


def test_settings_do_not_follow_changes_of_the_callers_mapping() -> None:
    names = {0: "a"}
    settings = StreamSettings(stream_id="s", class_names=names)
    names[1] = "b"
    assert settings.class_names == {0: "a"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"batch": 0}, "batch"),
        ({"batch_delay": -1.0}, "batch_delay"),
        ({"batch_delay": float("nan")}, "batch_delay"),
        ({"batch": 300}, "max_in_flight"),
        ({"max_in_flight": 0}, "max_in_flight"),
    ],
)
def test_a_flow_that_can_not_flow_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSettingsError) as raised:
        Flow(**options)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"address": ""}, "address"),
        ({"address": "x:1", "keepalive": 1.0}, "keepalive"),
        ({"address": "x:1", "max_message_bytes": 0}, "max_message_bytes"),
    ],
)
def test_a_connection_that_can_not_work_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSettingsError) as raised:
        Connection(**options)
    assert raised.value.field == field


def test_the_callers_channel_options_win() -> None:
    options = dict(
        Connection(address="x:1", keepalive=0, channel_options=(("grpc.enable_retries", 1), ("a", "b"))).options()
    )
    assert options["grpc.enable_retries"] == 1
    assert options["a"] == "b"
    assert not any(name.startswith("grpc.keepalive") for name in options)


def test_secrets_are_not_shown() -> None:
    metadata = (("authorization", "Bearer secret"),)
    with Client("localhost:1", metadata=metadata) as client:
        assert "secret" not in repr(client) + repr(Connection(address="localhost:1", metadata=metadata))
