"""Settings: where they come from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tertium_server.config import CONFIG_VARIABLE, Settings, load_settings, option_name, split_address
from tertium_server.errors import ConfigurationError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what the shell that runs it has set."""
    for name in list(os.environ):
        if name.startswith("TERTIUM_"):
            monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "tertium.toml"
    file.write_text(text)
    return file


def test_defaults_serve_on_this_machine_alone() -> None:
    settings = load_settings()
    assert settings.listen == "127.0.0.1:7413"
    assert (settings.metrics_host, settings.metrics_port) == ("127.0.0.1", 9413)
    assert settings.policy is None
    assert settings.groups == ("default",)


def test_data_lie_where_the_system_wants_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_settings().data_dir == tmp_path / "tertium"


def test_the_command_line_wins_over_the_environment_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write(tmp_path, "max_streams = 1\nmetrics_port = 1\ndrain_seconds = 1\n")
    monkeypatch.setenv("TERTIUM_MAX_STREAMS", "2")
    monkeypatch.setenv("TERTIUM_METRICS_PORT", "2")
    settings = load_settings({"max_streams": 3, "drain_seconds": None}, file)
    assert (settings.max_streams, settings.metrics_port, settings.drain_seconds) == (3, 2, 1)
    assert settings.checkpoint_interval == 100


def test_the_environment_may_name_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(write(tmp_path, 'listen = "0.0.0.0:1"\n')))
    assert load_settings().listen == "0.0.0.0:1"


APART = {"webhook", "webhook_secret", "label_studio", "label_studio_token", "checkpoint_key", "policy_dir", "store"}
"""Options that exclude others, and secrets, which are compared by themselves."""


def test_a_webhook_needs_a_secret_that_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="webhook_secret"):
        load_settings({"webhook": "https://h/x"})
    monkeypatch.setenv("TERTIUM_WEBHOOK_SECRET", "geheim" * 5)
    assert "geheim" not in repr(load_settings({"webhook": "https://h/x"}))


def test_label_studio_needs_a_token_that_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="TERTIUM_LABEL_STUDIO_TOKEN"):
        load_settings({"label_studio": "https://h"})
    monkeypatch.setenv("TERTIUM_LABEL_STUDIO_TOKEN", "geheim-geheim")
    assert "geheim" not in repr(load_settings({"label_studio": "https://h"}))


def test_every_option_can_be_set_by_variable_and_by_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values: dict[str, tuple[str, str, Any]] = {
        "listen": ("[::1]:5", '"[::1]:5"', "[::1]:5"),
        "tls_certificate": ("/c", '"/c"', Path("/c")),
        "tls_key": ("/k", '"/k"', Path("/k")),
        "tls_client_ca": ("/a", '"/a"', Path("/a")),
        "reuse_port": ("true", "true", True),
        "metrics_host": ("::", '"::"', "::"),
        "metrics_port": ("0", "0", 0),
        "data_dir": ("/d", '"/d"', Path("/d")),
        "policy": ("/p.yaml", '"/p.yaml"', Path("/p.yaml")),
        "policy_poll_seconds": ("5", "5", 5.0),
        "shadow_share": ("0.5", "0.5", 0.5),
        "groups": ("north, south", '["north", "south"]', ("north", "south")),
        "classes": ("person", '["person"]', ("person",)),
        "review": ("no", "false", False),
        "evidence": ("/e", '"/e"', "/e"),
        "evidence_days": ("5", "5", 5.0),
        "evidence_pictures": ("5", "5", 5),
        "decision_days": ("9", "9", 9.0),
        "case_days": ("90", "90", 90.0),
        "tokens": ("/t", '"/t"', Path("/t")),
        "label_studio_project": ("5", "5", 5),
        "label_studio_poll_seconds": ("5", "5", 5.0),
        "trusted_proxy_header": ("X-User", '"X-User"', "X-User"),
        "estimate_seconds": ("5", "5", 5.0),
        "ledger_bytes": ("5", "5", 5),
        "ledger_hours": ("0.5", "0.5", 0.5),
        "max_streams": ("5", "5", 5),
        "max_detections_per_frame": ("5", "5", 5),
        "max_tracks_per_stream": ("5", "5", 5),
        "max_frames_per_message": ("5", "5", 5),
        "max_message_bytes": ("5000", "5000", 5000),
        "heavy_detections": ("5", "5", 5),
        "heavy_workers": ("5", "5", 5),
        "open_seconds": ("0.5", "0.5", 0.5),
        "scheduling": ("normal", '"normal"', "normal"),
        "checkpoint_interval": ("5", "5", 5),
        "checkpoint_key_file": ("/k", '"/k"', Path("/k")),
        "drain_seconds": ("5", "5", 5.0),
        "record": ("/r", '"/r"', Path("/r")),
        "record_total_bytes": ("90000000", "90000000", 90_000_000),
        "record_file_bytes": ("80000000", "80000000", 80_000_000),
        "reflection": ("no", "false", False),
        "keepalive_seconds": ("5", "5", 5.0),
        "keepalive_timeout_seconds": ("5", "5", 5.0),
        "min_ping_seconds": ("5", "5", 5.0),
        "log_level": ("debug", '"debug"', "debug"),
        "log_format": ("json", '"json"', "json"),
    }
    expected = {name: value for name, (_, _, value) in values.items()}
    with monkeypatch.context() as environment:
        environment.setenv("TERTIUM_MAX_DETECTIONS_PER_FRAME", "5")
        for name, (text, _, _) in values.items():
            environment.setenv(f"TERTIUM_{name.upper()}", text)
        assert load_settings().model_dump(exclude=APART) == expected
    file = write(tmp_path, "".join(f"{name} = {text}\n" for name, (_, text, _) in values.items()))
    assert load_settings(config=file).model_dump(exclude=APART) == expected
    assert set(values) | APART == set(Settings.model_fields)


