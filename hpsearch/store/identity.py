"""Which database this is: an id that it was given when it was made, and that its backups share."""

from sqlalchemy import select

from hpsearch.store.engine import Transaction
from hpsearch.store.tables import identity

_ID = select(identity.c.id)


def read(tx: Transaction) -> str:
    """32 hexadecimal digits."""
    return str(tx.execute(_ID).scalar_one())
