import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hpsearch.errors import InvalidInput, Unavailable
from hpsearch.store import postgres, sqlite
from hpsearch.store.engine import Database, Transaction, TransactionConflict, retried, savepoint


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "not in memory"),
        ("sqlite:///:memory:", "not in memory"),
        ("sqlite:////no/such/place/x.db", "does not exist"),
        ("mysql://host/name", "'mysql' is not supported"),
        ("nonsense", "can't be read"),
        ("", "can't be read"),
        ("postgresql://host:port/x", "can't be read"),
    ],
)
def test_a_url_that_can_not_work_is_refused_in_one_sentence(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Database.open(url)


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a directory"):
        Database.open(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are not the pages you are looking for" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        Database.open(f"sqlite:///{path}")


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "file_system", lambda directory: "nfs4")
    with pytest.raises(InvalidInput, match="network file system"):
        Database.open(f"sqlite:///{tmp_path / 'x.db'}")


def test_the_file_system_of_a_place_is_known(tmp_path: Path) -> None:
    assert sqlite.file_system(tmp_path) not in {"", *sqlite.NETWORK_FILE_SYSTEMS}


def test_a_postgres_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="is not there: connection failed"):
        Database.open("postgresql://nobody@127.0.0.1:1/nothing")


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args: Any, **kwargs: Any) -> Any:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(postgres, "create_engine", absent)
    with pytest.raises(InvalidInput, match="psycopg, which is not installed"):
        Database.open("postgresql://localhost/x")


def test_a_path_with_url_characters_works(tmp_path: Path) -> None:
    place = tmp_path / "50% done"
    place.mkdir()
    database = Database.open(f"sqlite:///{place / 'a b.db'}")
    database.close()
    assert (place / "a b.db").exists()


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    with database.write() as tx:
        assert tx.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert tx.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert tx.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert tx.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
        assert tx.execute(text("PRAGMA wal_autocheckpoint")).scalar() == 1000
    with database.read() as tx:
        assert tx.execute(text("PRAGMA wal_autocheckpoint")).scalar() == 0
        assert tx.execute(text("PRAGMA query_only")).scalar() == 1
    database.close()
    assert not (tmp_path / "x.db-wal").exists()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(Unavailable, match="readonly"), database.read() as tx:
        tx.execute(text("DELETE FROM studies"))
    database.close()


def test_writers_in_many_threads_take_turns(db: Database) -> None:
    with db.write() as tx:
        tx.execute(text("CREATE TABLE counter (n INTEGER)"))
        tx.execute(text("INSERT INTO counter VALUES (0)"))

    def count() -> None:
        for _ in range(10):
            with db.write() as tx:
                tx.execute(text("UPDATE counter SET n = n + 1"))

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    with db.read() as tx:
        assert tx.execute(text("SELECT n FROM counter")).scalar() == 60


def test_closing_waits_for_the_write_in_progress(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    db = Database.open(url)
    with db.write() as tx:
        tx.execute(text("CREATE TABLE kept (n INTEGER)"))
        closing = threading.Thread(target=db.close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        tx.execute(text("INSERT INTO kept VALUES (7)"))
    closing.join(10)
    assert not closing.is_alive()
    with Database.open(url).read() as tx:
        assert tx.execute(text("SELECT n FROM kept")).scalar() == 7


def test_an_error_rolls_the_transaction_back(db: Database) -> None:
    def fail() -> None:
        with db.write() as tx:
            tx.execute(text("CREATE TABLE half (n INTEGER)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(Exception, match="half"), db.read() as tx:
        tx.execute(text("SELECT * FROM half"))


def test_a_savepoint_undoes_only_its_part(db: Database) -> None:
    def fail(tx: Transaction) -> None:
        with savepoint(tx):
            tx.execute(text("INSERT INTO parts VALUES (2)"))
            raise ZeroDivisionError

    with db.write() as tx:
        tx.execute(text("CREATE TABLE parts (n INTEGER)"))
        tx.execute(text("INSERT INTO parts VALUES (1)"))
        with pytest.raises(ZeroDivisionError):
            fail(tx)
        tx.execute(text("INSERT INTO parts VALUES (3)"))
    with db.read() as tx:
        assert list(tx.execute(text("SELECT n FROM parts ORDER BY n")).scalars()) == [1, 3]


def test_a_conflict_is_run_again_and_other_failures_are_not() -> None:
    calls: list[int] = []

    @retried
    def conflicted() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise TransactionConflict("again")
        return "done"

    assert conflicted() == "done"
    assert len(calls) == 3

    @retried
    def unavailable() -> None:
        calls.append(1)
        raise Unavailable("disk full")

    with pytest.raises(Unavailable, match="disk full"):
        unavailable()
    assert len(calls) == 4


def test_a_full_database_is_unavailable_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    with database.write() as tx:
        tx.execute(text("CREATE TABLE blobs (data BLOB)"))
        tx.execute(text("INSERT INTO blobs VALUES (x'01')"))
        pages = tx.execute(text("PRAGMA page_count")).scalar_one()
        tx.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
    with pytest.raises(Unavailable, match="full"), database.write() as tx:
        tx.execute(text("INSERT INTO blobs VALUES (zeroblob(1000000))"))
    with database.write() as tx:  # and goes on
        tx.execute(text("INSERT INTO blobs VALUES (x'02')"))
    with database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM blobs")).scalar() == 2
    database.close()


def test_a_damaged_file_is_found_after_an_unclean_stop(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    database = Database.open(f"sqlite:///{path}")
    with database.write() as tx:
        tx.execute(text("CREATE TABLE filler (data BLOB)"))
        for _ in range(50):
            tx.execute(text("INSERT INTO filler VALUES (randomblob(3000))"))
    database.close()
    raw = bytearray(path.read_bytes())
    for page in range(len(raw) // 4096 - 20, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(raw)
    path.with_name("x.db-wal").write_bytes(b"\0" * 32)  # a log with content tells of a kill
    with pytest.raises(Unavailable):
        Database.open(f"sqlite:///{path}")


def test_a_kill_loses_no_commit(tmp_path: Path) -> None:
    """The file and its log as a killed process leaves them: copied while the database is open."""
    path = tmp_path / "x.db"
    database = Database.open(f"sqlite:///{path}")
    with database.write() as tx:
        tx.execute(text("CREATE TABLE kept (n INTEGER)"))
        tx.execute(text("INSERT INTO kept VALUES (7)"))
    killed = tmp_path / "killed.db"
    killed.write_bytes(path.read_bytes())
    killed.with_name("killed.db-wal").write_bytes(path.with_name("x.db-wal").read_bytes())
    database.close()
    again = Database.open(f"sqlite:///{killed}")
    with again.read() as tx:
        assert tx.execute(text("SELECT n FROM kept")).scalar() == 7
    again.close()


def test_this_sqlite_can_return_and_upsert() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35)
