from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from hpsearch.errors import InvalidInput
from hpsearch.store import identity, migrate
from hpsearch.store.engine import Database
from hpsearch.store.tables import metadata


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
