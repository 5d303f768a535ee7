import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from hpsearch.errors import InvalidInput
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
