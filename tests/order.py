"""Which tests run side by side, and in which order: processes of tests share out modules, the long ones first."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    # One tuning and its report, made once.
    "tests/tuning/report/": "report",
}
"""Folders whose tests share what takes long to make."""

POSTGRESQL = "postgresql"
"""Tests on PostgreSQL share one server of it."""

APART = (
    "tests/deploy/test_live.py",
    "tests/cli/test_demo.py",
    "tests/rpc/test_policy_service.py",
    "tests/rpc/test_policy_changes.py",
    "tests/end_to_end/test_process.py",
    "tests/end_to_end/test_resume.py",
    "tests/review/test_kill.py",
    "tests/tuning/test_assigning.py",
    "tests/policy/test_stores.py",
)
"""Modules whose tests are long and share nothing: each may run in another process."""

LONGEST_FIRST = (
    *APART[:2],
    "tests/end_to_end/",
    "tests/client/test_streams.py",
    "tests/rpc/test_policy",
    "tests/tuning/report/",
    "tests/web/test_review_page.py",
    "tests/review/",
    "tests/rpc/",
    "tests/cli/",
    "tests/policy/test_stores.py",
    "tests/simulation/",
    "tests/tuning/test_",
    "tests/web/",
    "tests/quality/",
)
"""Where long tests are, the longest first: begun last, one of them would keep everybody waiting in the end."""


def unit_of(nodeid: str) -> str:
    """The name of the tests that run in one process, one after another, with a test."""
    path, _, parameters = nodeid.partition("::")
    if POSTGRESQL in parameters.partition("[")[2]:
        return POSTGRESQL
    if path in APART:
        return nodeid
    return next((name for folder, name in TOGETHER.items() if nodeid.startswith(folder)), path)


def rank(nodeid: str) -> int:
    """The place of a test in the order of them all; of equal ones, the order stays."""
    return next((place for place, start in enumerate(LONGEST_FIRST) if nodeid.startswith(start)), len(LONGEST_FIRST))


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out units of tests, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def sort(items: list[pytest.Item]) -> None:
    """Puts tests into their order."""
    items.sort(key=lambda item: rank(item.nodeid))
