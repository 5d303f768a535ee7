"""`hpsearch db check` looks at database, schema, home and every checkpoint file, on SQLite and on Postgres."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.resources import open_resources
from api.settings import Settings
from hpsearch.home import Home
from tests.cli.conftest import Answer, Hpsearch, _apart, _own_log, hpsearch
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
