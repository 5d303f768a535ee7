"""What a running server holds: its home's lock, its database and the local token."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import anyio

from api.bell import Bell
from api.checkpoints import discard, drop_older
from api.disk import Disk
from api.locks import locked
from api.residence import claim_home, refuse_empty, refuse_lost, residence, warn_of_absent_files
from api.settings import MIB, Settings
from api.together import Together
from hpsearch.errors import InvalidInput
from hpsearch.home import Home
from hpsearch.records import Checkpoint, TokenId
from hpsearch.residents import Residence
from hpsearch.service import checkpoints, heartbeats, leases, reports, tokens
from hpsearch.service.checkpoints import Kept, NewCheckpoint
from hpsearch.service.clock import SteadyClock
from hpsearch.service.heartbeats import Beat
from hpsearch.service.reports import Stored
from hpsearch.store.engine import Database
from hpsearch.store.opening import opening
from hpsearch.wire import CreateToken, HeartbeatResponse, LeaseRequest, LeaseResponse, ReportRequest

Clock = Callable[[], datetime]
UPLOADS_AT_ONCE = 8  # the others wait their turn: each of a thousand would else be done when all are


@dataclass
class Resources:
    """`work` rings when a trial may wait for a worker, `news` when a study has new events.

    `heartbeat`, `lease`, `report` and `checkpoint` are the service's, for all requests that come together, each with
    its caller's token. `uploads` has room for those that write their last piece to the disk.
    """

    settings: Settings
    db: Database
    clock: Clock
    work: Bell
    news: Bell
    disk: Disk
    residence: Residence
    stopping: bool = False
    uploads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(UPLOADS_AT_ONCE))
    heartbeat: Together[Beat, HeartbeatResponse] = field(init=False)
    lease: Together[tuple[LeaseRequest, TokenId], LeaseResponse] = field(init=False)
    report: Together[tuple[ReportRequest, TokenId], Stored] = field(init=False)
    checkpoint: Together[NewCheckpoint, Checkpoint] = field(init=False)

    def __post_init__(self) -> None:
        self.heartbeat = Together(self._heartbeat_all)
        self.lease = Together(self._lease_all)
        self.report = Together(self._report_all)
        self.checkpoint = Together(self._checkpoint_all)

    def stop(self) -> None:
        """End every waiting request, long polls and event streams alike. Call it on the event loop."""
        self.stopping = True
        self.work.ring()
        self.news.ring()

    def ring(self) -> None:
        """Something changed that both workers and watchers want to know."""
        self.work.ring()
        self.news.ring()

    def _heartbeat_all(self, beats: Sequence[Beat]) -> Sequence[HeartbeatResponse | Exception]:
        term = self.settings.lease_seconds
        return heartbeats.heartbeat_all(self.db, beats, now=self.clock(), lease_seconds=term)

    def _lease_all(
        self, asked: Sequence[tuple[LeaseRequest, TokenId]]
    ) -> Sequence[LeaseResponse | Exception]:
        requests, by = [request for request, _ in asked], [caller for _, caller in asked]
        term, paused = self.settings.lease_seconds, self.disk.problem
        return leases.lease_all(self.db, requests, by=by, now=self.clock(), lease_seconds=term, paused=paused)

    def _report_all(self, asked: Sequence[tuple[ReportRequest, TokenId]]) -> Sequence[Stored | Exception]:
        requests, by = [request for request, _ in asked], [caller for _, caller in asked]
        return reports.report_all(self.db, requests, by=by, now=self.clock())

    def _checkpoint_all(self, new: Sequence[NewCheckpoint]) -> Sequence[Checkpoint | Exception]:
        root = self.settings.home.checkpoints
        # Before the transaction: a disk that hangs must not hold its locks.
        gone = {one.path for one in new if not os.path.isfile(root / one.path)}  # noqa: PTH113 - false on any error
        found = checkpoints.register_all(self.db, new, now=self.clock(), gone=gone)
        # The last of a run and name is the one that counts; what came before it in the same batch is older.
        stored = {}
        for one, kept in zip(new, found, strict=True):
            if isinstance(kept, Kept) and kept.late:
                discard(root / one.path)
            elif isinstance(kept, Kept):
                stored[one.run_id, one.name] = one
        for one in stored.values():
            drop_older(root / one.path, one.name)
        return [kept.checkpoint if isinstance(kept, Kept) else kept for kept in found]

    def read_clock(self) -> None:
        """Follow the database's clock from what it says now. A clock of a test's own is left alone."""
        if isinstance(self.clock, SteadyClock):
            self.clock.read()


@contextmanager
def open_resources(
    settings: Settings, clock: Clock | None = None, *, passing: bool = False
) -> Iterator[Resources]:
    """Lock home and database, open the database (migrated) and see to the local token.

    `passing`: for the time of one command, and gives way to a server that comes to stay. Raises Conflict where another
    one runs on this home, or on the same SQLite file, and where the home serves another database or keeps its
    checkpoints.
    """
    settings.home.create()
    with locked(settings, passing=passing), _opened(settings, passing=passing) as (db, own):
        claim_home(db, settings.home)
        warn_of_absent_files(db, settings.home)
        chosen = clock or SteadyClock(db.wall_clock)
        if settings.loopback:
            ensure_local_token(db, settings.home, now=chosen())
        disk = Disk(
            settings.home.ballast,
            ballast_bytes=int(settings.ballast_mib * MIB),
            least_free=int(settings.min_free_mib * MIB),
        )
        yield Resources(
            settings=settings, db=db, clock=chosen, work=Bell(), news=Bell(), disk=disk, residence=own
        )


@contextmanager
def _opened(settings: Settings, *, passing: bool) -> Iterator[tuple[Database, Residence]]:
    """The database, which is not written to before it is known to be the home's."""
    refuse_lost(settings.home, settings.database)
    db = Database.open(settings.database, migrate=False)
    try:
        with ExitStack() as held:
            with opening(db.url):
                own = held.enter_context(residence(db, settings.home, passing=passing))
                refuse_empty(db, settings.home)
                db.upgrade()
            yield db, own
    finally:
        db.close()


def ensure_local_token(db: Database, home: Home, *, now: datetime) -> None:
    """The home's token file (0600) holds an admin token that this database knows. Idempotent."""
    try:
        secret = home.read_token()
    except InvalidInput:
        secret = None  # no token is in its file: a new one mends it
    if secret is not None and tokens.authenticate(db, secret, now=now) is not None:
        return
    name = f"local {_label(home.path)}".strip()
    created = tokens.create(db, CreateToken(name=name, scope="admin"), now=now, numbered=True)
    home.write_token(created.secret)


def _label(path: Path) -> str:
    return "".join(character for character in path.name if character.isprintable())[:80]
