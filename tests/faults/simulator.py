"""T2: the service in virtual time, with everything that a network, a machine and a clock can do to it; one seed, one history.

A call may be lost, answered to nobody, repeated, or carried out long after its caller gave up; a worker may stand still at
any of its writes or die; the server may die before or after any commit; its wall clock may jump or stand. Nothing here
waits: an hour costs what its calls cost.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hpsearch.errors import Conflict, HpsearchError
from hpsearch.records import FINISHED_STUDY_STATES, Outcome, Points, RunId, Slot, WorkerId
from hpsearch.service import leases, reaper, studies, workers
from hpsearch.store.engine import Database, Transaction
from hpsearch.wire import (
    HeartbeatRequest,
    Interrupted,
    Lease,
    LeaseRequest,
    RegisterWorker,
    ReportRequest,
    RunReport,
)
from tests.faults.chaos import STUDY, grid_of
from tests.faults.history import History, Report
from tests.faults.work import PIECES, POINTS, expected_points, expected_value

LEASE = 30.0
TICK = 2.0
TIMEOUT = 5.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Where a worker may stand still: around each of its writes.
WRITE_POINTS = tuple(
    f"{side} {what}"
    for what in ("register", "lease", "first points", "points", "result", "heartbeat")
    for side in ("before", "after")
)


class Unanswered(Exception):
    """The caller knows nothing of what became of its call."""


class Crashed(Exception):
    """The server died here."""


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
Process = Generator[float, None, None]


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
        return studies.get(self.db, STUDY).state in FINISHED_STUDY_STATES


class SimulatedWorker:
    """A daemon and its one slot; it dies and is started again under its name."""

    def __init__(self, sim: Simulation, name: str) -> None:
        self._sim = sim
        self._name = name
        self._life = 0
        self._in_progress: RunId | None = None
        self._held: dict[RunId, Lease] = {}
        self._paused_until = -1.0

    def start(self) -> None:
        self._life += 1
        self._held = {}
        self._play(self._work(), self._life)

    def _play(self, process: Process, life: int) -> None:
        if life != self._life:
            return  # that incarnation is dead
        if self._sim.now < self._paused_until:
            self._sim.at(self._paused_until, lambda: self._play(process, life))
            return
        if self._sim.chance(self._sim.faults.worker_dies):
            self._sim.at(self._sim.now + self._sim.rng.uniform(0, 2 * LEASE), self.start)
            self._life += 1
            return
        try:
            pause = next(process, None)
        except Conflict:  # a belated registration took its name: it ends, and is started again
            self._life += 1
            self._sim.at(self._sim.now + self._sim.rng.uniform(1, 5), self.start)
            return
        if pause is not None:
            self._sim.at(self._sim.now + pause, lambda: self._play(process, life))

    def _stand_still(self, point: str) -> None:
        """Daemon, heart and child alike, as a suspended machine does."""
        faults = self._sim.faults
        if faults.pause_at in (None, point) and self._sim.chance(faults.pause):
            self._paused_until = self._sim.now + self._sim.rng.uniform(1, 3) * LEASE

    def _work(self) -> Process:
        worker = yield from self._register()
        self._sim.at(self._sim.now + self._sim.rng.uniform(0, LEASE / 3), self._heart_of(worker, self._life))
        while True:
            for lease in (yield from self._lease(worker)):
                yield from self._train(worker, lease)

    def _heart_of(self, worker: WorkerId, life: int) -> Callable[[], None]:
        return lambda: self._play(self._beat(worker), life)

    def _register(self) -> Generator[float, None, WorkerId]:
        told = () if self._in_progress is None else (Interrupted(run_id=self._in_progress),)
        slot = Slot(device="cpu", index=0, name="cpu")
        body = RegisterWorker(
            name=self._name,
            host="h",
            version="0",
            slots=(slot,),
            interrupted=told,
            start_id=f"start-{self._name}-{self._life}",
        )
        answer = yield from self._until_answered(
            "register", lambda now: workers.register(self._sim.db, body, now=now)
        )
        self._in_progress = None
        return WorkerId(answer.id)

    def _lease(self, worker: WorkerId) -> Generator[float, None, tuple[Lease, ...]]:
        body = LeaseRequest(
            worker_id=worker,
            request_id=f"request-{self._name}-{self._life}-{self._sim.now:.6f}",
            max_trials=4,
        )
        answer = yield from self._until_answered(
            "lease", lambda now: leases.lease(self._sim.db, body, now=now, lease_seconds=LEASE)
        )
        for one in answer.leases:
            self._held[one.run_id] = one
            self._sim.history.leases.append((worker, one.run_id, one.trial_id, one.epoch))
        if not answer.leases:
            yield 5.0
        return tuple(answer.leases)

    def _train(self, worker: WorkerId, lease: Lease) -> Process:
        self._in_progress = lease.run_id
        values = expected_points(lease.assignment.params, lease.run_id)
        for piece in range(PIECES):
            yield self._sim.rng.uniform(0.1, 5.0)
            some = range(piece * POINTS // PIECES, (piece + 1) * POINTS // PIECES)
            series = {"loss": Points(steps=tuple(i + 1 for i in some), values=tuple(values[i] for i in some))}
            last = piece == PIECES - 1
            value = expected_value(lease.assignment.params)
            outcome = Outcome(state="completed", value=value, measurements={"seconds": 0.2}) if last else None
            one = RunReport(run_id=lease.run_id, seq=piece, series=series, outcome=outcome)
            point = "result" if last else "first points" if piece == 0 else "points"
            if not (yield from self._report(worker, one, point)):
                break
        self._held.pop(lease.run_id, None)
        self._in_progress = None

    def _report(self, worker: WorkerId, one: RunReport, point: str) -> Generator[float, None, bool]:
        if one.run_id not in self._held:
            return False  # the heart has heard that it is over
        body = ReportRequest(worker_id=worker, reports=(one,))
        answer = yield from self._until_answered(
            point, lambda now: leases.report(self._sim.db, body, now=now)
        )
        status = answer.results[0].status
        state = one.outcome and one.outcome.state
        self._sim.history.reports.append(Report(worker, one.run_id, one.seq, POINTS // PIECES, state, status))
        return bool(status == "ok")

    def _beat(self, worker: WorkerId) -> Process:
        while True:
            self._stand_still("before heartbeat")
            yield 0.0
            body = HeartbeatRequest(runs=tuple(self._held))
            try:
                answer = self._sim.call(
                    lambda now, body=body: leases.heartbeat(  # type: ignore[misc]
                        self._sim.db, worker, body, now=now, lease_seconds=LEASE
                    )
                )
            except Unanswered:
                yield TIMEOUT
                continue
            for run_id in answer.lost:
                self._held.pop(run_id, None)
                self._sim.history.lost.add(run_id)
            self._stand_still("after heartbeat")
            yield LEASE / 3 * self._sim.rng.uniform(0.8, 1.0)

    def _until_answered(self, point: str, service: Callable[[datetime], Any]) -> Generator[float, None, Any]:
        """The same call again and again, as the real worker repeats it."""
        while True:
            self._stand_still(f"before {point}")
            yield 0.0
            try:
                answer = self._sim.call(service)
            except Unanswered:
                yield self._sim.rng.uniform(0.5, TIMEOUT)
                continue
            self._stand_still(f"after {point}")
            yield 0.0
            return answer
