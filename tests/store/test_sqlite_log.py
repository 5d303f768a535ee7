"""SQLite's write-ahead log: readers that overlap leave no moment at which it could start anew by itself."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from hpsearch.store import sqlite
from hpsearch.store.engine import Database

MIB = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def db(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(sqlite, "LOG_MIB", 8)
    db = Database.open(f"sqlite:///{path}")
    with db.write() as tx:
        tx.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"))
    yield db
    db.close()


def write(db: Database) -> None:
    """A page of 100 kB, always the same: the database does not grow."""
    with db.write() as tx:
        tx.execute(text("INSERT OR REPLACE INTO t VALUES (1, zeroblob(100000))"))


def log_of(path: Path) -> int:
    return path.with_name("x.db-wal").stat().st_size


@contextmanager
def overlapping(db: Database) -> Iterator[None]:
    """Someone reads at any moment, and nobody for long."""
    over = threading.Event()

    def read(first: threading.Event, second: threading.Event) -> None:
        while not over.is_set():
            with db.read() as tx:
                tx.execute(text("SELECT count(*) FROM t")).scalar()
                first.set()  # the other one may end
                second.wait(0.05)
                second.clear()

    one, other = threading.Event(), threading.Event()
    readers = [threading.Thread(target=read, args=pair) for pair in ((one, other), (other, one))]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        over.set()
        for reader in readers:
            reader.join()


def grown(db: Database, path: Path) -> int:
    while log_of(path) < 12 * MIB:
        write(db)
    return log_of(path)


def test_readers_that_overlap_do_not_make_the_log_grow_without_bound(db: Database, path: Path) -> None:
    with overlapping(db):
        grown(db, path)
        assert wait_for(db.shorten_log)
        write(db)
    assert log_of(path) < MIB
    with db.read() as tx:
        assert tx.execute(text("SELECT length(x) FROM t")).scalar_one() == 100_000


def test_a_reader_that_stays_keeps_writers_waiting_for_half_a_second_at_most(
    db: Database, path: Path
) -> None:
    with db.read() as reading:
        before = reading.execute(text("SELECT count(*) FROM t")).scalar_one()
        size = grown(db, path)
        began = time.monotonic()
        assert not db.shorten_log()
        write(db)
        assert time.monotonic() - began < 5
        assert log_of(path) >= size
        assert reading.execute(text("SELECT count(*) FROM t")).scalar_one() == before == 0
    assert db.shorten_log()
    assert log_of(path) == 0


def test_a_small_log_is_left_alone(db: Database, path: Path) -> None:
    write(db)
    size = log_of(path)
    assert db.shorten_log()
    assert log_of(path) == size > 0


def wait_for(call: Callable[[], bool]) -> bool:
    """As the server does, which asks again later."""
    return any(call() for _ in range(20))
