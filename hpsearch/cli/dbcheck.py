"""A home's database and checkpoints, examined."""

import os
from collections.abc import Mapping

from hpsearch.cli.checkpoint_files import faults, said
from hpsearch.errors import NotFound
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store import backup, identity, stored_files
from hpsearch.store.engine import Database, sqlite_file
from hpsearch.store.migrate import State
from hpsearch.store.opening import opening

SCHEMA: Mapping[State, str] = {
    "current": "ok",
    "behind": "behind; `hpsearch db upgrade` brings it up to date",
    "empty": "empty; `hpsearch db upgrade` brings it up to date",
    "newer": "newer than this program; upgrade hpsearch itself",
    "foreign": "another program's; give hpsearch a database of its own",
}
NOT_EXAMINED = "not examined"


def examine(home: Home, url: str, *, quick: bool = False) -> dict[str, str]:
    """What was examined -> "ok" or what is wrong. Raises HpsearchError where there is no database.

    `quick` leaves the checkpoints' contents unread.
    """
    found = {"database": "ok", "schema": NOT_EXAMINED, "home": NOT_EXAMINED, "checkpoints": NOT_EXAMINED}
    damage = _damage(url)
    if damage:
        return {**found, "database": "; ".join(damage)}
    database = Database.open(url, migrate=False)
    try:
        with opening(database.url):
            state = schema_state(database)
        found["schema"] = SCHEMA[state]
        if state == "current":
            found["home"] = _owner(home, database)
        if state in ("current", "behind"):
            found["checkpoints"] = _checkpoints(home, database, quick=quick)
    finally:
        database.close()
    return found


def _damage(url: str) -> list[str]:
    """What is wrong with a SQLite file. Postgres looks after its own."""
    file = sqlite_file(url)
    return [] if file is None else backup.damage(file)


def _owner(home: Home, database: Database) -> str:
    with database.read() as tx:
        mine = identity.read(tx)
    strange = home.keeps_checkpoints and home.read_owner() not in ("", mine)
    return f"{home.path} keeps the checkpoints of another database" if strange else "ok"


def _checkpoints(home: Home, database: Database, *, quick: bool) -> str:
    files = _listed(database)
    wrong = faults(home, files, quick=quick)
    if wrong:
        # Where a server runs, newer ones may have taken the place of some meanwhile.
        still = set(_listed(database))
        wrong = {file: fault for file, fault in wrong.items() if file in still}
    return said(home, files, wrong)


def _listed(database: Database) -> list[stored_files.StoredFile]:
    with database.read() as tx:
        return stored_files.listed(tx)


def require_file(home: Home, url: str) -> None:
    """Raises NotFound where a SQLite URL names no file: only a server makes a database, and its home."""
    if url == home.database_url:
        home.existing()
    file = sqlite_file(url)
    if file is None or os.path.isfile(file):  # noqa: PTH113 - false where it can't be read
        return
    if home.keeps_checkpoints:
        raise NotFound(
            f"there is no database {file}, though the home {home.path} keeps the checkpoints of one",
            hint="restore it from a backup",
        )
    raise NotFound(
        f"there is no database {file}", hint="`hpsearch serve` makes one; or name its home with --home"
    )
