"""What looks over the decisions' shoulder: human review, the estimates of precision and recall, and the pages for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry
from starlette.routing import Route

from tertium_server.app.making import classes_told_apart, store_url
from tertium_server.config import Settings
from tertium_server.errors import StartError
from tertium_server.policy.keeper import PolicyKeeper
from tertium_server.quality.department import QualityDepartment
from tertium_server.quality.drift import DriftMetrics
from tertium_server.quality.ledger import Ledger
from tertium_server.review.access import Gate
from tertium_server.review.bridges.label_studio import LabelStudioSettings
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.retention import RetentionRules
from tertium_server.review.webhook import WebhookSettings
from tertium_server.rpc.keeping import DecisionKeeping
from tertium_server.rpc.quality_service import QualityService
from tertium_server.rpc.review_service import ReviewService
from tertium_server.rpc.reviewing import ReviewLimits, ReviewLink
from tertium_server.web.door import Door
from tertium_server.web.live_figures import LiveFigures
from tertium_server.web.live_page import LivePages
from tertium_server.web.review_page import ReviewPages

_STOP_SECONDS = 5.0
_DRIFT_ROUNDS = 4
"""Scores are compared once in so many refreshes of the estimates."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Oversight:
    """Its parts, all of them there or none: a server without review has no oversight. Everything slow in it happens in threads of its own."""

    review: ReviewDepartment
    link: ReviewLink
    """To the streams."""
    quality: QualityDepartment
    keeping: DecisionKeeping | None
    """Keeps decisions for truth to come; None: nothing is kept."""
    gate: Gate

    @classmethod
    def make(cls, settings: Settings, keeper: PolicyKeeper) -> Self:
        """Sets it up; nothing runs yet.

        Raises:
            StartError: The store, or a folder, can't be used.
        """
        classes = classes_told_apart(settings, keeper.in_force.policy)
        review = ReviewDepartment(_review_settings(settings, classes))
        limits = ReviewLimits(pictures=settings.evidence_pictures)
        return cls(
            review,
            ReviewLink(review.office, review.clerk, review.gallery, limits),
            QualityDepartment(review.store, classes, seconds=settings.estimate_seconds),
            _make_keeping(settings),
            Gate.of_folder(settings.data_dir) if settings.tokens is None else Gate.of_file(settings.tokens),
        )

    def services(self) -> tuple[ReviewService, QualityService]:
        """What it offers over gRPC."""
        return ReviewService(self.review, self.gate), QualityService(self.quality, self.keeping, self.gate)

    def register(self, registry: CollectorRegistry, keeper: PolicyKeeper, settings: Settings) -> None:
        """Adds its metrics to the registry."""
        self.review.metrics.snapshot.lost_messages = lambda: self.link.lost
        registry.register(self.review.metrics)
        classes = classes_told_apart(settings, keeper.in_force.policy)
        drift = DriftMetrics(self.review.store, lambda: keeper.in_force.policy, classes)
        registry.register(drift)
        self.review.clerk.add_chore(drift.update, every=_DRIFT_ROUNDS * settings.estimate_seconds)
        registry.register(self.quality.metrics)
        if self.keeping is not None:
            registry.register(self.keeping)

    def routes(self, registry: CollectorRegistry, settings: Settings) -> list[Route]:
        """Its pages."""
        header = settings.trusted_proxy_header
        figures = LiveFigures(registry, self.review.store, settings.groups)
        live = LivePages(figures, Door(self.gate, header))
        return [*live.routes(), *ReviewPages(self.review, self.gate, header).routes()]

    def start(self) -> None:
        """Begins.

        Raises:
            StartError: The store can't be used.
        """
        self.review.start()
        self.link.start()
        self.quality.start()
        if self.keeping is not None:
            self.keeping.start()

    def stop(self) -> None:
        """Writes down what waits, and ends."""
        self.quality.stop(_STOP_SECONDS)
        if self.keeping is not None:
            self.keeping.stop(_STOP_SECONDS)
        self.link.stop(_STOP_SECONDS)
        self.review.stop(_STOP_SECONDS)


def _review_settings(settings: Settings, classes: tuple[str, ...]) -> ReviewSettings:
    return ReviewSettings(
        store_url=store_url(settings),
        spool_folder=settings.data_dir / "spool",
        evidence_url=settings.evidence or str((settings.data_dir / "evidence").absolute()),
        evidence_days=settings.evidence_days,
        retention=RetentionRules(decision_days=settings.decision_days, case_days=settings.case_days),
        classes=classes,
        webhook=_webhook_settings(settings),
        label_studio=_label_studio_settings(settings),
        poll_seconds=settings.label_studio_poll_seconds,
    )


def _make_keeping(settings: Settings) -> DecisionKeeping | None:
    if not settings.ledger_bytes:
        return None
    folder = settings.data_dir / "ledger"
    try:
        return DecisionKeeping(Ledger(folder, settings.ledger_bytes, _HOUR * settings.ledger_hours))
    except OSError as error:
        raise StartError(f"{folder}: can't be written: {error.strerror}") from error


def _webhook_settings(settings: Settings) -> WebhookSettings | None:
    if settings.webhook is None or settings.webhook_secret is None:
        return None
    return WebhookSettings(settings.webhook, settings.webhook_secret.get_secret_value().encode())


def _label_studio_settings(settings: Settings) -> LabelStudioSettings | None:
    if settings.label_studio is None or settings.label_studio_token is None:
        return None
    token = settings.label_studio_token.get_secret_value()
    return LabelStudioSettings(settings.label_studio, token, settings.label_studio_project)
