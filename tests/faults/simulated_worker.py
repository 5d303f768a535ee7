"""A worker of the simulator: a daemon, its heart and its one slot."""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hpsearch.errors import Conflict
from hpsearch.records import Outcome, Points, RunId, Slot, WorkerId
from hpsearch.service import leases, workers
from hpsearch.wire import (
    HeartbeatRequest,
    Interrupted,
    Lease,
    LeaseRequest,
    RegisterWorker,
    ReportRequest,
    RunReport,
)
from tests.faults.history import Report
from tests.faults.work import PIECES, POINTS, expected_points, expected_value

if TYPE_CHECKING:
    from tests.faults.simulator import Simulation

LEASE = 30.0
TIMEOUT = 5.0
Process = Generator[float, None, None]


class Unanswered(Exception):
    """The caller knows nothing of what became of its call."""


class SimulatedWorker:
    """A daemon and its one slot; it dies and is started again under its name."""

    def __init__(self, sim: "Simulation", name: str) -> None:
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