def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty path would be the folder the server was started in."""
    before = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"TERTIUM_{name.upper()}", "")
    assert load_settings() == before


def test_policies_come_from_a_file_or_a_folder_or_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("TERTIUM_POLICY_DIR", "/policies")
        environment.setenv("TERTIUM_STORE", "postgresql://tertium:geheim@db/tertium")
        settings = load_settings()
        assert settings.policy_dir == Path("/policies")
        assert settings.store is not None
        assert settings.store.get_secret_value() == "postgresql://tertium:geheim@db/tertium"
        assert "geheim" not in repr(settings)
        with pytest.raises(ConfigurationError, match="policy and policy_dir are both given"):
            load_settings({"policy": "/p.yaml"})


def test_every_option_is_described_for_the_help() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_options_are_named_after_fields() -> None:
    assert option_name("max_streams") == "--max-streams"


WRONG: list[tuple[str, str]] = [
    ("listen", "localhost"),
    ("listen", "localhost:"),
    ("listen", ":7413"),
    ("listen", "::1:7413"),
    ("listen", "localhost:70000"),
    ("listen", "localhost:http"),
    ("metrics_port", "-1"),
    ("metrics_port", "65536"),
    ("max_streams", "0"),
    ("max_streams", "many"),
    ("drain_seconds", "0"),
    ("drain_seconds", "nan"),
    ("drain_seconds", "inf"),
    ("log_level", "loud"),
    ("reflection", "perhaps"),
    ("checkpoint_interval", "10001"),
    ("decision_days", "7"),
    ("case_days", "8"),
]


@pytest.mark.parametrize(("field", "text"), WRONG, ids=[f"{field}={text}" for field, text in WRONG])
def test_a_wrong_value_is_told_with_its_option_and_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, field: str, text: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({field: text})
    assert (caught.value.option, caught.value.source) == (option_name(field), "command line")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert caught.value.problem.startswith(("has to be ", repr(text))), "the library's words"
    assert repr(text) in caught.value.problem
    with monkeypatch.context() as environment:
        environment.setenv(f"TERTIUM_{field.upper()}", text)
        with pytest.raises(ConfigurationError) as caught:
            load_settings()
        assert caught.value.source == f"TERTIUM_{field.upper()}"
    file = write(tmp_path, f"{field} = {text!r}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config=file)
    assert caught.value.source == f"file {file}"


def test_the_source_that_won_is_the_one_that_is_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERTIUM_MAX_STREAMS", "0")
    with pytest.raises(ConfigurationError, match="TERTIUM_MAX_STREAMS"):
        load_settings(config=write(tmp_path, "max_streams = 5\n"))


def test_a_key_that_does_not_exist_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"max_stream .*no such option; did you mean max_streams\?"):
        load_settings(config=write(tmp_path, "max_stream = 5\n"))
    with pytest.raises(ConfigurationError, match="there are: listen, "):
        load_settings(config=write(tmp_path, "zzz = 5\n"))


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets some for every service of the name."""
    monkeypatch.setenv("TERTIUM_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("TERTIUM_PORT", "tcp://10.0.0.1:7413")
    assert load_settings().listen == "127.0.0.1:7413"


@pytest.mark.parametrize("text", ["listen = ", "\xff"], ids=["no TOML", "no UTF-8"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tertium.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"--config .*is no TOML"):
        load_settings(config=file)


def test_a_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--config \(--config\).*No such file"):
        load_settings(config=tmp_path / "missing.toml")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigurationError, match=r"--config \(TERTIUM_CONFIG\)"):
        load_settings()


def test_settings_that_contradict_each_other_are_told() -> None:
    with pytest.raises(ConfigurationError, match=r"max_tracks_per_stream .* is less than max_detections_per_frame"):
        load_settings({"max_tracks_per_stream": 5})
    with pytest.raises(
        ConfigurationError, match=r"case_days \(10\) has to be at least a day more than decision_days \(9.5\)"
    ):
        load_settings({"case_days": 10, "decision_days": 9.5})
    with pytest.raises(ConfigurationError, match="both given"):
        load_settings({"checkpoint_key": "k" * 40, "checkpoint_key_file": "/k"})


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a secret of more than 32 characters, surely"  # noqa: S105 - opens nothing
    monkeypatch.setenv("TERTIUM_CHECKPOINT_KEY", secret)
    settings = load_settings()
    assert settings.checkpoint_key is not None
    assert settings.checkpoint_key.get_secret_value() == secret
    assert "surely" not in repr(settings)
    assert "surely" not in str(settings.model_dump())
    monkeypatch.setenv("TERTIUM_CHECKPOINT_KEY", "short but surely secret")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "surely" not in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().max_streams = 5


def test_settings_made_directly_look_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERTIUM_MAX_STREAMS", "5")
    assert Settings().max_streams == 1024


@pytest.mark.parametrize(
    ("address", "expected"),
    [("localhost:1", ("localhost", 1)), ("[::1]:65535", ("[::1]", 65535)), ("example.org:0", ("example.org", 0))],
)
def test_an_address_is_host_and_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected
