"""`tertium serve`: the server. Its options are made from the fields of Settings, so that nothing has to be said twice."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HELP = (
    "Serve decisions over gRPC until told to stop.\n\n"
    "Every option can also be given as the environment variable named with it (TERTIUM_MAX_STREAMS), or as a key of a TOML file "
    "(--config; max_streams = 64). The command line wins over the environment, that over the file.\n\n"
    "SIGTERM or Ctrl-C drains: health says NOT_SERVING, cameras get a last checkpoint and go on elsewhere."
)

_PANELS = {
    "Where": ("listen", "metrics_host", "metrics_port", "data_dir", "store"),
    "Switches": (
        "review",
        "reflection",
        "reuse_port",
    ),  # a panel of their own: each has two names, which takes the words their room
    "TLS": ("tls_certificate", "tls_key", "tls_client_ca"),
    "Judging and counting": (
        "policy",
        "policy_dir",
        "policy_poll_seconds",
        "shadow_share",
        "groups",
        "classes",
        "estimate_seconds",
        "ledger_bytes",
        "ledger_hours",
    ),
    "Human review": (
        "evidence",
        "evidence_days",
        "evidence_pictures",
        "decision_days",
        "case_days",
        "tokens",
        "trusted_proxy_header",
    ),
    "Review elsewhere": ("webhook", "label_studio", "label_studio_project", "label_studio_poll_seconds"),
    "Recording": ("record", "record_total_bytes", "record_file_bytes"),
    "Checkpoints": ("checkpoint_interval", "checkpoint_key_file"),
    "Limits": (
        "max_streams",
        "max_detections_per_frame",
        "max_tracks_per_stream",
        "max_frames_per_message",
        "max_message_bytes",
        "heavy_detections",
    ),
    "Processor": ("heavy_workers", "scheduling"),
    "Connections": (
        "open_seconds",
        "drain_seconds",
        "keepalive_seconds",
        "keepalive_timeout_seconds",
        "min_ping_seconds",
    ),
    "Logs": ("log_level", "log_format"),
}
_OTHER = "More"

_METAVARS = {
    "listen": "HOST:PORT",
    "metrics_host": "HOST",
    "metrics_port": "PORT",
    "data_dir": "FOLDER",
    "evidence": "FOLDER|URL",
    "evidence_days": "DAYS",
    "ledger_hours": "HOURS",
    "decision_days": "DAYS",
    "case_days": "DAYS",
    "shadow_share": "SHARE",
    "trusted_proxy_header": "NAME",
    "webhook": "URL",
    "label_studio": "URL",
    "label_studio_project": "N",
    "record": "FOLDER",
    "policy_dir": "FOLDER",
    "store": "URL",
    "groups": "NAMES",
    "classes": "NAMES",
}

_KEPT_OFF_THE_COMMAND_LINE = {"webhook_secret", "checkpoint_key", "label_studio_token"}
"""Secrets: every user of the machine can read command lines."""


def serve() -> None:
    """The command as `tertium --help` knows it: by name."""


def with_options() -> Callable[..., int]:
    """The command with an option for each field of Settings. Loads pydantic, slower than all of `tertium --help`."""
    from tertium_server.config import CONFIG_VARIABLE, Settings, load_settings  # noqa: PLC0415

    def command(config: Path | None = None, **given: Any) -> int:  # noqa: ANN401  # each option's own type
        settings = load_settings(given, config)
        from tertium_server.app import run  # noqa: PLC0415  # loads gRPC and numba

        return run(settings)

    config = typer.Option("--config", metavar="FILE", help=f"A TOML file with options. {_variable(CONFIG_VARIABLE)}")
    parameters = [_parameter("config", Annotated[Path | None, config])]
    parameters += [
        _parameter(name, _option(name, Settings.model_fields[name], panel))
        for panel, names in _in_panels(list(Settings.model_fields)).items()
        for name in names
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads options from
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(name: str, annotation: Any) -> inspect.Parameter:  # noqa: ANN401  # an annotation may be anything
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _in_panels(names: list[str]) -> dict[str, list[str]]:
    """The fields by panel; a field that is new here is not lost."""
    placed = {name: panel for panel, members in _PANELS.items() for name in members}
    panels: dict[str, list[str]] = {panel: [] for panel in (*_PANELS, _OTHER)}
    for name in names:
        if name not in _KEPT_OFF_THE_COMMAND_LINE:
            panels[placed.get(name, _OTHER)].append(name)
    return panels


def _option(name: str, field: FieldInfo, panel: str) -> Any:  # noqa: ANN401  # as above
    """The annotation of one option. It has no default of its own: what is not given is left to the other sources."""
    from tertium_server.config import ENVIRONMENT_PREFIX, option_name  # noqa: PLC0415  # loaded already

    is_flag = field.annotation is bool
    flag = option_name(name)
    option = typer.Option(
        f"{flag}/--no{flag.removeprefix('-')}" if is_flag else flag,
        metavar=None if is_flag else _METAVARS.get(name) or _metavar(field.annotation),
        help=f"{_plain(field.description or '')} {_variable(ENVIRONMENT_PREFIX + name.upper())}{_default(field)}",
        rich_help_panel=panel,
    )
    # Values stay text here: Settings converts and checks those of all sources alike, and names the source of a wrong one.
    return Annotated[bool | None, option] if is_flag else Annotated[str | None, option]


def _variable(name: str) -> str:
    return f"[dim]{name}[/dim]"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _metavar(annotation: Any) -> str:  # noqa: ANN401  # as above
    if isinstance(annotation, types.UnionType):
        annotation = next(choice for choice in get_args(annotation) if choice is not type(None))
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return {int: "N", float: "SECONDS", Path: "FILE"}.get(annotation, "TEXT")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        text = "on" if value else "off"
    elif isinstance(value, tuple):
        text = ", ".join(value)
    elif isinstance(value, Path) and value.is_relative_to(Path.home()):
        text = str("~" / value.relative_to(Path.home()))
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return rf" [dim]\[default: {text}][/dim]"
