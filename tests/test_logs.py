from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest
import structlog

from tertium_server.logs import Throttle, configure_logs, get_logger


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_are_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    get_logger("test").info("something happened", number=5)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["component"], line["level"], line["number"]) == (
        "something happened",
        "test",
        "info",
        5,
    )
    assert line["timestamp"].endswith("Z")


def test_where_nobody_looks_auto_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "auto")
    get_logger("test").info("something")
    assert json.loads(capsys.readouterr().err)["event"] == "something"


def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")
    get_logger("test").info("something happened", number=5)
    out = capsys.readouterr().err
    assert "something happened" in out
    assert "number=5" in out
    assert not out.startswith("{")


def test_what_lies_under_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "json")
    get_logger("test").info("quiet")
    get_logger("test").warning("loud")
    assert json.loads(capsys.readouterr().err)["event"] == "loud"


def test_a_traceback_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    get_logger("test").error("a bug", exc_info=ZeroDivisionError("by nothing"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "by nothing" in json.dumps(json.loads(line)["exception"])


def test_libraries_speak_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    logging.getLogger("grpc").warning("something %s", "odd")
    assert json.loads(capsys.readouterr().err)["event"] == "something odd"


def test_a_throttle_lets_the_first_of_a_kind_through() -> None:
    throttle = Throttle(seconds=3600)
    assert [throttle.admit("a"), throttle.admit("a"), throttle.admit("b"), throttle.admit("b")] == [0, None, 0, None]


def test_a_throttle_tells_how_many_it_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    throttle = Throttle(seconds=10)
    assert [throttle.admit("a") for _ in range(5)] == [0, None, None, None, None]
    now = 111.0
    assert throttle.admit("a") == 4
    now = 122.0
    assert throttle.admit("a") == 0


def test_a_throttle_remembers_no_more_than_so_many_keys() -> None:
    throttle = Throttle(seconds=3600, most_keys=10)
    assert [throttle.admit(str(number)) for number in range(11)] == [0] * 11
    assert throttle.admit("0") == 0  # forgotten, so that it may speak again
    assert throttle.admit("10") is None
