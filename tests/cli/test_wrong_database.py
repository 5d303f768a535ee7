"""Commands on a database that can't be used: one sentence that names it, and what to do."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.store.engine import Database
from tests.cli.conftest import Answer, Hpsearch
from tests.conftest import Postgres


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer.err
    assert "unexpected" not in answer.err + answer.out
    assert "try again" not in answer.err
    assert len(answer.err.splitlines()) <= 2, answer.err
    for word in words:
        assert word in answer.err + answer.out, answer


COMMANDS = [["serve", "--port", "0"], ["db", "upgrade"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_no_database(command: list[str], hpsearch: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "hpsearch.db").write_text("notes" * 1000)
    refused(
        hpsearch(*command, "--home", tmp_path), 1, str(tmp_path / "hpsearch.db"), "not a database", "backup"
    )


def test_a_command_that_starts_a_server_says_it_too(hpsearch: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "hpsearch.db").write_text("notes" * 1000)
    answer = hpsearch("study", "list", "--home", tmp_path)
    assert answer.code == 1
    assert str(tmp_path / "hpsearch.db") in answer.err
    assert "restore a backup" in answer.err


def test_an_empty_file_is_told_by_check(hpsearch: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "hpsearch.db").touch()
    refused(hpsearch("db", "check", "--home", tmp_path), 1, "is empty", "restore a backup")


@pytest.fixture
def unreadable() -> Iterator[Path]:
    """A home with a database that this process, from now on an ordinary user's, may not read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Database.open(f"sqlite:///{folder / 'hpsearch.db'}").close()
        (folder / "hpsearch.db").chmod(0)
        folder.chmod(0o777)
        root = os.geteuid() == 0
        here = Path.cwd()
        os.chdir(folder)
        if root:
            os.seteuid(65_534)
        yield folder
        if root:
            os.seteuid(0)
        os.chdir(here)


@pytest.mark.parametrize("command", [*COMMANDS, ["db", "check"], ["db", "backup", "saved"]])
def test_a_file_of_another_user(
    command: list[str], unreadable: Path, hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(unreadable))
    refused(hpsearch(*command, "--home", unreadable), 1, str(unreadable / "hpsearch.db"), "user")


@pytest.mark.parametrize("command", COMMANDS)
def test_postgres_says_what_is_wrong_and_hides_the_password(
    command: list[str], postgres: Postgres, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    url = re.sub("//[^@/]*@", "//ghost:hush@", postgres.url)
    answer = hpsearch(*command, "--home", tmp_path, "--database-url", url)
    refused(answer, 2, "no role 'ghost'", "***")
    assert "hush" not in answer.err


@pytest.mark.parametrize("command", [*COMMANDS, ["db", "check"]])
def test_a_postgres_that_is_not_there(command: list[str], hpsearch: Hpsearch, tmp_path: Path) -> None:
    answer = hpsearch(*command, "--home", tmp_path, "--database-url", "postgresql://me:hush@127.0.0.1:1/runs")
    refused(answer, 1, "127.0.0.1:1/runs is not there", "start Postgres")
