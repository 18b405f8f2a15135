"""`tertium serve`: its options are the fields of Settings, and values from anywhere are told alike when wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tertium_server import app
from tertium_server.cli.application import run
from tertium_server.config import Settings, option_name

SECRETS = {"checkpoint_key", "webhook_secret", "label_studio_token"}


@pytest.fixture(name="served")
def catch_settings(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that the server would be run with; the server itself is tested elsewhere."""
    served: list[Settings] = []

    def serve(settings: Settings) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(app, "run", serve)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TERTIUM_{name.upper()}", raising=False)
    return served


def help_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 200)
    assert run(["serve", "--help"]) == 0
    return capsys.readouterr().out


def test_help_names_every_option_its_variable_and_its_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_text(capsys, monkeypatch)
    for name in set(Settings.model_fields) - SECRETS:
        assert re.search(rf"{option_name(name)}\b", text), name
        assert f"TERTIUM_{name.upper()} " in text
    assert "[default: 127.0.0.1:7413]" in text
    assert "TERTIUM_CONFIG " in text
    assert "<bool>" not in text, "a flag takes no value"
    assert "─ More ─" not in text, "a new field of Settings wants its place in a panel of cli/serve.py"


def test_secrets_are_no_options(capsys: pytest.CaptureFixture[str], served: list[Settings]) -> None:
    assert run(["serve", "--checkpoint-key", "x" * 32]) == 2
    assert "No such option" in capsys.readouterr().err
    assert not served


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["--listen", "[::1]:0"], "listen", "[::1]:0"),
        (["--metrics-port", "0"], "metrics_port", 0),
        (["--data-dir", "here"], "data_dir", Path("here")),
        (["--policy", "policy.yaml"], "policy", Path("policy.yaml")),
        (["--groups", "gate, yard"], "groups", ("gate", "yard")),
        (["--drain-seconds", "2.5"], "drain_seconds", 2.5),
        (["--log-level", "error"], "log_level", "error"),
        (["--reuse-port"], "reuse_port", True),
        (["--no-reflection"], "reflection", False),
    ],
)
def test_options_become_settings(served: list[Settings], options: list[str], field: str, value: Any) -> None:
    assert run(["serve", *options]) == 0
    assert getattr(served[0], field) == value


def test_the_command_line_wins_over_the_environment_over_the_file(
    served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tertium.toml"
    file.write_text("max_streams = 1\nheavy_workers = 2\nmetrics_port = 3\n")
    monkeypatch.setenv("TERTIUM_HEAVY_WORKERS", "20")
    monkeypatch.setenv("TERTIUM_METRICS_PORT", "30")
    assert run(["serve", "--config", str(file), "--metrics-port", "300"]) == 0
    [settings] = served
    assert (settings.max_streams, settings.heavy_workers, settings.metrics_port) == (1, 20, 300)


@pytest.mark.parametrize(
    ("options", "variable", "message"),
    [
        (["--listen", "nowhere"], None, "tertium: --listen (command line): 'nowhere' is not of the form HOST:PORT; "),
        (["--max-streams", "many"], None, "tertium: --max-streams (command line): "),
        ([], ("TERTIUM_METRICS_PORT", "70000"), "tertium: --metrics-port (TERTIUM_METRICS_PORT): "),
        (["--config", "gone.toml"], None, "tertium: --config (--config): gone.toml can't be read: "),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_source(
    served: list[Settings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variable: tuple[str, str] | None,
    message: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv(*variable)
    assert run(["serve", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(message), line
    assert not served


def test_a_misspelt_option_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--metric-port", "1"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("tertium serve: No such option")
    assert "--metrics-port" in line


def test_a_policy_that_can_not_be_used_ends_the_real_server_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"format": "no such"}))
    command = ["serve", "--listen", "127.0.0.1:0", "--metrics-port", "0", "--data-dir", str(tmp_path / "data")]
    assert run([*command, "--policy", str(policy)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tertium: --policy ({policy}): ")
