"""What all tests share: settings, and a process that each test leaves as it found it."""

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from sqlalchemy.engine import make_url

from tertium_server.storage import Database, open_store
from tests import order
from tests.stores import KINDS, fresh_store, postgres_database, postgres_server, ready_store

# A test must not fail because the machine is busy, nor only now and then: no deadline, no word of examples that are long
# in the making, and the same examples in every run.
hypothesis.settings.register_profile(
    "tertium",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tertium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order.sort(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.Sharing:
    config.option.loadscopereorder = False  # or modules of many tests would come first, not those of long ones
    return order.Sharing(config, log)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Generator[None]:
    """Undoes what a command that runs in the tests' process sets up for its own: logs to a standard error soon closed."""
    root = logging.getLogger()
    handlers, level, structured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of a PostgreSQL server, started when the first test asks for it."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The URL of an empty store, of every kind in turn."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    with fresh_store(request.param, tmp_path, server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> Generator[str]:
    """The name of a database that holds an empty store."""
    with postgres_database(postgres) as url:
        open_store(url).close()
        yield make_url(url).database or ""


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    """An empty store with its tables, of every kind in turn."""
    of_postgres = ("postgres", "postgres_template") if request.param == "postgresql" else ()
    with ready_store(request.param, tmp_path, *map(request.getfixturevalue, of_postgres)) as database:
        yield database
