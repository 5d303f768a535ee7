"""The locks that a running server holds: on its home, and on its SQLite file."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import fasteners

from api.residence import waiting
from api.settings import Settings
from hpsearch.errors import Conflict
from hpsearch.home import Home
from hpsearch.residents import living
from hpsearch.store.engine import sqlite_file

PATIENCE_SECONDS = 15.0  # a server ends within its grace for requests under way, 5 s


@contextmanager
def locked(settings: Settings, *, passing: bool) -> Iterator[None]:
    """One server per home and SQLite file; any number per Postgres database, which may share a home.

    A server that comes to stay has one that only passes leave the home to it. Raises Conflict where another one runs.
    """
    home, file = settings.home, sqlite_file(settings.database)
    lock = fasteners.InterProcessReaderWriterLock(str(home.lock))
    take = lock.acquire_read_lock if file is None else lock.acquire_write_lock
    if not take(blocking=False) and (passing or not _left_to_us(home, take)):
        address = home.read_address()
        where = f" at {address.url} (process {address.pid})" if address else ""
        raise Conflict(
            f"another server runs on {home.path}{where}",
            hint="use that one, stop it first, or choose another home with --home or HPSEARCH_HOME",
        )
    try:
        with nullcontext() if file is None else _sole_writer(file):
            yield
    finally:
        (lock.release_read_lock if file is None else lock.release_write_lock)()


def _left_to_us(home: Home, take: Callable[..., bool]) -> bool:
    """Whether those who hold the lock all pass, and have left within PATIENCE_SECONDS."""
    there = living(home.servers)
    if not there or not all(one.passing for one in there):
        return False
    logging.getLogger("api").info("the server that a command has started on %s is to leave", home.path)
    with waiting(home):
        return take(blocking=True, timeout=PATIENCE_SECONDS)


@contextmanager
def _sole_writer(file: Path) -> Iterator[None]:
    # SQLite bears one writing process only: the WAL-reset bug (3.7.0 to 3.51.2) loses commits of two.
    lock = fasteners.InterProcessLock(f"{file}.lock")
    try:
        free = lock.acquire(blocking=False)
    except OSError:
        free = True  # no such folder: opening the database says so
    if not free:
        raise Conflict(
            f"another server, of another home, has the database {file} open",
            hint="SQLite takes one server: stop that one, or use Postgres for several",
        )
    try:
        yield
    finally:
        if lock.acquired:
            lock.release()
