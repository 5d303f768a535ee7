"""Whether the database can be worked with."""

from hpsearch.store import migrate
from hpsearch.store.engine import Database


def schema_state(db: Database) -> str:
    """`current`, `behind`, `newer` (of a later version, in a rolling upgrade) or `empty`. Raises Unavailable
    where the database does not answer."""
    with db.read() as tx:
        return migrate.state(tx)
