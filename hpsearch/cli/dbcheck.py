"""A home's database and checkpoints, examined and saved."""

import os
import shutil
from pathlib import Path

from hpsearch.errors import HpsearchError, NotFound
from hpsearch.home import Home
from hpsearch.service.maintenance import schema_state
from hpsearch.store import backup
from hpsearch.store.engine import Database
from hpsearch.store.opening import opening

FILE = "hpsearch.db"


def examine(home: Home, url: str) -> dict[str, str]:
    """What was examined -> "ok" or what is wrong. Raises HpsearchError where there is no database."""
    found = {}
    if url.startswith("sqlite"):
        file = _file(url)
        damage = backup.damage(file)
        found["database"] = "; ".join(damage) or "ok"
        found["checkpoints"] = _files_said(home, backup.stored_files(file)) if not damage else "not examined"
    database = Database.open(url, migrate=False)
    try:
        with opening(database.url):
            state = schema_state(database)
    finally:
        database.close()
    found["schema"] = "ok" if state == "current" else f"{state}; `hpsearch db upgrade` brings it up to date"
    return found


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


def _save_file(source: Path, target: Path, file: backup.StoredFile) -> bool:
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


def _files_said(home: Home, files: list[backup.StoredFile]) -> str:
    lost = [file.path for file in files if _size(home.checkpoints / file.path) != file.size]
    return "ok" if not lost else f"{len(lost)} of {len(files)} missing or cut short, first {lost[0]}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def require_file(home: Home, url: str) -> None:
    """Raises NotFound where a SQLite URL names no file: only a server makes a database, and its home."""
    if url == home.database_url:
        home.existing()
    if url.startswith("sqlite") and not os.path.isfile(_file(url)):  # noqa: PTH113 - false where it can't be read
        raise NotFound(
            f"there is no database {_file(url)}",
            hint="`hpsearch serve` makes one; or name its home with --home",
        )


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
