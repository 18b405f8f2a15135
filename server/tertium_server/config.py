"""The server's settings: by command line, environment variable, file, or default, in this order.

``load_settings`` merges the four and says of a wrong value where it came from. The command line's options are made from the fields here: a field
``max_streams`` is the option ``--max-streams``, the variable ``TERTIUM_MAX_STREAMS`` and the key ``max_streams`` of the file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from tertium_server.errors import ConfigurationError
from tertium_server.wording import in_words, shown

ENVIRONMENT_PREFIX = "TERTIUM_"
CONFIG_VARIABLE = "TERTIUM_CONFIG"
_LARGEST_PORT = 65535
_MEBIBYTE = 1024 * 1024
_SHORTEST_KEY = 32
_NAMED_BY_THEMSELVES = {"value_error", "too_short", "too_long"}
"""What pydantic calls errors that name the value already, or of which it would tell nothing."""

Port = Annotated[int, Field(ge=0, le=_LARGEST_PORT)]
Scheduling = Literal["batch", "normal"]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; IPv6 hosts stand in brackets.

    Raises:
        ValueError: It is not of this form.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > _LARGEST_PORT:
        raise ValueError(f"{address!r} is not of the form HOST:PORT")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{address!r}: an IPv6 address stands in brackets, [::1]:7413")
    return host, int(port)


def _check_address(address: str) -> str:
    split_address(address)
    return address


def _split_names(value: object) -> object:
    """Names of an environment variable or option, separated by commas; a list of a file as it is."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], NoDecode, BeforeValidator(_split_names)
]


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "tertium"


