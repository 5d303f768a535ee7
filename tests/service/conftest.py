"""A small fleet driven by hand: workers that lease and report as the test tells them."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from hpsearch.records import (
    FailureReason,
    Outcome,
    RunId,
    Series,
    Slot,
    Study,
    Trial,
    TrialState,
    Worker,
    WorkerId,
)
from hpsearch.service import leases, studies, trials, workers
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.store.engine import Database
from hpsearch.wire import Lease, LeaseRequest, RegisterWorker, ReportRequest, ReportResult, RunReport

LEASE_SECONDS = 30.0


class Ticking(Protocol):
    """The clock fixture."""

    now: Any

    def advance(self, seconds: float) -> Any: ...


def grid_spec(name: str = "grid", **changes: Any) -> StudySpec:
    """A grid of 4 learning rates x 3 weight decays."""
    raw: dict[str, Any] = {
        "name": name,
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "method": "grid",
        "space": {
            "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "weight_decay": [0.0, 1e-5, 1e-4],
        },
        "grid": {"learning_rate": 4},
    }
    return parse_spec({**raw, **changes})


def small_spec(name: str = "small", points: int = 2, **changes: Any) -> StudySpec:
    """A grid of one axis."""
    space = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
    return grid_spec(name, space=space, grid={"learning_rate": points}, **changes)


def done(value: float | None = 0.5, **measurements: float) -> Outcome:
    return Outcome(state="completed", value=value, measurements=dict(measurements))


def failed(reason: FailureReason, message: str = "it broke") -> Outcome:
    return Outcome(state="failed", reason=reason, message=message)


@dataclass
class Fleet:
    db: Database
    clock: Ticking
    _requests: Iterator[int] = field(default_factory=itertools.count)

    def study(self, spec: StudySpec) -> Study:
        return studies.create(self.db, spec, now=self.clock.now)[0]

    def worker(self, name: str = "worker", device: str = "cpu", slots: int = 1, **more: Any) -> Worker:
        made = tuple(Slot(device=device, index=i, name=f"{device} {i}") for i in range(slots))  # type: ignore[arg-type]
        body = RegisterWorker(name=name, host="localhost", version="0", slots=made, **more)
        return workers.register(self.db, body, now=self.clock.now)

    def lease(
        self, worker: Worker, *, request_id: str | None = None, most: int = 16, slot: int = 0
    ) -> tuple[Lease, ...]:
        request = LeaseRequest(
            worker_id=worker.id,
            request_id=request_id or f"request-{next(self._requests)}",
            max_trials=most,
            slot=slot,
        )
        return leases.lease(self.db, request, now=self.clock.now, lease_seconds=LEASE_SECONDS).leases

    def one(self, worker: Worker) -> Lease:
        (lease,) = self.lease(worker, most=1)
        return lease

    def report(
        self,
        worker_id: WorkerId,
        run_id: RunId,
        outcome: Outcome | None = None,
        *,
        seq: int = 0,
        series: Series | None = None,
        log: str = "",
    ) -> ReportResult:
        one = RunReport(run_id=run_id, seq=seq, series=series or {}, log=log, outcome=outcome)
        request = ReportRequest(worker_id=worker_id, reports=(one,))
        (result,) = leases.report(self.db, request, now=self.clock.now).results
        return result

    def train_all(self, worker: Worker, outcome: Callable[[Lease], Outcome]) -> list[Lease]:
        """Lease and finish until nothing waits."""
        trained = []
        while pack := self.lease(worker):
            for lease in pack:
                assert self.report(worker.id, lease.run_id, outcome(lease)).status == "ok"
                trained.append(lease)
        return trained

    def trials(self, key: str) -> list[Trial]:
        return list(trials.page(self.db, key, page_size=1000).trials)

    def states(self, key: str) -> list[TrialState]:
        return [trial.state for trial in self.trials(key)]


@pytest.fixture
def fleet(db: Database, clock: Ticking) -> Fleet:
    return Fleet(db, clock)


@pytest.fixture
def make() -> Any:
    """The builders above, for tests that can't import this file."""

    class Make:
        grid = staticmethod(grid_spec)
        small = staticmethod(small_spec)
        done = staticmethod(done)
        failed = staticmethod(failed)

    return Make
