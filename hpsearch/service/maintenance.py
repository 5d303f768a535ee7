"""Whether the database can be worked with."""

from hpsearch.store import migrate
from hpsearch.store.engine import Database


def schema_state(db: Database) -> migrate.State:
    """`newer` is of a later version, in a rolling upgrade; `foreign` another program's. Raises Unavailable where the
    database does not answer."""
    with db.read() as tx:
        return migrate.state(tx)
