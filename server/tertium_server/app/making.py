"""The parts of a server, made from its settings; an error names the option and the remedy."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry

from tertium.recording import Limits, Recorder
from tertium_server.config import Settings
from tertium_server.errors import ConfigurationError, StartError
from tertium_server.metrics import Metrics
from tertium_server.policy import Policy, PolicyError
from tertium_server.policy.keeper import FileSource, PolicyKeeper, PolicySource, StoreSource
from tertium_server.policy.store import FolderStore, LateStore

# rpc first of all that imports grpc: it decides how grpc polls (see rpc/__init__.py).
from tertium_server.rpc.call_metrics import CODES
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.checkpoint_key import make_or_read_key, read_key
from tertium_server.rpc.keeping import DecisionKeeping
from tertium_server.rpc.opening import EpochClock, FrameLimits
from tertium_server.rpc.policy_changes import labels_of
from tertium_server.rpc.reviewing import ReviewLink
from tertium_server.rpc.terms import StreamTerms
from tertium_server.storage import open_store, sqlite_url
from tertium_server.storage.opening import FILE

_REVISION_VARIABLE = "TERTIUM_BUILD_REVISION"
_TYPICAL_TRACKS = 20  # what a detection is compared with, in settings that count work in detections


def make_data_dir(settings: Settings) -> None:
    """Makes the data folder.

    Raises:
        StartError: It can't be made, or written.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"--data-dir {settings.data_dir}: can't be made: {error.strerror}; name another folder"
        ) from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise StartError(f"--data-dir {settings.data_dir}: can't be written; name another folder")


def make_keeper(settings: Settings) -> PolicyKeeper:
    """The policies that are in force, and where new ones come from.

    Raises:
        ConfigurationError: The policy can't be used.
    """
    option, value, remedy = "--store", "the store", "mend it, or name another"
    source: PolicySource
    if settings.policy is not None:
        option, value, remedy = "--policy", str(settings.policy), "mend the file, or leave the option out"
        source = FileSource(settings.policy)
    elif settings.policy_dir is not None:
        option, value, remedy = "--policy-dir", str(settings.policy_dir), "mend the folder, or leave the option out"
        source = StoreSource(FolderStore(_existing(settings.policy_dir)))
    else:
        source = StoreSource(_policy_store(settings))
    try:
        return PolicyKeeper(source)
    except PolicyError as error:
        raise ConfigurationError(option, value, str(error), remedy) from error


def make_recorder(settings: Settings, metrics: Metrics) -> Recorder | None:
    """What writes down what cameras send; None: nothing does.

    Raises:
        StartError: The folder can't be written.
    """
    if settings.record is None:
        return None
    limits = Limits(part=settings.record_file_bytes, total=settings.record_total_bytes)
    try:
        recorder = Recorder(settings.record, limits)
    except OSError as error:
        raise StartError(
            f"--record {settings.record}: can't be written: {error.strerror}; name another folder"
        ) from error
    metrics.watch_recorder(lambda: recorder.lost_frames, lambda: recorder.pending)
    return recorder


def make_metrics(registry: CollectorRegistry, settings: Settings, policy: Policy) -> Metrics:
    """The server's own metrics, registered."""
    return Metrics(
        registry,
        version=version("tertium"),
        revision=os.environ.get(_REVISION_VARIABLE, "unknown"),
        policy=labels_of(policy),
        groups=settings.groups,
        classes=classes_told_apart(settings, policy),
        codes=CODES,
    )


def make_terms(
    settings: Settings,
    keeper: PolicyKeeper,
    recorder: Recorder | None,
    link: ReviewLink | None,
    keeping: DecisionKeeping | None,
) -> StreamTerms:
    """What all streams have in common."""
    return StreamTerms(
        policies=keeper,
        shadow_share=settings.shadow_share,
        sealer=CheckpointSealer(_read_key(settings)),
        limits=FrameLimits(
            settings.max_detections_per_frame, settings.max_tracks_per_stream, settings.max_frames_per_message
        ),
        checkpoint_interval=settings.checkpoint_interval,
        epochs=EpochClock(),
        recorder=recorder,
        review=link,
        most_work=settings.heavy_detections * _TYPICAL_TRACKS,
        keeping=keeping,
    )


def classes_told_apart(settings: Settings, policy: Policy) -> tuple[str, ...]:
    """Classes that metrics tell apart."""
    return (*policy.class_names(), *settings.classes)


def store_url(settings: Settings) -> str:
    """Where decisions, cases and policies are kept."""
    return sqlite_url(settings.data_dir) if settings.store is None else settings.store.get_secret_value()


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigurationError("--policy-dir", str(folder), "there is no such folder", "make it, or name another")
    return folder


def _policy_store(settings: Settings) -> LateStore:
    if settings.store is not None:
        url = settings.store.get_secret_value()
        return LateStore(lambda: open_store(url), lambda: True)
    url = sqlite_url(settings.data_dir)
    return LateStore(lambda: open_store(url), (settings.data_dir / FILE).exists)


def _read_key(settings: Settings) -> bytes:
    if settings.checkpoint_key is not None:
        return settings.checkpoint_key.get_secret_value().encode()
    if settings.checkpoint_key_file is not None:
        return read_key(settings.checkpoint_key_file)
    return make_or_read_key(settings.data_dir)
