"""The database: opened once, handed to every service call."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from sqlite3 import SQLITE_FULL
from typing import Literal, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hpsearch.errors import DiskFull, HpsearchError, InvalidInput, Unavailable
from hpsearch.store import migrate as migration
from hpsearch.store import postgres, sqlite

Transaction = Connection

log = logging.getLogger(__name__)

_POSTGRES_TIME = text("SELECT extract(epoch FROM clock_timestamp())::double precision")

P = ParamSpec("P")
R = TypeVar("R")


class TransactionConflict(Unavailable):
    """The transaction met another one and was rolled back whole: run it again."""


ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.02


def retried(call: Callable[P, R]) -> Callable[P, R]:
    """Run a service call again when its transaction was rolled back for another's sake: six times, with a
    pause of full jitter below a ceiling that doubles."""

    @wraps(call)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        # Not stamina: where structlog is not configured, what it says of each repeat goes to standard output.
        for attempt in range(ATTEMPTS - 1):
            try:
                return call(*args, **kwargs)
            except TransactionConflict as conflict:
                log.info("%s is run again: %s", call.__name__, conflict)
            time.sleep(random.uniform(0, FIRST_WAIT_SECONDS * 2**attempt))  # noqa: S311 - jitter
        return call(*args, **kwargs)

    return again


class Database:
    """A SQLite file or a Postgres database. Thread-safe; service calls open one transaction each."""

    def __init__(self, url: URL, writer: Engine, readers: Engine) -> None:
        self.url = url
        self._writer = writer
        self._readers = readers
        # SQLite's one writing connection serves one thread at a time.
        self._turn: threading.Lock | None = threading.Lock() if self.dialect == "sqlite" else None

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> "Database":
        """Open, and bring the schema up to date.

        `url`: `sqlite:////absolute/file.db` or `postgresql://user:password@host/name`. Raises InvalidInput
        for a URL that can't work and Unavailable where the database does not answer.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            writer, readers = sqlite.engines(parsed)
        else:
            writer = readers = postgres.engine(parsed)
        database = cls(parsed, writer, readers)
        if migrate:
            try:
                database.upgrade()
            except BaseException:
                database.close()
                raise
        return database

    def upgrade(self) -> None:
        """Bring the schema up to date."""
        with self.write() as tx:
            migration.upgrade(tx)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        return "sqlite" if self._writer.dialect.name == "sqlite" else "postgresql"

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction that may write; committed at the end, rolled back on any error.

        Do not nest. Raises Unavailable where the database failed: nothing was stored, or, when it failed in
        the commit itself, perhaps all; service calls are idempotent, so run it again. TransactionConflict
        tells that nothing was stored.
        """
        with self._writing(), _translated(), self._writer.begin() as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One transaction that only reads."""
        with _translated(), self._readers.begin() as tx:
            yield tx

    def wall_clock(self) -> datetime:
        """The time that all servers of this database share: Postgres's own, or for SQLite this machine's."""
        if self.dialect == "sqlite":
            return datetime.now(UTC)
        with self.read() as tx:
            return datetime.fromtimestamp(tx.execute(_POSTGRES_TIME).scalar_one(), UTC)

    def shorten_log(self) -> bool:
        """Start SQLite's write-ahead log anew where it has grown large, which keeps writers waiting for half a second
        at most; False where readers did not let it, and a later time may do. Nothing to do for Postgres."""
        if self.dialect == "postgresql":
            return True
        with self._writing(), _translated():
            return sqlite.shorten_log(self._writer, Path(self.url.database or ""))

    def close(self) -> None:
        """Close every connection; SQLite's writer goes last, so that it empties the write-ahead log.

        Waits for a write in progress: closing SQLite's connection under the thread that uses it kills the process.
        """
        self._readers.dispose()
        with self._writing():
            self._writer.dispose()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        with self._turn:
            yield


@contextmanager
def savepoint(tx: Transaction) -> Iterator[None]:
    """A part that can fail alone: any error undoes it, and only it, and is raised on."""
    with _translated(), tx.begin_nested():
        yield


def allow_long_statements(tx: Transaction, seconds: int = 60) -> None:
    """Lift the statement limit for the rest of this transaction: bulk plans and deletions."""
    if tx.dialect.name == "postgresql":
        tx.execute(text(f"SET LOCAL statement_timeout = '{int(seconds)}s'"))


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for Postgres. Raises InvalidInput for a URL that can't be read."""
    parsed = _parse(url)
    return Path(parsed.database or "").absolute() if parsed.get_backend_name() == "sqlite" else None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "the database URL can't be read",
            hint="use sqlite:////path/file.db or postgresql://user@host/name",
        ) from None
    if backend not in ("sqlite", "postgresql"):
        raise InvalidInput(f"database {backend!r} is not supported", hint="use sqlite or postgresql")
    return parsed


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's operational failures in the house's words."""
    try:
        yield
    except PoolTimeout:
        raise Unavailable("all database connections are busy", hint="try again in a moment") from None
    except IntegrityError as error:
        # Two first writers of one name: the second finds the first's row when run again.
        raise TransactionConflict(f"the database refused a duplicate: {error.orig}") from error
    except (OverflowError, DataError):
        raise InvalidInput("a number is out of the database's range, or a text too long") from None
    except DBAPIError as error:
        failure = _failure(error)
        if failure is None:
            raise
        raise failure from error


def _failure(error: DBAPIError) -> HpsearchError | None:
    """None for what is a bug of ours and not a failure of the database."""
    state = getattr(error.orig, "sqlstate", None)
    if state in (postgres.SERIALIZATION_FAILURE, postgres.DEADLOCK_DETECTED):
        return TransactionConflict("the database asked to run the transaction again")
    if state == postgres.DISK_FULL or getattr(error.orig, "sqlite_errorcode", None) == SQLITE_FULL:
        return DiskFull(
            "the database's disk is full; nothing was stored", hint="free disk space on the server"
        )
    # A file that is damaged or no database is SQLite's plain DatabaseError.
    if (
        error.connection_invalidated
        or isinstance(error, OperationalError | InterfaceError)
        or type(error) is DatabaseError
    ):
        sentence = " ".join(str(error.orig).split())[:300]
        return Unavailable(f"the database can't do this now: {sentence}", hint="try again in a moment")
    return None
