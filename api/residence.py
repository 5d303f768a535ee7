"""One home serves one database: a server moves in where no living one has another."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.errors import Conflict
from hpsearch.home import Home
from hpsearch.residents import Residence, Resident
from hpsearch.store import identity, stored_files
from hpsearch.store.engine import Database

LATEST = 20  # checkpoints of which one at least should be here


@contextmanager
def residence(db: Database, home: Home) -> Iterator[Residence]:
    """Live on the home for the time of the block. Raises Conflict where a server of another database does.

    A restored copy has its original's identity, and would sweep the files of whatever is deleted in it. Of two that
    come at once each sees the other: at most one stays.
    """
    place = identity.place(db)
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


def warn_of_absent_files(db: Database, home: Home) -> None:
    """Say so where no recent checkpoint is in the home: another server of the database has them in its own.

    No more than that: a disk that was lost must not keep the server down.
    """
    with db.read() as tx:
        files = stored_files.latest(tx, LATEST)
    if files and not any((home.checkpoints / file.path).is_file() for file in files):
        logging.getLogger("api").warning(
            "none of the database's latest %d checkpoints is in the home %s: start every server of one database "
            "on one HPSEARCH_HOME, or copy the checkpoints there",
            len(files),
            home.path,
        )
