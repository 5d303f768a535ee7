"""T2: the service in virtual time, with everything that a network, a machine and a clock can do to it; one seed, one history.

A call may be lost, answered to nobody, repeated, or carried out long after its caller gave up; a worker may stand still at
any of its writes or die; the server may die before or after any commit; its wall clock may jump or stand. Nothing here
waits: an hour costs what its calls cost.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from hpsearch.errors import HpsearchError
from hpsearch.records import FINISHED_STUDY_STATES
from hpsearch.service import reaper, studies
from hpsearch.store.engine import Database, Transaction
from hpsearch.store.tables import studies as study_rows
from tests.faults.chaos import grid_of
from tests.faults.history import History
from tests.faults.simulated_worker import LEASE, SimulatedWorker, Unanswered

TICK = 4.0  # the server ticks every 2 s; each costs as much as a report
STATE = select(study_rows.c.state)  # of the one study
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Where a worker may stand still: around each of its writes.
WRITE_POINTS = tuple(
    f"{side} {what}"
    for what in ("register", "lease", "first points", "points", "result", "heartbeat")
    for side in ("before", "after")
)


class Crashed(BaseException):
    """The server died here: nothing that it does can catch that."""


@dataclass(frozen=True)
class Faults:
    """Chances per call, except where said otherwise."""

    lost: float = 0.0  # the request
    unanswered: float = 0.0  # carried out, but nobody hears of it
    repeated: float = 0.0  # carried out again, up to two leases later
    late: float = 0.0  # carried out up to two leases after its caller gave up
    dies: float = 0.0  # the server, before or after the commit
    worker_dies: float = 0.0
    pause: float = 0.0  # of one to three leases, at `pause_at` or anywhere
    pause_at: str | None = None
    jumps: float = 0.0  # of the server's clock, per tick
    frozen: float = 0.0  # the server's clock stands for a lease, per tick
    outage_at: float | None = None  # seconds from the start, 15 minutes long


CALM = Faults()
STORM = Faults(0.03, 0.03, 0.03, 0.02, 0.01, 0.01, 0.02, None, 0.002, 0.002)


class MortalDatabase(Database):
    """Dies before or after a commit when told to, after `spared` others."""

    fate: str | None = None
    spared = 0

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self.fate is not None and self.spared > 0:
            self.spared -= 1
            with super().write() as tx:
                yield tx
            return
        fate, self.fate = self.fate, None
        with super().write() as tx:
            yield tx
            if fate == "before":
                raise Crashed
        if fate == "after":
            raise Crashed


@dataclass
class Simulation:
    """`run` plays one seed on an empty database and returns what the workers saw."""

    db: MortalDatabase
    seed: int
    trials: int
    faults: Faults
    worker_count: int = 6
    now: float = 0.0
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._offset = 0.0
        self._frozen_until = -1.0
        self._frozen_at = 0.0
        self._down_until = -1.0
        self._ids = itertools.count()

    def run(self, hours: float = 24.0) -> History:
        studies.create(self.db, grid_of(self.trials), now=self.wall())
        self._tick()
        for number in range(self.worker_count):
            SimulatedWorker(self, f"node-{number}").start()
        if self.faults.outage_at is not None:
            self.at(self.faults.outage_at, lambda: self.go_down(900.0))
        while self._events and self.now < hours * 3_600:
            self.now, _, event = heapq.heappop(self._events)
            event()
            if self._over():
                return self.history
        return self.history

    def at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def wall(self) -> datetime:
        steady = self._frozen_at if self.now < self._frozen_until else self.now
        return BEGIN + timedelta(seconds=steady + self._offset)

    def chance(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability

    def call(self, service: Callable[[datetime], Any]) -> Any:
        """A call over the network. Raises Unanswered, or what the service raised."""
        faults = self.faults
        if self.chance(faults.lost):
            raise Unanswered
        if self.chance(faults.late):
            self.at(self.now + self.rng.uniform(0, 2 * LEASE), lambda: self._carry_out_for_nobody(service))
            raise Unanswered
        if self.chance(faults.repeated):
            self.at(self.now + self.rng.uniform(0, 2 * LEASE), lambda: self._carry_out_for_nobody(service))
        answer = self._carry_out(service)
        if self.chance(faults.unanswered):
            raise Unanswered
        return answer

    def go_down(self, seconds: float) -> None:
        self._down_until = self.now + seconds

    def _carry_out(self, service: Callable[[datetime], Any]) -> Any:
        if self.now < self._down_until:
            raise Unanswered
        if self.chance(self.faults.dies):
            self.db.fate = self.rng.choice(["before", "after"])
        try:
            return service(self.wall())
        except Crashed:
            self.go_down(self.rng.uniform(0.5, 5.0))
            raise Unanswered from None
        finally:
            self.db.fate = None

    def _carry_out_for_nobody(self, service: Callable[[datetime], Any]) -> None:
        try:
            self._carry_out(service)
        except (Unanswered, HpsearchError):
            return

    def _tick(self) -> None:
        if self.now >= self._down_until:
            self._play_with_the_clock()
            self._carry_out_for_nobody(
                lambda now: reaper.tick(
                    self.db, now=now, monotonic=self.now, lease_seconds=LEASE, server="sim"
                )
            )
        self.at(self.now + TICK, self._tick)

    def _play_with_the_clock(self) -> None:
        if self.chance(self.faults.jumps):
            self._offset += self.rng.choice([-1, 1]) * self.rng.choice([60, 3_600, 315_360_000])
        if self.chance(self.faults.frozen) and self.now >= self._frozen_until:
            self._frozen_at = self.now
            self._frozen_until = self.now + LEASE
            self.at(self._frozen_until, self._thaw)

    def _thaw(self) -> None:
        self._offset -= self._frozen_until - self._frozen_at  # it goes on from where it stood

    def _over(self) -> bool:
        if next(self._ids) % 50:
            return False
        with self.db.read() as tx:
            return tx.execute(STATE).scalar_one() in FINISHED_STUDY_STATES
