"""The checkpoint files that a database speaks of."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from hpsearch.store.engine import Transaction, allow_long_statements
from hpsearch.store.tables import checkpoints

_FILES = select(checkpoints.c.path, checkpoints.c.size, checkpoints.c.sha256)
_ALL = _FILES.order_by(checkpoints.c.run_id, checkpoints.c.name)
_LATEST = _FILES.order_by(checkpoints.c.run_id.desc(), checkpoints.c.name.desc()).limit(bindparam("most"))


@dataclass(frozen=True)
class StoredFile:
    """A checkpoint as its row has it. `path` is relative to the home's checkpoints (in old rows absolute)."""

    path: str
    size: int
    sha256: str


def listed(tx: Transaction) -> list[StoredFile]:
    """The newest of each name and run. Reads no column that an older schema lacks."""
    allow_long_statements(tx)
    return [StoredFile(*row) for row in tx.execute(_ALL)]


def latest(tx: Transaction, most: int) -> list[StoredFile]:
    """Those of the runs that were started last."""
    return [StoredFile(*row) for row in tx.execute(_LATEST, {"most": most})]
