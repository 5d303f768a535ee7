from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    """An admin's client of a real server."""
    with (
        background(Settings(home=home, port=0)) as address,
        Client(address.url, home.read_token(), timeout=20, patience_seconds=5) as client,
    ):
        yield client
