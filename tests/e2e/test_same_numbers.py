"""One worker or two, SQLite or Postgres: each point once, the same numbers to the last bit."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Postgres
from tests.e2e.program import STUDIES, run

pytestmark = pytest.mark.e2e


def grid(home: Path, *options: str, **settings: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the run's document, exported rows) of `digits_grid`."""
    answer = run(home, "run", str(STUDIES / "digits_grid"), "--json", *options, **settings)
    assert answer.code == 0, answer.err
    exported = run(home, "study", "export", "digits-grid", "--format", "jsonl", **settings)
    assert exported.code == 0, exported.err
    return answer.document, [json.loads(line) for line in exported.out.splitlines()]


def losses(rows: list[dict[str, Any]]) -> dict[str, Any]:
    timeless = lambda metrics: {k: v for k, v in metrics.items() if "second" not in k}  # noqa: E731
    return {
        json.dumps(row["params"], sort_keys=True): (row["value"], timeless(row["metrics"])) for row in rows
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return grid(tmp_path_factory.mktemp("alone") / "home", "--workers", "1", "--slots", "1")


def test_twelve_trials_each_once_with_exact_end_points(
    alone: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    _, rows = alone
    assert len(rows) == 12
    assert len({json.dumps(row["params"], sort_keys=True) for row in rows}) == 12
    assert {row["runs"] for row in rows} == {1}
    assert sorted({row["params"]["learning_rate"] for row in rows}) == [1e-4, 1e-3, 1e-2, 1e-1]
    assert sorted({row["params"]["weight_decay"] for row in rows}) == [0, 1e-5, 1e-4]


def test_two_workers_share_the_grid_and_change_no_number(
    alone: tuple[dict[str, Any], list[dict[str, Any]]], tmp_path: Path
) -> None:
    document, rows = grid(tmp_path / "home", "--workers", "2", "--slots", "1")
    assert {row["runs"] for row in rows} == {1}
    assert len(rows) == 12
    assert losses(rows) == losses(alone[1])
    assert document["best"]["params"] == alone[0]["best"]["params"]
    with closing(sqlite3.connect(tmp_path / "home" / "hpsearch.db")) as database:
        used = database.execute("SELECT worker_id, count(*) FROM runs GROUP BY worker_id").fetchall()
    assert len(used) == 2


def test_postgres_changes_no_number(
    alone: tuple[dict[str, Any], list[dict[str, Any]]], postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.create()
    try:
        document, rows = grid(tmp_path / "home", "--workers", "2", "--slots", "1", HPSEARCH_DATABASE_URL=url)
    finally:
        postgres.drop(url)
    assert losses(rows) == losses(alone[1])
    assert document["best"]["params"] == alone[0]["best"]["params"]
