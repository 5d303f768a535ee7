"""Which database this is: an id that it was given when it was made, and that its backups share; and where it is."""

from pathlib import Path

from sqlalchemy import select, text

from hpsearch.store.engine import Database, Transaction
from hpsearch.store.tables import identity

_ID = select(identity.c.id)
_MAY_ASK = text("SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute')")
_CLUSTER = text("SELECT system_identifier FROM pg_catalog.pg_control_system()")
_OID = text("SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()")


def read(tx: Transaction) -> str:
    """32 hexadecimal digits."""
    return str(tx.execute(_ID).scalar_one())


def place(db: Database) -> str:
    """Where the database is, whatever name its URL has for that; a restored copy is elsewhere.

    Of Postgres its cluster's system identifier (where this role may ask for it) and the database's oid.
    """
    if db.dialect == "sqlite":
        return f"sqlite {Path(db.url.database or '').resolve()}"
    with db.read() as tx:
        cluster = tx.execute(_CLUSTER).scalar_one() if tx.execute(_MAY_ASK).scalar_one() else "unknown"
        return f"postgresql {cluster} {tx.execute(_OID).scalar_one()}"
