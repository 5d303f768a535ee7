"""What a worker needs of its server; `hpsearch.client.Client` has it."""

from pathlib import Path
from typing import Literal, Protocol

from hpsearch.records import Checkpoint, RunId, TrialId, Worker, WorkerId
from hpsearch.wire import (
    HeartbeatRequest,
    HeartbeatResponse,
    LeaseRequest,
    LeaseResponse,
    RegisterWorker,
    ReportRequest,
    ReportResponse,
)


class Server(Protocol):
    """Safe to call from several threads. Each method raises ServerUnreachable or Unavailable when it may be
    repeated, LeaseLost for a lease that is over, and another HpsearchError where repeating would not help."""

    def register_worker(self, body: RegisterWorker, /) -> Worker: ...

    def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest, /) -> HeartbeatResponse: ...

    def lease(self, body: LeaseRequest, /) -> LeaseResponse: ...

    def report(self, body: ReportRequest, /) -> ReportResponse: ...

    def upload_checkpoint(
        self, run_id: RunId, worker_id: WorkerId, name: Literal["best", "last"], step: int, path: Path, /
    ) -> Checkpoint: ...

    def download_checkpoint(
        self, trial_id: TrialId, name: Literal["best", "last"], path: Path, /
    ) -> Path: ...
