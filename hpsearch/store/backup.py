"""A SQLite database copied and examined from outside, also while its server runs.

Only reads, through a connection of its own: what is committed when the copy ends is in it, whole.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hpsearch.errors import DiskFull, HpsearchError, NotFound, Unavailable
from hpsearch.store.sqlite import refuse_empty
from hpsearch.store.stored_files import StoredFile

PAGES = 4_096  # copied at a time; the server's writer waits no longer than that takes
BUSY_SECONDS = 10.0


def require(database: Path) -> None:
    """Raises NotFound where there is no such file, Unavailable where it is empty."""
    if not os.path.isfile(database):  # noqa: PTH113 - false where its folder can't be read
        raise NotFound(f"there is no database {database}", hint="name its home with --home")
    refuse_empty(database)


def copy(database: Path, target: Path) -> None:
    """Copy to a new file (0600), checked and synced. Raises NotFound without a database, HpsearchError where
    the target exists or can't be written, Unavailable where the copy is damaged."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _reading(database) as source, closing(sqlite3.connect(target)) as copied:
            source.backup(copied, pages=PAGES)
            copied.execute("PRAGMA journal_mode = DELETE")  # one file, until a server writes to it
        problems = damage(target)
        _sync(target)
    except OSError as error:
        raise HpsearchError(f"can't write {target}: {error.strerror}") from None
    except sqlite3.Error as error:
        # Which of the two files an error is about, SQLite does not tell; but nothing is written to the source.
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise DiskFull(
                f"can't write {target}: its disk is full",
                hint="free disk space there, or name a folder elsewhere",
            ) from None
        raise Unavailable(f"can't copy {database} to {target}: {error}") from None
    if problems:
        raise Unavailable(f"the copy of {database} is damaged: {problems[0]}")


def finish(unfinished: Path, target: Path) -> None:
    """Give the copy the name under which it is served. Raises HpsearchError where the disk refuses."""
    try:
        unfinished.rename(target)
        _sync(target)
    except OSError as error:
        raise HpsearchError(f"can't write {target}: {error.strerror}") from None


def damage(database: Path) -> list[str]:
    """What SQLite's own checks find wrong with the file and its references; nothing where all is well."""
    with _reading(database) as connection:
        try:
            pages = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
            broken = list(connection.execute("PRAGMA foreign_key_check"))
        except sqlite3.Error as error:
            return [str(error)]
    found = [text for text in pages if text != "ok"]
    return found + [
        f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in broken
    ]


def stored_files(database: Path) -> list[StoredFile]:
    """The checkpoints that the database knows."""
    with _reading(database) as connection:
        rows = connection.execute("SELECT path, size, sha256 FROM checkpoints ORDER BY run_id, name")
        return [StoredFile(*row) for row in rows]


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    require(database)
    with closing(_connected(database)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        yield connection


def _connected(database: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise Unavailable(
            f"the database {database} can't be read: {error}", hint="run this as the user who owns it"
        ) from None


def _sync(path: Path) -> None:
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
