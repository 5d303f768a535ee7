"""What a running server holds: its home's lock, its database and the local token."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fasteners

from api.bell import Bell
from api.settings import Settings
from hpsearch.errors import Conflict
from hpsearch.home import Home
from hpsearch.service import tokens
from hpsearch.store.engine import Database
from hpsearch.wire import CreateToken

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Resources:
    """`work` rings when a trial may wait for a worker, `news` when a study has new events."""

    settings: Settings
    db: Database
    clock: Clock
    work: Bell
    news: Bell
    stopping: bool = False

    def stop(self) -> None:
        """End every waiting request, long polls and event streams alike. Call it on the event loop."""
        self.stopping = True
        self.work.ring()
        self.news.ring()

    def ring(self) -> None:
        """Something changed that both workers and watchers want to know."""
        self.work.ring()
        self.news.ring()


@contextmanager
def open_resources(settings: Settings, clock: Clock = utc_now) -> Iterator[Resources]:
    """Lock the home, open the database (migrated) and see to the local token.

    Raises Conflict where another server runs on this home.
    """
    settings.home.create()
    with _locked(settings.home):
        db = Database.open(settings.database)
        try:
            if settings.loopback:
                ensure_local_token(db, settings.home, now=clock())
            yield Resources(settings=settings, db=db, clock=clock, work=Bell(), news=Bell())
        finally:
            db.close()


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    # SQLite bears one writing process only (the WAL-reset bug); two reapers of one home help nobody either.
    lock = fasteners.InterProcessLock(str(home.lock))
    if not lock.acquire(blocking=False):
        address = home.read_address()
        where = f" at {address.url} (process {address.pid})" if address else ""
        raise Conflict(
            f"another server runs on {home.path}{where}",
            hint="use that one, stop it first, or choose another home with --home or HPSEARCH_HOME",
        )
    try:
        yield
    finally:
        lock.release()


def ensure_local_token(db: Database, home: Home, *, now: datetime) -> None:
    """The home's token file (0600) holds an admin token that this database knows. Idempotent."""
    secret = home.read_token()
    if secret is not None and tokens.authenticate(db, secret, now=now) is not None:
        return
    created = tokens.create(db, CreateToken(name=f"local {_label(home.path)}", scope="admin"), now=now)
    home.write_token(created.secret)


def _label(path: Path) -> str:
    return path.name[:80]
