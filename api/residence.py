"""One home serves one database: a server moves in where neither checkpoints of another one are, nor a living server of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.errors import Conflict, Unavailable
from hpsearch.home import Home
from hpsearch.residents import Residence, Resident
from hpsearch.service.maintenance import schema_state
from hpsearch.store import identity, stored_files
from hpsearch.store.engine import Database, sqlite_file

LATEST = 20  # checkpoints of which one at least should be here


@contextmanager
def residence(db: Database, home: Home, *, passing: bool = False) -> Iterator[Residence]:
    """Live on the home for the time of the block. Raises Conflict where a server of another database does.

    A restored copy has its original's identity, and would sweep the files of whatever is deleted in it. Of two that
    come at once each sees the other: at most one stays.
    """
    place = identity.place(db)
    try:
        own = Residence(home.servers, Resident(pid=os.getpid(), database=place, passing=passing))
    except OSError as error:
        raise Unavailable(
            f"can't write to {home.servers}: {error.strerror}",
            hint="free disk space there, or make it writable",
        ) from None
    try:
        _refuse_strangers(own, home, place)
        yield own
    finally:
        own.leave()


@contextmanager
def waiting(home: Home) -> Iterator[None]:
    """Have those who only pass see, for the time of the block, that a server wants to stay on the home."""
    own = Residence(home.servers, Resident(pid=os.getpid(), database="", waits=True))
    try:
        yield
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


def refuse_lost(home: Home, url: str) -> None:
    """Raises Conflict for a SQLite file that is not there yet, where checkpoints are: before it is made."""
    file = sqlite_file(url)
    if file is None or file.exists() or not home.keeps_checkpoints:
        return
    if url != home.database_url:
        raise _of_another(home, url)
    raise Conflict(
        f"the home {home.path} keeps the checkpoints of a database that is lost: there is no {file}",
        hint=f"restore it from a backup; where it is gone for good, remove {home.checkpoints}",
    )


def refuse_empty(db: Database, home: Home) -> None:
    """Raises Conflict for a database without tables, where checkpoints of another are: before it gets some."""
    if home.read_owner() and home.keeps_checkpoints and schema_state(db) == "empty":
        raise _of_another(home, db.url.render_as_string())


def claim_home(db: Database, home: Home) -> None:
    """Each database numbers its own trials: two of them on one home would overwrite each other's checkpoints.

    Raises Conflict where another one's lie there.
    """
    with db.read() as tx:
        owner = identity.read(tx)
    if not home.claim(owner):
        raise _of_another(home, db.url.render_as_string())


def _of_another(home: Home, url: str) -> Conflict:
    return Conflict(
        f"the home {home.path} keeps the checkpoints of another database than {url}",
        hint="give this one a home of its own with --home or HPSEARCH_HOME; where the other database is gone "
        f"for good, remove {home.checkpoints}",
    )


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
