"""A database that can't be opened says which it is, why, and what mends it: trying again would not."""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.errors import DiskFull, HpsearchError, InvalidInput, Unavailable
from hpsearch.store import migrate
from hpsearch.store.engine import Database
from tests.conftest import Postgres


def refused(url: str, kind: type[HpsearchError], *words: str) -> None:
    with pytest.raises(kind) as caught:
        Database.open(url)
    said = f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in said
    assert "try again" not in said
    for word in words:
        assert word in said, said


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are not the pages you are looking for" * 100)
    refused(f"sqlite:///{path}", Unavailable, str(path), "is not a database", "backup")


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "hpsearch.db"
    Database.open(f"sqlite:///{path}").close()
    pages = bytearray(path.read_bytes())
    pages[4_096 : 4_096 * 6] = b"\xa5" * 4_096 * 5
    path.write_bytes(pages)
    refused(f"sqlite:///{path}", Unavailable, str(path), "is damaged", "restore a backup")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "hpsearch.db").touch()
    refused(
        f"sqlite:///{tmp_path / 'hpsearch.db'}", Unavailable, str(tmp_path), "is empty", "restore a backup"
    )


def test_another_programs_file(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE studies (id INTEGER)")
    refused(f"sqlite:///{path}", InvalidInput, str(path), "another program's tables", "an empty one")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(connection: object) -> None:
        tx = connection
        tx.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]
        tx.exec_driver_sql("CREATE TABLE much (n INTEGER)")  # type: ignore[attr-defined]

    monkeypatch.setattr(migrate, "upgrade", upgrade)
    refused(f"sqlite:///{tmp_path / 'x.db'}", DiskFull, str(tmp_path / "x.db"), "is full", "free disk space")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that an ordinary user can reach; pytest's own are root's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def user(folder: Path) -> Iterator[None]:
    """From now on this process has an ordinary user's rights."""
    root = os.geteuid() == 0
    Database.open(f"sqlite:///{folder / 'hpsearch.db'}").close()
    if root:
        os.seteuid(65_534)
    yield
    if root:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_file_of_another_user(mode: int, folder: Path, user: None) -> None:
    euid = os.geteuid()
    os.seteuid(os.getuid())
    (folder / "hpsearch.db").chmod(mode)
    os.seteuid(euid)
    refused(f"sqlite:///{folder / 'hpsearch.db'}", Unavailable, "can't be written by this user", "chown")


def test_a_folder_of_another_user(folder: Path, user: None) -> None:
    euid = os.geteuid()
    os.seteuid(os.getuid())
    (folder / "hpsearch.db").chmod(0o666)
    folder.chmod(0o555)
    os.seteuid(euid)
    refused(f"sqlite:///{folder / 'hpsearch.db'}", Unavailable, "can't be written by this user", "chown")
    refused(f"sqlite:///{folder / 'new.db'}", Unavailable, "can't be opened by this user", "chown")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:hush@127.0.0.1:1/runs", ["is not there", "start Postgres"]),
        ("postgresql://me:hush@no-such-host.invalid/runs", ["has no such host", "check the host"]),
        ("postgresql://me:hush@/runs?host=/no/such/folder", ["is not there", "socket"]),
    ],
)
def test_a_postgres_that_is_not_there(url: str, words: list[str]) -> None:
    refused(url, Unavailable, "postgresql://me:***@", *words)


def test_a_postgres_database_or_role_that_is_not_there(postgres: Postgres) -> None:
    refused(postgres.at("nothing"), InvalidInput, "no database 'nothing'", "createdb nothing")
    ghost = re.sub("//[^@/]*@", "//ghost:hush@", postgres.url)
    refused(ghost, InvalidInput, "no role 'ghost'", "ghost:***@", "createuser")


def test_a_postgres_role_without_rights(postgres: Postgres) -> None:
    postgres.run("CREATE ROLE guest LOGIN")
    postgres.run("CREATE DATABASE not_theirs")
    url = re.sub("//[^@/]*@", "//guest@", postgres.at("not_theirs"))
    refused(url, InvalidInput, "guest@", "does not let this role make its tables", "GRANT CREATE")


def test_another_programs_postgres_database(postgres: Postgres) -> None:
    postgres.run("CREATE DATABASE theirs")
    replace(postgres, url=postgres.at("theirs")).run("CREATE TABLE studies (id INTEGER)")
    refused(postgres.at("theirs"), InvalidInput, "theirs", "another program's tables", "an empty one")


def test_a_postgres_that_is_read_only(postgres: Postgres) -> None:
    postgres.run("CREATE DATABASE still")
    postgres.run("ALTER DATABASE still SET default_transaction_read_only = on")
    refused(postgres.at("still"), InvalidInput, "read-only", "name the primary")
