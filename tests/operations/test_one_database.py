"""One home serves one database: also a restored copy of it, which has the same identity, is another."""

import os
import signal
import subprocess
import sys
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
from tests.cli.conftest import Hpsearch, _apart, _own_log, hpsearch
from tests.conftest import Postgres
from tests.operations.test_backup import fill

__all__ = ["_apart", "_own_log", "hpsearch"]


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


def test_a_restored_copy_is_refused_where_its_original_is_served(
    live: Settings, copied: Settings, hpsearch: Hpsearch
) -> None:
    with background(live) as address:
        refused = hpsearch(
            "serve", "--port", 0, "--home", live.home.path, "--database-url", copied.database_url
        )
        said = " ".join(refused.err.split())
        assert refused.code == 4, said
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
    command = [
        sys.executable,
        "-m",
        "hpsearch.cli.main",
        "serve",
        "--home",
        str(live.home.path),
        "--port",
        "0",
    ]
    killed = subprocess.Popen([*command, "--database-url", str(live.database_url)], stderr=subprocess.PIPE)
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


def test_a_home_that_takes_no_record_is_named(tmp_path: Path, hpsearch: Hpsearch) -> None:
    home = Home(tmp_path / "home").create()
    home.servers.write_text("a file")
    refused = hpsearch("serve", "--port", 0, "--home", home.path)
    assert refused.code == 1
    assert f"can't write to {home.servers}: " in refused.err
