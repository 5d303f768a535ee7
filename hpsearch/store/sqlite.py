"""SQLite: one connection writes and checkpoints, any number read."""

import sqlite3
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import PoolProxiedConnection, QueuePool, StaticPool

from hpsearch.errors import InvalidInput, Unavailable

BUSY_SECONDS = 10
LOG_MIB = 64  # of write-ahead log: sixteen times what is left where no readers overlap
LOG_WAIT_MS = 500  # for the readers of an older state, while nobody writes
READERS = 8
MORE_READERS = 32  # as many as the server has threads
# Locks of these are advisory at best; SQLite's own documentation warns of corruption.
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs"})


def engines(url: URL) -> tuple[Engine, Engine]:
    """(the writer, the readers) of a database file. Raises InvalidInput for a place that can't hold one."""
    path = _path(url)
    # Restart from a path that can't hold URL syntax of its own.
    plain = make_url("sqlite://").set(database=str(path))
    connect_args: dict[str, Any] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    writer = create_engine(plain, poolclass=StaticPool, connect_args=connect_args)
    event.listen(writer, "connect", _prepare_writer)
    _begin_with(writer, "BEGIN IMMEDIATE")
    readers = create_engine(
        plain, poolclass=QueuePool, pool_size=READERS, max_overflow=MORE_READERS, connect_args=connect_args
    )
    event.listen(readers, "connect", _prepare_reader)
    _begin_with(readers, "BEGIN")
    if _stopped_uncleanly(path):
        _quick_check(writer, path)
    return writer, readers


def _path(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise InvalidInput(
            "the database must be a file, not in memory", hint="use sqlite:////absolute/path/hpsearch.db"
        )
    path = Path(url.database).absolute()
    if path.is_dir():
        raise InvalidInput(f"the database {path} is a directory, not a file")
    if not path.parent.is_dir():
        raise InvalidInput(f"the database's directory {path.parent} does not exist", hint="create it first")
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise InvalidInput(
            f"the database {path} lies on a network file system ({kind}), which SQLite's locks do not survive",
            hint="use a local disk, or Postgres",
        )
    refuse_empty(path)
    return path


def refuse_empty(path: Path) -> None:
    """Raises Unavailable for a file of no bytes: SQLite would take it for a new database, and hide that one is lost.

    A database of ours has its first page before anything else happens.
    """
    if path.is_file() and path.stat().st_size == 0:
        raise Unavailable(f"the database {path} is empty", hint="restore a backup or remove it")


def file_system(directory: Path) -> str:
    """The type of the file system that holds `directory`, as the operating system names it; "" if unknown."""
    resolved = directory.resolve()
    mounts = [p for p in psutil.disk_partitions(all=True) if resolved.is_relative_to(p.mountpoint)]
    return max(mounts, key=lambda p: len(p.mountpoint)).fstype if mounts else ""


def _stopped_uncleanly(path: Path) -> bool:
    """The last connection to close empties the write-ahead log; one with content tells of a kill."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _quick_check(writer: Engine, path: Path) -> None:
    with writer.connect() as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if verdict != "ok":
        raise Unavailable(
            f"the database {path} is damaged: {verdict}", hint="restore a backup or `sqlite3 FILE .recover`"
        )


def shorten_log(writer: Engine, path: Path) -> bool:
    """Start a write-ahead log above LOG_MIB anew; False where readers did not let it within LOG_WAIT_MS.

    SQLite itself does so only at a moment at which nobody reads from it, and readers that overlap leave none: it
    would grow for as long as they do.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size < LOG_MIB * 2**20:
        return True
    connection = writer.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {LOG_WAIT_MS}")
        (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    finally:
        connection.close()
    return not busy


def _prepare(connection: sqlite3.Connection) -> sqlite3.Cursor:
    connection.isolation_level = None  # BEGIN is ours: pysqlite's own would be deferred
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA mmap_size = 0")
    cursor.execute("PRAGMA foreign_keys = ON")
    return cursor


def _prepare_writer(connection: sqlite3.Connection, _: Any) -> None:
    cursor = _prepare(connection)
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _prepare_reader(connection: sqlite3.Connection, _: Any) -> None:
    # Two connections that write or checkpoint at once can lose commits before SQLite 3.51.3 (WAL reset bug).
    cursor = _prepare(connection)
    cursor.execute("PRAGMA wal_autocheckpoint = 0")
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _begin_with(engine: Engine, statement: str) -> None:
    """What the dialect sends at the start of a transaction: nothing by itself, as pysqlite's own BEGIN is off.

    Not a listener of "begin": with one, SQLAlchemy looks for listeners before and after every statement.
    """

    def begin(connection: PoolProxiedConnection) -> None:
        connection.cursor().execute(statement)

    engine.dialect.do_begin = begin  # type: ignore[assignment]
