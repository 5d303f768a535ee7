"""A database that can't be opened: which one, why, and what mends it.

While a server runs, most failures pass by themselves; at its start, most never do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from hpsearch.errors import DiskFull, HpsearchError, InvalidInput, Unavailable

# By the beginning of SQLite's name for the error (sqlite.org/rescode.html): what is wrong with the file, what next.
SQLITE = {
    "SQLITE_NOTADB": ("is no database", "restore a backup, or name another file or home"),
    "SQLITE_CORRUPT": ("is damaged", "restore a backup, or save what is left: sqlite3 FILE .recover"),
    "SQLITE_CANTOPEN": ("can't be opened by this user", "give this user its file and folder (chown, chmod u+rwX)"),
    "SQLITE_READONLY": ("can't be written by this user", "give this user its file and folder (chown, chmod u+rwX)"),
    "SQLITE_PERM": ("can't be opened by this user", "give this user its file and folder (chown, chmod u+rwX)"),
    "SQLITE_BUSY": ("is being written by another program", "end that program, then start again"),
    "SQLITE_LOCKED": ("is being written by another program", "end that program, then start again"),
    "SQLITE_IOERR": ("can't be read: its disk fails", "look for what the system says of the disk, or restore a backup"),
}  # fmt: skip
OTHERS = (
    "holds another program's tables",
    "name a database of hpsearch's own: an empty one, or one that it made",
)
RIGHTS = "let it own its database, or run GRANT CREATE, USAGE ON SCHEMA public TO the role"
# By SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html).
POSTGRES = {
    "42501": ("does not let this role make its tables", RIGHTS),
    "42P07": OTHERS,
    "42710": OTHERS,
    "42P01": OTHERS,
    "42703": OTHERS,
    "25006": ("can't be written: it is read-only, a standby perhaps", "name the primary"),
}
# A session that never was has no SQLSTATE: by a part of what libpq says, all of it in lower case.
UNREACHED = {
    "could not translate host": ("has no such host", "check the host in the database URL"),
    "failed to resolve host": ("has no such host", "check the host in the database URL"),
    "connection refused": ("is not there", "start Postgres, or check host and port in the database URL"),
    "no such file or directory": ("is not there", "start Postgres, or check the socket's folder in the database URL"),
    "timeout": ("does not answer", "check host and port in the database URL, and the firewall between"),
    "password": ("refuses this user's password", "check user and password in the database URL, or PGPASSWORD"),
    "pg_hba.conf": ("refuses this user from this machine", "let pg_hba.conf of Postgres admit it"),
}  # fmt: skip
LONGEST = 200


@contextmanager
def opening(url: URL) -> Iterator[None]:
    """What a database's driver says meanwhile is told of as a failure to open it."""
    try:
        yield
    except DBAPIError as error:
        raise refusal(url, error) from error
    except HpsearchError as error:
        if isinstance(error.__cause__, DBAPIError):
            raise refusal(url, error.__cause__) from error.__cause__
        raise
    except OSError as error:
        raise Unavailable(
            f"the database {shown(url)} can't be read: {(error.strerror or str(error)).lower()}",
            hint=SQLITE["SQLITE_CANTOPEN"][1],
        ) from None


def refusal(url: URL, error: DBAPIError) -> HpsearchError:
    """The sentence, with the place and the driver's own words."""
    words = " ".join(str(error.orig).partition("LINE ")[0].split())
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    if url.get_backend_name() == "sqlite":
        return _of_sqlite(url, str(getattr(error.orig, "sqlite_errorname", "")), words)
    return _of_postgres(url, str(getattr(error.orig, "sqlstate", "") or ""), words)


def shown(url: URL) -> str:
    """The file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(Path(url.database or "").absolute())
    return url.render_as_string(hide_password=True)


def require_writable(url: URL) -> None:
    """SQLite opens a file that it may only read, and says so at the first write. Raises Unavailable at once."""
    path = Path(url.database or "")
    effective = os.access in os.supports_effective_ids
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        wrong, remedy = SQLITE["SQLITE_READONLY"]
        raise Unavailable(f"the database {shown(url)} {wrong}", hint=remedy)


def _of_sqlite(url: URL, name: str, words: str) -> HpsearchError:
    place = shown(url)
    if name.startswith("SQLITE_FULL"):
        return DiskFull(f"the disk of the database {place} is full", hint="free disk space, then start again")
    if name == "SQLITE_ERROR":  # what a table lacks, or that it is there already
        return InvalidInput(f"the database {place} {OTHERS[0]}: {words}", hint=OTHERS[1])
    for beginning, (wrong, remedy) in SQLITE.items():
        if name.startswith(beginning):
            said = "" if words in wrong else f": {words}"
            return Unavailable(f"the database {place} {wrong}{said}", hint=remedy)
    return Unavailable(
        f"the database {place} can't be opened: {words}", hint="check the file, or restore a backup"
    )


def _of_postgres(url: URL, state: str, words: str) -> HpsearchError:
    place, lower = shown(url), words.lower()
    if state == "53100":
        return DiskFull(f"the disk of the database {place} is full", hint="free disk space, then start again")
    if state in POSTGRES:
        wrong, remedy = POSTGRES[state]
        return InvalidInput(f"the database {place} {wrong}: {words}", hint=remedy)
    if not state and "does not exist" in lower:
        return _missing(url, "role" if 'role "' in lower else "database")
    for part, (wrong, remedy) in UNREACHED.items():
        if not state and part in lower:
            return Unavailable(f"the database {place} {wrong}: {words}", hint=remedy)
    return Unavailable(f"the database {place} can't be used now: {words}", hint="try again in a moment")


def _missing(url: URL, what: str) -> InvalidInput:
    if what == "role":
        return InvalidInput(
            f"Postgres knows no role {url.username!r}, which the database URL {shown(url)} names",
            hint=f"make it (createuser --pwprompt {url.username}), or check the URL",
        )
    return InvalidInput(
        f"Postgres has no database {url.database!r}, which the database URL {shown(url)} names",
        hint=f"make it (createdb {url.database}), or check the URL",
    )
