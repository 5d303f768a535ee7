"""What a worker needs of its server; `hpsearch.client.Client` has it."""

from pathlib import Path
from typing import Literal, Protocol

from hpsearch.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge, Unauthorized
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

# Repeating can't help: the token, the worker or the request is refused. Any other error may pass.
REFUSALS = (Unauthorized, Forbidden, NotFound, Conflict, InvalidInput, TooLarge)


class Server(Protocol):
    """Safe to call from several threads. Each method raises an HpsearchError, one of REFUSALS where repeating
    the call would not help (LeaseLost among them, for a lease that is over)."""

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
