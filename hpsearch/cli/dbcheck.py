"""A home's database and checkpoints, examined."""

from pathlib import Path

from hpsearch.cli.checkpoint_files import faults, said
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store import backup, stored_files
from hpsearch.store.engine import Database


def examine(home: Home, url: str) -> dict[str, str]:
    """What was examined -> "ok" or what is wrong. Raises HpsearchError where there is no database."""
    damage = backup.damage(_file(url)) if url.startswith("sqlite") else []
    if damage:
        return {"database": "; ".join(damage), "checkpoints": "not examined", "schema": "not examined"}
    database = Database.open(url, migrate=False)
    try:
        state = schema_state(database)
        checkpoints = "not examined" if state == "empty" else _checkpoints(home, database)
    finally:
        database.close()
    schema = "ok" if state == "current" else f"{state}; `hpsearch db upgrade` brings it up to date"
    return {"database": "ok", "checkpoints": checkpoints, "schema": schema}


def _checkpoints(home: Home, database: Database) -> str:
    files = _listed(database)
    wrong = faults(home, files, quick=True)
    if wrong:
        # Where a server runs, newer ones may have taken the place of some meanwhile.
        still = set(_listed(database))
        wrong = {file: fault for file, fault in wrong.items() if file in still}
    return said(home, files, wrong)


def _listed(database: Database) -> list[stored_files.StoredFile]:
    with database.read() as tx:
        return stored_files.listed(tx)


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
