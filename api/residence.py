"""One home serves one database: a server moves in where no living one has another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.errors import Conflict
from hpsearch.home import Home
from hpsearch.residents import Residence, Resident
from hpsearch.store import identity
from hpsearch.store.engine import Database


@contextmanager
def residence(db: Database, home: Home) -> Iterator[Residence]:
    """Live on the home for the time of the block. Raises Conflict where a server of another database does.

    A restored copy has its original's identity, and would sweep the files of whatever is deleted in it. Of two that
    come at once each sees the other: at most one stays.
    """
    with db.read() as tx:
        place = identity.place(tx)
    own = Residence(home.servers, Resident(pid=os.getpid(), database=place))
    try:
        _refuse_strangers(own, home, place)
        yield own
    finally:
        own.leave()


def _refuse_strangers(own: Residence, home: Home, place: str) -> None:
    for other in own.others():
        if other.database != place:
            raise Conflict(
                f"a server of another database runs on {home.path}{whereabouts(other)}, and one home serves one "
                "database",
                hint="give this one a home of its own with --home or HPSEARCH_HOME (and a copy of the checkpoints "
                "where it was restored), or stop that one first",
            )


def whereabouts(resident: Resident) -> str:
    """Where a server is reached, as the end of a sentence."""
    at = f" at {resident.url}" if resident.url else ""
    return f"{at} (process {resident.pid})"
