"""A newer version, with a migration of its own, takes over from two running servers one after the other."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

import api
import hpsearch
from hpsearch.store.engine import Database
from tests.faults import checker
from tests.faults.chaos import STUDY, Fleet, Script, grid_of
from tests.faults.conftest import Figure
from tests.faults.history import read
from tests.faults.postgres_process import PostgresProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
MIGRATION = '''"""What a newer version might add."""

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("newer", sa.Integer(), nullable=False, server_default="7"))
'''


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder with the next version's packages."""
    folder = tmp_path / "newer"
    for package in (hpsearch, api):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / "hpsearch" / "migrations" / "versions"
    last = max(path.name[:4] for path in versions.glob("0*.py"))
    (versions / "0099_newer.py").write_text(MIGRATION.format(before=last))
    return folder


def test_a_rolling_upgrade_with_a_migration_loses_no_trial(
    tmp_path: Path, newer: Path, own_postgres: PostgresProcess, figure: Figure
) -> None:
    trials = 150
    fleet = Fleet(
        tmp_path, Script(trials=trials, servers=2, workers=4, trial_seconds=0.05, max_trials=1), own_postgres
    )
    fleet.start()
    upgraded: list[subprocess.Popen[bytes]] = []
    try:
        fleet.client.create_study(grid_of(trials))
        for number, share in ((0, 0.2), (1, 0.5)):
            wait_for(lambda share=share: done(fleet) >= share * trials)
            fleet.servers[number].terminate()
            fleet.servers[number].join(20)
            upgraded.append(start(newer, fleet, number))
        wait_for(lambda: done(fleet) == trials)
    finally:
        for process in upgraded:
            process.kill()
            process.wait()
        fleet.stop()
    db = Database.open(own_postgres.url, migrate=False)
    try:
        assert checker.violations(db, STUDY, read(tmp_path / "journal"), planned=trials) == []
        with db.read() as tx:
            assert tx.execute(text("SELECT min(newer) FROM trials")).scalar() == 7
    finally:
        db.close()
    figure(
        "rolling upgrade, Postgres", f"two servers replaced one by one, a migration between, {trials} trials"
    )


def done(fleet: Fleet) -> int:
    return fleet.client.study(STUDY).record().trial_counts["completed"]  # type: ignore[index]


def start(newer: Path, fleet: Fleet, number: int) -> "subprocess.Popen[bytes]":
    """The newer program on the older one's port, home and database."""
    settings = fleet.settings[number]
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--home", str(settings.home.path)]
    command += ["--port", str(settings.port), "--database-url", own_url(fleet)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(newer),
        "HPSEARCH_LEASE_SECONDS": "2",
        "HPSEARCH_REAPER_SECONDS": "0.25",
        "HPSEARCH_MIN_FREE_MIB": "0",
    }
    return subprocess.Popen(command, cwd=newer, env=environment, stdout=subprocess.DEVNULL)


def own_url(fleet: Fleet) -> str:
    assert fleet.database is not None
    return fleet.database.url


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
