"""A worker without threads that repeats each call until it is answered, and keeps what it was told."""

import time
from collections.abc import Callable
from typing import TypeVar

from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome, Points, Slot, WorkerId
from hpsearch.wire import HeartbeatRequest, Lease, LeaseRequest, RegisterWorker, ReportRequest, RunReport
from tests.faults.history import History, Report
from tests.faults.work import PIECES, POINTS, expected_points, expected_value

PATIENCE_SECONDS = 60.0
AGAIN_AFTER_SECONDS = 0.05
T = TypeVar("T")


class LoneWorker:
    """`before` is told the name of each call just before it is first made."""

    def __init__(self, client: Client, name: str, before: Callable[[str], None]) -> None:
        self.history = History()
        self.failures: list[HpsearchError] = []  # which it did not take for an answer
        self._client = client
        self._before = before
        self._name = name
        self._requests = 0
        slot = Slot(device="cpu", index=0, name="cpu")
        body = RegisterWorker(name=name, host="h", version="0", slots=(slot,), start_id=f"start-of-{name}")
        self._id: WorkerId = self._until_answered("register", lambda: client.register_worker(body)).id

    def work_one(self, *, forsake: bool = False) -> bool:
        """Lease a trial and train it; False where there was none. `forsake`: not even begin, and fall silent."""
        lease = self._lease()
        if lease is None:
            return False
        if not forsake:
            body = HeartbeatRequest(runs=(lease.run_id,))
            self._until_answered("heartbeat", lambda: self._client.heartbeat(self._id, body))
            if all(self._report(lease, piece) for piece in range(PIECES - 1)):
                self.finish(lease)
        return True

    def finish(self, lease: Lease) -> bool:
        """Send the last points with the result; whether the lease was still held."""
        return self._report(lease, PIECES - 1)

    def _lease(self) -> Lease | None:
        self._requests += 1
        asked = LeaseRequest(
            worker_id=self._id,
            request_id=f"{self._name}-request-{self._requests}",
            max_trials=1,
            wait_seconds=0,
        )
        leases = self._until_answered("lease", lambda: self._client.lease(asked)).leases
        for one in leases:
            self.history.leases.append((self._id, one.run_id, one.trial_id, one.epoch))
        return leases[0] if leases else None

    def _report(self, lease: Lease, piece: int) -> bool:
        """Whether the lease is still held."""
        params, some = (
            lease.assignment.params,
            range(piece * POINTS // PIECES, (piece + 1) * POINTS // PIECES),
        )
        values = expected_points(params, lease.run_id)
        series = {"loss": Points(steps=tuple(i + 1 for i in some), values=tuple(values[i] for i in some))}
        last = piece == PIECES - 1
        outcome = Outcome(state="completed", value=expected_value(params)) if last else None
        one = RunReport(run_id=lease.run_id, seq=piece, series=series, outcome=outcome)
        body = ReportRequest(worker_id=self._id, reports=(one,))
        name = "result" if last else "points"
        (answer,) = self._until_answered(name, lambda: self._client.report(body)).results
        state = outcome and outcome.state
        self.history.reports.append(Report(self._id, lease.run_id, piece, len(some), state, answer.status))
        return answer.status == "ok"

    def _until_answered(self, name: str, call: Callable[[], T]) -> T:
        self._before(name)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return call()
            except HpsearchError as error:
                # An answer that was cut, or none: the worker repeats both.
                if error.code not in ("server_unreachable", "unavailable", "disk_full", "error"):
                    raise
                if time.monotonic() > deadline:
                    raise
                self.failures.append(error)
            time.sleep(AGAIN_AFTER_SECONDS)
