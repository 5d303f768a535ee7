import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text

from hpsearch.errors import InvalidInput
from hpsearch.records import RunId, StageKind
from hpsearch.store import identity, migrate, runs, stages, studies, tables, trials
from hpsearch.store.engine import Database
from hpsearch.store.tables import metadata
from tests.conftest import Postgres
from tests.store.test_plans import SPEC, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_migrations_yield_the_tables(db: Database) -> None:
    with db.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opening_a_migrated_database_again_changes_nothing(database_url: str) -> None:
    first = Database.open(database_url)
    with first.read() as tx:
        version = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    first.close()
    second = Database.open(database_url)
    with second.read() as tx:
        assert tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == version
    second.close()


def test_a_database_of_a_newer_program_is_refused(database_url: str) -> None:
    database = Database.open(database_url)
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(InvalidInput, match="can't be migrated"):
        Database.open(database_url)


def test_a_database_of_the_version_before_is_brought_up_to_date_with_what_is_in_it(database_url: str) -> None:
    older = Database.open(database_url, migrate=False)
    with older.write() as tx:
        command.downgrade(migrate.config(tx), "0002")
        tx.execute(
            text(
                "INSERT INTO workers (name, incarnation, state, host, version, slots, slot_count, labels, registered_at,"
                " last_seen_at) VALUES ('node', 1, 'active', 'h', '0', '[]', 0, '[]', 0, 0)"
            )
        )
    older.close()
    newer = Database.open(database_url)
    with newer.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        ((name, token),) = tx.execute(text("SELECT name, token_id FROM workers")).all()
        mine = identity.read(tx)
    newer.close()
    assert (name, token) == ("node", None)
    assert len(mine) == 32


def test_each_database_has_an_id_of_its_own_that_stays(tmp_path: Path) -> None:
    ids = []
    for name in ("a", "b", "a"):
        database = Database.open(f"sqlite:///{tmp_path / name}.db")
        with database.read() as tx:
            ids.append(identity.read(tx))
        database.close()
    assert ids[0] == ids[2] != ids[1]


def test_reports_of_an_older_server_go_on_while_a_newer_one_changes_the_indexes_of_runs(
    postgres: Postgres,
) -> None:
    """Each reads the run that it will write, as a report does: between the two, no migration may wait for it."""
    database_url = postgres.create()
    older = Database.open(database_url, migrate=False)
    with older.write() as tx:
        command.downgrade(migrate.config(tx), "0006")
        study = studies.insert_study(tx, SPEC, now=NOW)
        stage = stages.insert_stage(tx, study, StageKind.SEARCH, round_number=0, now=NOW)
        plans = (plan(1 / number) for number in range(1, 9))
        trials.insert_plans(tx, study, stage, plans, first_number=0, now=NOW)
        worker = {"name": "w", "incarnation": 1, "state": "active", "host": "h", "version": "0", "slots": []}
        more = {"slot_count": 0, "labels": [], "registered_at": NOW, "last_seen_at": NOW}
        tx.execute(insert(tables.workers), [{**worker, **more}])
        run = {"study_id": study, "worker_id": 1, "epoch": 1, "slot": 0, "request_id": "r", "state": "active"}
        rest = {"message": "", "stop": False, "last_seq": 0, "lease_until": NOW, "started_at": NOW}
        tx.execute(insert(tables.runs), [{"trial_id": n, **run, **rest} for n in range(1, 9)])
    over = threading.Event()

    def report(number: int) -> int:
        stored = 0
        while not over.is_set():
            with older.write() as tx:
                runs.lock(tx, [RunId(number)])
                time.sleep(0.002)
                tx.execute(text(f"UPDATE runs SET last_seq = last_seq + 1 WHERE id = {number}"))
            stored += 1
        return stored

    with ThreadPoolExecutor(8) as pool:
        reports = [pool.submit(report, number) for number in range(1, 9)]
        time.sleep(0.2)
        try:
            Database.open(database_url).close()
        finally:
            time.sleep(0.2)
            over.set()
        assert all(one.result() > 0 for one in reports)
    older.close()
    postgres.drop(database_url)