class Settings(BaseSettings):
    """What the server is run with. Immutable. Made directly, it looks at nothing but its arguments; see :func:`load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, hide_input_in_errors=True
    )

    listen: Annotated[str, AfterValidator(_check_address)] = Field(
        default="127.0.0.1:7413", description="Address to serve gRPC on, HOST:PORT; port 0 takes any that is free."
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="File with the server's chain of certificates (PEM): gRPC is served by TLS only. Files are read again when they change.",
    )
    tls_key: Path | None = Field(default=None, description="File with the key of that certificate (PEM).")
    tls_client_ca: Path | None = Field(
        default=None,
        description="File with certificates (PEM): callers have to show one that is signed by one of these (mTLS).",
    )
    reuse_port: bool = Field(
        default=False,
        description="Share the gRPC port with other server processes on this machine (SO_REUSEPORT), one a core, say.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Host to serve /review, /live, /metrics, /healthz and /readyz on.",
    )
    metrics_port: Port = Field(default=9413, description="Port of these pages, over HTTP; 0 takes any that is free.")
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Folder for what the server keeps: the checkpoint key, and server.json with its addresses while it runs.",
    )
    policy: Path | None = Field(
        default=None,
        description="Policy file to judge by, read again whenever it changes. Without it, policies are stored.",
    )
    policy_dir: Path | None = Field(
        default=None,
        description="Folder of policy files, watched, in place of the store: for policies that are kept in git.",
    )
    policy_poll_seconds: Seconds = Field(
        default=5.0,
        description="How often it is looked whether the policy was changed: in the store by another server, or in files that change unheard.",
    )
    shadow_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the streams that a policy in the shadow follows, 0 to 1: each costs its engine's time once more.",
    )
    store: SecretStr | None = Field(
        default=None,
        description="URL of the database for what has to last, postgresql://USER@HOST/DATABASE; without it, a SQLite file in the data folder.",
    )
    groups: Names = Field(
        default=("default",),
        max_length=256,
        description='Groups that metrics tell apart, separated by commas; all others are counted as "other".',
    )

    classes: Names = Field(
        default=(),
        max_length=1024,
        description="Classes that metrics tell apart beside those the policy names, separated by commas.",
    )

    review: bool = Field(
        default=True, description="Put tracks before people: those in doubt, and a random few of the others."
    )
    evidence: str | None = Field(
        default=None,
        min_length=1,
        description="Folder or URL (s3://…) for pictures of cases. Without it: a folder in the data folder.",
    )
    evidence_days: float = Field(
        default=30.0, gt=0, le=36_500, description="Days after a case was closed for which its pictures are kept."
    )
    evidence_pictures: int = Field(
        default=6, ge=0, le=16, description="Pictures that callers are asked for, a case; 0: none."
    )
    decision_days: float = Field(
        default=8.0,
        ge=8,
        le=36_500,
        allow_inf_nan=False,
        description="Days for which each decided track, and each event that was sent, has a row of its own; then tracks are totals by day.",
    )
    case_days: float | None = Field(
        default=None,
        ge=9,
        le=36_500,
        allow_inf_nan=False,
        description="Days after a case was closed for which it is kept, with what people answered. Without it: for good.",
    )
    tokens: Path | None = Field(
        default=None,
        description="File with the tokens and roles of those who may call; without it, one for review is made in the data folder.",
    )
    webhook: str | None = Field(
        default=None,
        min_length=1,
        description="Address that is told of cases and answers, https://…; it needs TERTIUM_WEBHOOK_SECRET.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, min_length=16, description="What events for the webhook are signed with: HMAC-SHA256."
    )
    label_studio: str | None = Field(
        default=None,
        min_length=1,
        description="Address of a Label Studio that cases are to be answered in, too, https://…; it needs TERTIUM_LABEL_STUDIO_TOKEN.",
    )
    label_studio_token: SecretStr | None = Field(
        default=None, min_length=8, description="Access token for Label Studio: a personal one, or a legacy one."
    )
    label_studio_project: int | None = Field(
        default=None,
        ge=1,
        description="Number of the project for cases. Without it: the one that is named for Tertium, made where there is none.",
    )
    label_studio_poll_seconds: Seconds = Field(
        default=15.0, description="How often Label Studio is asked for new answers."
    )
    trusted_proxy_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="HTTP header in which a proxy, the only way to the review page, names the reviewer it has signed in.",
    )

    estimate_seconds: Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)] = Field(
        default=15.0, description="How often precision and recall are estimated anew."
    )

    ledger_bytes: int = Field(
        default=1024 * _MEBIBYTE,
        ge=0,
        description="Most bytes of decisions kept in the data folder for truth to come (tertium quality report-truth); 0: none are.",
    )
    ledger_hours: float = Field(
        default=24.0, gt=0, le=876_000, allow_inf_nan=False, description="Most hours for which they are kept."
    )

    max_streams: int = Field(default=1024, ge=1, le=1_000_000, description="Most streams open at a time.")
    max_detections_per_frame: int = Field(default=1000, ge=1, le=100_000, description="Most detections of one frame.")
    max_tracks_per_stream: int = Field(
        default=2000,
        ge=1,
        le=200_000,
        description="Most tracks of a stream alive at a time; at least as many as detections of a frame.",
    )
    max_frames_per_message: int = Field(default=256, ge=1, le=100_000, description="Most frames of one message.")
    max_message_bytes: int = Field(
        default=4 * _MEBIBYTE,
        ge=1024,
        le=1024 * _MEBIBYTE,
        description="Largest message taken from a caller, in bytes.",
    )
    heavy_detections: int = Field(
        default=3000,
        ge=1,
        le=10_000_000,
        description="Messages that are more work than so many detections among twenty tracks run beside the others, in threads of their own.",
    )
    heavy_workers: int = Field(default=1, ge=1, le=256, description="Threads for heavy messages.")
    open_seconds: Seconds = Field(default=30.0, description="How long a call may wait before it sends its Open.")
    scheduling: Scheduling = Field(
        default="batch",
        description="batch: a thread that has something to do waits for the one that runs, so a busy server takes a fifth less processor "
        "time (Linux). normal: it does not; quicker where other programs leave no core free.",
    )

    checkpoint_interval: int = Field(
        default=100, ge=1, le=10_000, description="Frames between two checkpoints, where the caller names no number."
    )
    checkpoint_key_file: Path | None = Field(
        default=None,
        description="File with the key that signs checkpoints, at least 32 bytes; replicas share it. Without it: made in the data folder.",
    )
    checkpoint_key: SecretStr | None = Field(
        default=None,
        min_length=_SHORTEST_KEY,
        description="The key itself, for environments that hand secrets over as variables.",
    )

    record: Path | None = Field(
        default=None,
        description="Folder to record in what cameras send, to be replayed and tuned on; a folder of this server's own.",
    )
    record_total_bytes: int = Field(
        default=4096 * _MEBIBYTE,
        ge=_MEBIBYTE,
        description="Most bytes of all recordings in that folder; the oldest are deleted for newer ones.",
    )
    record_file_bytes: int = Field(
        default=64 * _MEBIBYTE,
        ge=_MEBIBYTE,
        description="Most bytes of one file of a recording; the next is begun then.",
    )

    drain_seconds: Seconds = Field(
        default=20.0, description="How long the server takes at most to stop: final checkpoints, then the end."
    )
    reflection: bool = Field(
        default=True, description="Serve gRPC reflection, by which tools find out what there is to call."
    )
    keepalive_seconds: Seconds = Field(
        default=30.0, description="Silence on a connection after which the server asks whether its caller is there."
    )
    keepalive_timeout_seconds: Seconds = Field(
        default=10.0, description="How long it waits for the answer before it gives the caller up."
    )
    min_ping_seconds: Seconds = Field(
        default=5.0, description="Callers that ask more often than this whether the server is there are cut off."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of what is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="How log lines look; auto: for people on a terminal, JSON elsewhere."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but the arguments: load_settings reads the other sources, so that it knows where each value came from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.max_tracks_per_stream < self.max_detections_per_frame:
            raise ValueError(
                f"max_tracks_per_stream ({self.max_tracks_per_stream}) is less than max_detections_per_frame "
                f"({self.max_detections_per_frame}), but every detection needs a track"
            )
        if self.record_file_bytes > self.record_total_bytes:
            raise ValueError(
                f"record_file_bytes ({self.record_file_bytes}) is more than record_total_bytes ({self.record_total_bytes})"
            )
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both, or none")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "tls_client_ca is given, but no tls_certificate and tls_key: without TLS no caller is known"
            )
        if self.case_days is not None and self.case_days < self.decision_days + 1:
            raise ValueError(
                f"case_days ({self.case_days:g}) has to be at least a day more than decision_days ({self.decision_days:g})"
            )
        if self.policy is not None and self.policy_dir is not None:
            raise ValueError("policy and policy_dir are both given; which one judges?")
        if self.webhook is not None and self.webhook_secret is None:
            raise ValueError("webhook is given, but no webhook_secret to sign with (TERTIUM_WEBHOOK_SECRET)")
        if self.label_studio is not None and self.label_studio_token is None:
            raise ValueError("label_studio is given, but no label_studio_token (TERTIUM_LABEL_STUDIO_TOKEN)")
        if self.checkpoint_key is not None and self.checkpoint_key_file is not None:
            raise ValueError("checkpoint_key and checkpoint_key_file are both given; which one signs?")
        return self


def option_name(field: str) -> str:
    """The command line's name of a field."""
    return "--" + field.replace("_", "-")


