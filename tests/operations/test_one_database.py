"""One home serves one database: also a restored copy of it, which has the same identity, is another."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.resources import open_resources
from api.server import background
from api.settings import Settings
from hpsearch.errors import Conflict
from hpsearch.home import Home
from tests.api.test_server import run_server, told_by
from tests.conftest import Postgres
from tests.operations.test_backup import fill


@pytest.fixture
def live(postgres: Postgres, tmp_path: Path) -> Iterator[Settings]:
    """A home with a checkpoint, of a Postgres database."""
    url = postgres.create()
    settings = Settings(home=Home(tmp_path / "live"), database_url=url, port=0)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        fill(http)
    yield settings
    postgres.drop(url)


@pytest.fixture
def copied(postgres: Postgres, live: Settings) -> Iterator[Settings]:
    """The same home with a copy of its database."""
    name = f"copy_{os.getpid()}"
    postgres.run(
        f"CREATE DATABASE {name} TEMPLATE {str(live.database_url).partition('?')[0].rpartition('/')[2]}"
    )
    url = postgres.at(name)
    yield live.model_copy(update={"database_url": url})
    postgres.drop(url)


def test_a_restored_copy_is_refused_where_its_original_is_served(live: Settings, copied: Settings) -> None:
    with background(live) as address:
        refused = run_server(live, "--database-url", str(copied.database_url))
        said = " ".join(told_by(refused)[1].split())
        assert refused.returncode == 4, said
        assert f"a server of another database runs on {live.home.path} at {address.url}" in said
        assert "HPSEARCH_HOME" in said
        assert list(live.home.checkpoints.rglob("*.safetensors"))
        with open_resources(live):  # its own, under any name of the database
            pass
        renamed = str(live.database_url).replace("postgresql://", "postgresql+psycopg://")
        with open_resources(live.model_copy(update={"database_url": renamed})):
            pass


def test_a_restored_copy_takes_the_place_of_what_is_lost(live: Settings, copied: Settings) -> None:
    with open_resources(copied):
        pass
    # What a killed server leaves does not count.
    killed = run_server(live, "--database-url", str(live.database_url))
    deadline = time.monotonic() + 60
    while live.home.read_address() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(Conflict, match="a server of another database runs on"), open_resources(copied):
        pass
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with open_resources(copied):
        assert len(list(live.home.servers.iterdir())) == 1
    assert list(live.home.servers.iterdir()) == []


def test_a_home_that_takes_no_record_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    home.servers.write_text("a file")
    refused = run_server(Settings(home=home))
    assert f"can't write to {home.servers}: " in told_by(refused)[1]
    assert refused.returncode == 1
