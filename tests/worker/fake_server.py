"""A server in memory with the face that a worker needs: it hands out what is put in and keeps what it is told."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hpsearch.errors import ServerUnreachable
from hpsearch.records import (
    Budget,
    Checkpoint,
    Outcome,
    Program,
    RunId,
    TrialId,
    Worker,
    WorkerId,
    WorkerState,
)
from hpsearch.space import Params
from hpsearch.tasks import FileTask, NamedTask, Task
from hpsearch.wire import (
    Assignment,
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    LeaseRequest,
    LeaseResponse,
    RegisterWorker,
    ReportRequest,
    ReportResponse,
    ReportResult,
    RunReport,
)

Name = Literal["best", "last"]
DIGITS = NamedTask(dataset="digits", model="mlp")


class FakeServer:
    """`away` makes every call fail; `lost`, `stop` and `drain` are what the next heartbeats answer."""

    def __init__(self, *, lease_seconds: float = 30.0) -> None:
        self.changed = threading.Condition()
        self.lease_seconds = lease_seconds
        self.away = False
        self.packs: deque[tuple[Lease, ...]] = deque()
        self.registered: list[RegisterWorker] = []
        self.asked: list[LeaseRequest] = []
        self.beats: list[HeartbeatRequest] = []
        self.requests: list[ReportRequest] = []
        self.outcomes: dict[RunId, Outcome] = {}
        self.ended_at: dict[RunId, float] = {}
        self.logs: dict[RunId, str] = {}
        self.points: dict[RunId, dict[str, list[tuple[int, float]]]] = {}
        self.sequences: dict[RunId, list[int]] = {}
        self.checkpoints: dict[tuple[RunId, Name], bytes] = {}
        self.lost: set[RunId] = set()
        self.stop: set[RunId] = set()
        self.drain = False
        self._next_run = 1

    # --- what a test does --------------------------------------------------------------------------

    def plan(
        self,
        *params: Params,
        task: Task = DIGITS,
        epochs: float = 1.0,
        fixed: Params | None = None,
        keep_last: bool = False,
        start: Checkpoint | None = None,
        again: RunId | None = None,
    ) -> tuple[RunId, ...]:
        """One pack with a trial per params; `again`: the trial of that run, the only one of its pack."""
        leases = []
        for point in params:
            run_id = RunId(self._next_run)
            self._next_run += 1
            assignment = Assignment(
                task=task,
                params=point,
                fixed=fixed or {},
                program=Program(kind="train"),
                budget=Budget(epochs=epochs),
            )
            leases.append(
                Lease(
                    run_id=run_id,
                    study="fake",
                    trial_id=TrialId(again or run_id),
                    number=again or run_id,
                    epoch=1,
                    assignment=assignment,
                    start=start,
                    keep_last=keep_last,
                    lease_seconds=self.lease_seconds,
                )
            )
        with self.changed:
            self.packs.append(tuple(leases))
            self.changed.notify_all()
        return tuple(lease.run_id for lease in leases)

    def wait_for(self, what: Callable[[], object], seconds: float = 60.0) -> None:
        """Until it holds; a failure after `seconds`."""
        with self.changed:
            assert self.changed.wait_for(what, seconds), f"not within {seconds} s; outcomes: {self.outcomes}"

    def wait_for_outcomes(self, runs: Sequence[RunId], seconds: float = 60.0) -> list[Outcome]:
        self.wait_for(lambda: all(run in self.outcomes for run in runs), seconds)
        return [self.outcomes[run] for run in runs]

    def wait_for_points(self, run: RunId, seconds: float = 60.0) -> None:
        self.wait_for(lambda: self.points.get(run), seconds)

    # --- what a worker calls -----------------------------------------------------------------------

    def register_worker(self, body: RegisterWorker, /) -> Worker:
        self._answer()
        self.registered.append(body)
        now = datetime.now(UTC)
        return Worker(
            id=WorkerId(1),
            name=body.name,
            state=WorkerState.ACTIVE,
            host=body.host,
            slots=body.slots,
            version=body.version,
            running=0,
            registered_at=now,
            last_seen_at=now,
        )

    def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest, /) -> HeartbeatResponse:
        self._answer()
        with self.changed:
            self.beats.append(body)
            self.changed.notify_all()
            return HeartbeatResponse(
                lost=tuple(self.lost & set(body.runs)),
                stop=tuple(self.stop & set(body.runs)),
                drain=self.drain,
            )

    def lease(self, body: LeaseRequest, /) -> LeaseResponse:
        self._answer()
        with self.changed:
            self.asked.append(body)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.packs or self.away, body.wait_seconds)
            self._answer()
            return LeaseResponse(leases=self.packs.popleft() if self.packs else ())

    def report(self, body: ReportRequest, /) -> ReportResponse:
        self._answer()
        with self.changed:
            self.requests.append(body)
            results = [self._take(report) for report in body.reports]
            self.changed.notify_all()
        return ReportResponse(results=tuple(results))

    def upload_checkpoint(
        self, run_id: RunId, worker_id: WorkerId, name: Name, step: int, path: Path, /
    ) -> Checkpoint:
        self._answer()
        content = path.read_bytes()
        with self.changed:
            assert run_id not in self.outcomes, "a checkpoint comes before its run's outcome"
            self.checkpoints[run_id, name] = content
            self.changed.notify_all()
        return Checkpoint(
            trial_id=TrialId(run_id), run_id=run_id, name=name, step=step, size=len(content), sha256=""
        )

    def download_checkpoint(self, trial_id: TrialId, name: Name, path: Path, /) -> Path:
        self._answer()
        path.write_bytes(self.checkpoints[RunId(trial_id), name])
        return path

    def _take(self, report: RunReport) -> ReportResult:
        run = report.run_id
        if run in self.lost:
            return ReportResult(run_id=run, status="lease_lost", detail="it ran out")
        if report.seq in self.sequences.setdefault(run, []):
            return ReportResult(run_id=run, status="ok")
        self.sequences[run].append(report.seq)
        for name, points in report.series.items():
            curve = self.points.setdefault(run, {}).setdefault(name, [])
            curve.extend(zip(points.steps, points.values, strict=True))
        if report.outcome is not None:
            assert run not in self.outcomes, f"run {run} ended twice"
            self.outcomes[run] = report.outcome
            self.ended_at[run] = time.monotonic()
        self.logs[run] = self.logs.get(run, "") + report.log
        return ReportResult(run_id=run, status="ok")

    def _answer(self) -> None:
        if self.away:
            raise ServerUnreachable("no answer from the fake server")


def file_task(path: Path, class_name: str) -> FileTask:
    """A task file as a study names it: relative to the worker's tasks folder, with its digest."""
    return FileTask(
        file=path.name, class_name=class_name, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