def load_settings(given: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings in force: ``given`` on the command line, then the environment, then the file ``config`` (or TERTIUM_CONFIG), then defaults.

    Values of None in ``given`` were not given, and variables that are empty are not set: compose files can't leave one out.

    Raises:
        ConfigurationError: The first wrong value, with its option, where it came from and what to do.
    """
    layers: list[tuple[str, dict[str, Any]]] = [
        ("command line", {name: value for name, value in (given or {}).items() if value is not None}),
        ("environment", dict(EnvSettingsSource(Settings, env_ignore_empty=True)())),
    ]
    path = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if path is not None:
        layers.append((f"file {path}", _read_file(path, "--config" if config else CONFIG_VARIABLE)))
    merged: dict[str, Any] = {}
    for _, values in reversed(layers):
        merged.update(values)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _explain(error.errors()[0], layers) from error


def _read_file(path: Path, source: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(
            "--config", source, f"{path} can't be read: {error.strerror}", "name a file that exists"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError("--config", source, f"{path} is no TOML: {error}", "mend the file") from error


def _explain(error: ErrorDetails, layers: Iterable[tuple[str, Mapping[str, Any]]]) -> ConfigurationError:
    """What pydantic found, in the terms of whoever set the value."""
    field = str(error["loc"][0]) if error["loc"] else ""
    problem = in_words(error)
    source = next((name for name, values in layers if field in values), "settings")
    if source == "environment":
        source = ENVIRONMENT_PREFIX + field.upper()
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Settings.model_fields, 1)
        remedy = f"did you mean {near[0]}?" if near else f"there are: {', '.join(Settings.model_fields)}"
        return ConfigurationError(field, source, "there is no such option", remedy)
    if not field:
        return ConfigurationError("settings", "taken together", problem, "change one of them")
    if error["type"] not in _NAMED_BY_THEMSELVES and not _is_secret(field):
        problem += f", not {shown(error['input'])}"
    return ConfigurationError(
        option_name(field), source, problem, f"it is meant as: {Settings.model_fields[field].description}"
    )


def _is_secret(field: str) -> bool:
    return SecretStr in get_args(Settings.model_fields[field].annotation)
