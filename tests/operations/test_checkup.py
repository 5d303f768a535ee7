"""`hpsearch db check` looks at database, schema, home and every checkpoint file, on SQLite and on Postgres."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.resources import open_resources
from api.settings import Settings
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store.engine import Database
from hpsearch.store.tables import metadata
from tests.cli.conftest import Answer, Hpsearch, _apart, _own_log, hpsearch
from tests.conftest import Postgres
from tests.operations.test_backup import fill

__all__ = ["_apart", "_own_log", "hpsearch"]


@pytest.fixture
def filled(database_url: str, tmp_path: Path) -> Settings:
    """A home with a checkpoint; its server has ended."""
    settings = Settings(home=Home(tmp_path / "home"), database_url=database_url, port=0)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)
    return settings


def check(hpsearch: Hpsearch, settings: Settings, *flags: str) -> tuple[Answer, dict[str, str]]:
    place = ("--home", settings.home.path, "--database-url", settings.database)
    answer = hpsearch("db", "check", *place, "--json", *flags)
    return answer, json.loads(answer.out) if answer.out else {}


def test_a_lost_file_is_found(filled: Settings, hpsearch: Hpsearch) -> None:
    answer, found = check(hpsearch, filled)
    assert answer.code == 0, answer
    assert set(found.values()) == {"ok"}
    (file,) = filled.home.path.rglob("*.safetensors")
    file.unlink()
    answer, found = check(hpsearch, filled)
    assert answer.code == 1
    assert found["checkpoints"] != "ok"


def test_a_file_that_grew_is_not_called_short(filled: Settings, hpsearch: Hpsearch) -> None:
    (file,) = filled.home.path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes() + b"more")
    answer, found = check(hpsearch, filled)
    assert answer.code == 1
    assert found["checkpoints"].startswith("of 1 checkpoint files 1 not of their size, first ")


def test_a_home_without_the_databases_files_is_named(
    filled: Settings, hpsearch: Hpsearch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_resources(filled):
        assert "HPSEARCH_HOME" not in caplog.text
    elsewhere = filled.model_copy(update={"home": Home(tmp_path / "elsewhere")})
    with open_resources(elsewhere):  # it starts: a disk that was lost must not keep it down
        pass
    warned = f"none of the database's latest 1 checkpoints is in the home {elsewhere.home.path}: start every server"
    assert warned in caplog.text
    answer, found = check(hpsearch, elsewhere)
    assert answer.code == 1
    assert found["checkpoints"].startswith(
        f"none of the 1 files is in {elsewhere.home.checkpoints}: start every"
    )


def test_bytes_that_changed_are_found_unless_only_sizes_are_asked_for(
    filled: Settings, hpsearch: Hpsearch
) -> None:
    (file,) = filled.home.path.rglob("*.safetensors")
    file.write_bytes(b"WEIGHTS")  # it was "weights"
    answer, found = check(hpsearch, filled)
    assert answer.code == 1
    assert "1 not what was stored (SHA-256)" in found["checkpoints"]
    answer, found = check(hpsearch, filled, "--quick")
    assert answer.code == 0


def test_a_newer_schema_asks_for_a_newer_program(filled: Settings, hpsearch: Hpsearch) -> None:
    execute(filled.database, "UPDATE alembic_version SET version_num = '9999'")
    answer, found = check(hpsearch, filled)
    assert answer.code == 1
    assert found["schema"] == "newer than this program; upgrade hpsearch itself"


@pytest.mark.parametrize("versioned", [False, True])
def test_another_programs_database_is_not_taken(
    versioned: bool, database_url: str, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    foreign = Settings(home=Home(tmp_path / "home"), database_url=database_url)
    for table in ("alembic_version", *reversed(metadata.tables)):
        execute(database_url, f"DROP TABLE {table}" + (" CASCADE" if "postgres" in database_url else ""))
    execute(database_url, "CREATE TABLE studies (title varchar(10))")
    if versioned:  # by Alembic too
        execute(database_url, "CREATE TABLE alembic_version (version_num varchar(32))")
        execute(database_url, "INSERT INTO alembic_version VALUES ('abc')")
    answer, found = check(hpsearch, foreign)
    assert answer.code == 1
    assert found["schema"].startswith("another program's; ")
    for command in (["serve", "--port", "0"], ["db", "upgrade"]):
        refused = hpsearch(*command, "--home", foreign.home.path, "--database-url", database_url)
        assert refused.code == 2
        assert "holds another program's tables" in " ".join(refused.err.split())
        assert "Traceback" not in refused.err


def execute(url: str, statement: str) -> None:
    database = Database.open(url, migrate=False)
    try:
        with database.write() as tx:
            tx.execute(text(statement))
    finally:
        database.close()


def test_a_home_whose_database_is_lost_is_not_ok_and_gets_no_new_one(
    settings: Settings, hpsearch: Hpsearch
) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)
    file = settings.home.path / "hpsearch.db"
    file.unlink()
    place = ("--home", settings.home.path)
    for _ in range(2):  # being refused leaves nothing
        refused = hpsearch("serve", "--port", 0, *place)
        assert refused.code == 4
        said = " ".join(refused.err.split())
        assert f"keeps the checkpoints of a database that is lost: there is no {file}" in said
        assert not file.exists()
        answer = hpsearch("db", "check", *place)
        assert answer.code == 3
        assert f"there is no database {file}, though" in answer.err
    Database.open(settings.database).close()  # as programs of before left one
    answer = hpsearch("db", "check", *place)
    assert answer.code == 1
    assert "keeps the checkpoints of another database" in answer.out


def test_a_refused_empty_database_stays_empty(
    filled: Settings, hpsearch: Hpsearch, postgres: Postgres
) -> None:
    postgres.run("CREATE DATABASE still_empty")
    url = postgres.at("still_empty")
    refused = hpsearch("serve", "--port", 0, "--home", filled.home.path, "--database-url", url)
    assert refused.code == 4
    database = Database.open(url, migrate=False)
    assert schema_state(database) == "empty"
    database.close()
    postgres.drop(url)
