"""A home's database and checkpoints, examined and saved."""

import shutil
from pathlib import Path

from hpsearch.cli.checkpoint_files import faults, said
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store import backup, stored_files
from hpsearch.store.engine import Database

FILE = "hpsearch.db"


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


def save(home: Home, target: Path) -> dict[str, int]:
    """A new folder that can serve as a home: the database, then the checkpoints that it speaks of.

    The tokens in it are digests; the home's own token is not copied. Raises HpsearchError where the folder is
    not empty or can't be written.
    """
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise HpsearchError(f"{target} is not empty", hint="name a new folder")
    except OSError as error:
        raise HpsearchError(f"can't make {target}: {error.strerror}") from None
    backup.copy(_file(home.database_url), target / FILE)
    files = backup.stored_files(target / FILE)
    saved = sum(_save_file(home.checkpoints, Home(target).checkpoints, file) for file in files)
    return {"checkpoints": saved, "missing": len(files) - saved}


def _save_file(source: Path, target: Path, file: stored_files.StoredFile) -> bool:
    """Whether it was there: between copy and now, a newer one may have taken its place."""
    absolute = source / file.path
    copied = target / absolute.relative_to(source)
    try:
        copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(absolute, copied)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HpsearchError(f"can't write {copied}: {error.strerror}") from None
    return True


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
