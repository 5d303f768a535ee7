from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from hpsearch.home import Home

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=Home(tmp_path / "home"), port=0, max_body_bytes=100_000, max_checkpoint_bytes=50_000)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    """The running application, asked without a token."""
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def http(anonymous: TestClient, settings: Settings) -> TestClient:
    """The running application, asked by its admin."""
    anonymous.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
    return anonymous
