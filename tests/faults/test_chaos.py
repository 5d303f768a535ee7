"""T3 and T4: workers, servers and the database are killed while they work; T5's pauses fall among the kills."""

from pathlib import Path

import pytest

from tests.faults.chaos import Outcome, Script, run
from tests.faults.conftest import Figure
from tests.faults.postgres_process import PostgresProcess
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200)]

MOST_KILLS = 0.8  # of the planned ones must have been delivered


def promises_held(outcome: Outcome, figure: Figure, test: str) -> None:
    figure(test, outcome.done, violations=outcome.violations, notes=outcome.ends)
    assert outcome.violations == [], outcome.done
    script = outcome.script
    planned = {
        "workers": script.worker_kills,
        "servers": script.server_kills,
        "databases": script.database_kills,
    }
    for name, count in planned.items():
        # On fast machines the trials may run out before the last kills; `figure` tells how many there were.
        assert outcome.killed.get(name, 0) >= MOST_KILLS * count, outcome.done
    assert len(outcome.history.leases) >= script.trials  # the checker had something to check
    assert len(outcome.history.reports) >= script.trials


def test_sqlite_loses_and_repeats_nothing_while_workers_and_servers_are_killed(
    tmp_path: Path, figure: Figure
) -> None:
    script = sized(
        Script(trials=1_000, worker_kills=50, server_kills=10, pause=0.01),
        Script(trials=10_000, worker_kills=500, server_kills=50, pause=0.002),
    )
    promises_held(run(tmp_path, script), figure, "T3 SQLite")


def test_postgres_loses_and_repeats_nothing_while_workers_servers_and_the_database_are_killed(
    tmp_path: Path, own_postgres: PostgresProcess, figure: Figure
) -> None:
    script = sized(
        Script(trials=600, worker_kills=30, server_kills=6, database_kills=4, pause=0.01, servers=2),
        Script(trials=10_000, worker_kills=500, server_kills=50, database_kills=20, pause=0.002, servers=2),
    )
    promises_held(run(tmp_path, script, own_postgres), figure, "T4 Postgres, two servers")
