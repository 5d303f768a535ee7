"""A mistyped home is not made: only `serve`, `run` and `study create` make one."""

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer

from hpsearch.cli import main as entry
from hpsearch.home import Home
from tests.cli.conftest import Hpsearch
from tests.conftest import Postgres

COMMANDS = [
    ["db", "upgrade"], ["db", "check"], ["db", "prune"], ["db", "backup", "saved"], ["token", "create", "ci"],
    ["token", "list"], ["token", "revoke", "1"], ["study", "list"], ["study", "show", "x"], ["trial", "show", "1"],
    ["worker", "list"], ["worker", "drain", "x"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_that_is_not_there(command: list[str], hpsearch: Hpsearch, tmp_path: Path) -> None:
    answer = hpsearch(*command, "--home", tmp_path / "far" / "typo")
    assert answer.code == 3, answer.err
    assert str(tmp_path / "far" / "typo") in answer.err
    assert "`hpsearch serve`" in answer.err or "--home" in answer.err
    assert not (tmp_path / "far").exists()
    assert not (tmp_path / "saved" / "hpsearch.db").exists()


@pytest.mark.parametrize("command", [["db", "upgrade"], ["token", "list"]])
def test_the_nearest_home_is_named(command: list[str], hpsearch: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "experiments" / "home").mkdir(parents=True)
    (tmp_path / "experiments" / "home" / "hpsearch.db").touch()
    (tmp_path / "experimen" / "home").mkdir(parents=True)  # nearer, and none
    answer = hpsearch(*command, "--home", tmp_path / "experiment" / "home")
    assert answer.code == 3
    assert f"did you mean {tmp_path / 'experiments' / 'home'}?" in answer.err


@pytest.mark.parametrize("command", [["db", "upgrade"], ["token", "list"]])
def test_a_folder_that_is_no_home_stays_as_it_is(
    command: list[str], hpsearch: Hpsearch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    answer = hpsearch(*command, "--home", tmp_path / "here")
    assert answer.code == 3
    assert "no server has run on the folder" in answer.err
    assert list((tmp_path / "here").iterdir()) == []


def test_a_worker_makes_no_home_where_it_finds_no_server(hpsearch: Hpsearch, tmp_path: Path) -> None:
    answer = hpsearch("worker", "start", "--home", tmp_path / "typo")
    assert answer.code == 5
    assert "`hpsearch serve`" in answer.err
    assert not (tmp_path / "typo").exists()


def test_a_database_that_is_not_there_is_not_made(hpsearch: Hpsearch, tmp_path: Path) -> None:
    for command in (["db", "upgrade"], ["db", "check"]):
        answer = hpsearch(*command, "--database-url", f"sqlite:///{tmp_path / 'typo.db'}")
        assert answer.code == 3, answer.err
        assert "typo.db" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_there_is_upgraded(hpsearch: Hpsearch, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    with closing(sqlite3.connect(home.path / "hpsearch.db")) as bare:
        bare.execute("PRAGMA user_version = 1")
    assert hpsearch("db", "upgrade", "--home", home.path).code == 0
    assert hpsearch("db", "check", "--home", home.path).code == 0


def test_upgrading_postgres_needs_no_home(hpsearch: Hpsearch, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create()
    answer = hpsearch("db", "upgrade", "--database-url", url, "--home", tmp_path / "none")
    postgres.drop(url)
    assert answer.code == 0, answer.err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_refused_public_server_leaves_no_home_and_says_the_whole_command(
    kind: str, hpsearch: Hpsearch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    arguments = ["serve", "--host", "0.0.0.0", "--port", "0", "--home", str(tmp_path / "new home")]
    if kind == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create()
        arguments += ["--database-url", url]
    answer = hpsearch(*arguments)
    if kind == "postgres":
        server.drop(url)
    assert answer.code == 2, answer.err
    assert not (tmp_path / "new home").exists()
    command = shlex.split(answer.err.split("`")[1])
    assert command == ["hpsearch", "serve", "--host", "127.0.0.1", "--home", str(tmp_path / "new home")]
    assert "serve" in typer.main.get_command(entry.app).commands  # type: ignore[attr-defined]


def test_a_server_that_can_not_start_leaves_no_home(hpsearch: Hpsearch, tmp_path: Path) -> None:
    database = "postgresql://me@127.0.0.1:1/runs"
    assert hpsearch("serve", "--home", tmp_path / "new", "--database-url", database).code == 1
    assert not (tmp_path / "new").exists()
