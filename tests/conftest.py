"""What all tests share: settings, and a process that each test leaves as it found it."""

import logging
from collections.abc import Generator

import hypothesis
import pytest
import structlog

# A test must not fail because the machine is busy, nor only now and then: no deadline, and the same examples in every
# run.
hypothesis.settings.register_profile("tertium", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("tertium")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Generator[None]:
    """Undoes what a command that runs in the tests' process sets up for its own: logs to a standard error soon closed."""
    root = logging.getLogger()
    handlers, level, structured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)
