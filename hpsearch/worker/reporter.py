"""Sends what all slots' runs measured and how they ended: in batches, each until it is acknowledged."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hpsearch.errors import HpsearchError, InvalidInput, LeaseLost, ServerUnreachable, TooLarge, Unavailable
from hpsearch.records import FailureReason, Outcome, RunId, Series, WorkerId
from hpsearch.wire import LOG_BYTES, MAX_POINTS, ReportRequest, ReportResponse, ReportResult, RunReport
from hpsearch.worker.backlog import Backlog, point_count
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.guard import guarded
from hpsearch.worker.outage import Outage
from hpsearch.worker.server import Server

_MAX_REPORTS = 256
# The report that passes them is the last of its batch: 256 logs alone can be 100 MiB.
_BATCH_BYTES = 4 * 2**20
_GATHER_SECONDS = 0.05  # an outcome waits this long for others to go with it
_SHORT_LOG = 1_024  # characters: what is shorter is not cut again but left out
_SLACK_SECONDS = 0.01  # what is due that soon goes along
_TOLD_CHARACTERS = 300  # of a failure, in the daemon's log

log = logging.getLogger(__name__)


@dataclass
class _Run:
    """A lease that is held: what is still to be sent about it, and when."""

    seq: int = 0
    due: float | None = None
    outcome: Outcome | None = None
    log: str = ""


class Reporter:
    """Holds each lease from `open` until its outcome is acknowledged or the lease is over.

    Nothing acknowledged is lost and nothing counts twice: reports of a run are numbered, and a batch is sent
    again unchanged until the server has answered it. `on_lost` hears of leases that the server says are over,
    `on_fatal` of an error that ends the thread.
    """

    def __init__(
        self,
        server: Server,
        worker_id: WorkerId,
        backlog: Backlog,
        rng: random.Random,
        on_lost: Callable[[RunId], None],
        on_fatal: Callable[[HpsearchError], None],
        *,
        interval_seconds: float = 1.0,
    ) -> None:
        self._server = server
        self._worker_id = worker_id
        self._backlog = backlog
        self._backoff = Backoff(rng)
        self._outage = Outage("reports wait", "reports go on")
        self._on_lost = on_lost
        self._interval = interval_seconds
        self._runs: dict[RunId, _Run] = {}
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = guarded("reporter", self._work, on_fatal)

    # --- called by slots and heartbeat -----------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def open(self, run_ids: Iterable[RunId]) -> None:
        """These leases are held from now on."""
        with self._changed:
            self._runs.update({run_id: _Run() for run_id in run_ids})

    def held(self) -> tuple[RunId, ...]:
        """Leases to renew: their outcome is not acknowledged yet."""
        with self._changed:
            return tuple(self._runs)

    def holds(self, run_id: RunId) -> bool:
        with self._changed:
            return run_id in self._runs

    def add(self, run_id: RunId, series: Series) -> None:
        """A stretch of a run's curves; sent within the interval, or with its outcome."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is None or run.outcome is not None or point_count(series) == 0:
                return
            self._backlog.add(run_id, series)
            if run.due is None:
                run.due = time.monotonic() + self._interval
                self._changed.notify_all()

    def add_log(self, run_id: RunId, text: str) -> None:
        """More of what the run has printed; sent as its curves are. Its last 64 KiB are kept until then."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is None or run.outcome is not None or not text:
                return
            run.log = (run.log + text)[-LOG_BYTES:]
            if run.due is None:
                run.due = time.monotonic() + self._interval
                self._changed.notify_all()

    def finish(self, run_id: RunId, outcome: Outcome, text: str = "", *, urgent: bool = False) -> None:
        """How the run ended and the end of its log. `urgent`: send now, a slot waits for what follows."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is None or run.outcome is not None:
                return
            if outcome.state == "failed":
                log.warning("run %s failed (%s): %s", run_id, outcome.reason, _shortly(outcome.message))
            run.outcome = outcome
            run.log = (run.log + text)[-LOG_BYTES:]
            due = time.monotonic() + (0.0 if urgent else _GATHER_SECONDS)
            run.due = due if run.due is None else min(run.due, due)
            self._changed.notify_all()

    def drop(self, run_id: RunId) -> None:
        """The lease is over: nothing more is sent about it."""
        with self._changed:
            self._runs.pop(run_id, None)
            self._backlog.drop(run_id)
            self._changed.notify_all()

    def release_rest(self) -> None:
        """Give back every lease that has no outcome yet."""
        for run_id in self.held():
            self.finish(run_id, Outcome(state="released", message="the worker stopped"), urgent=True)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until no lease is held; False where some still is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._runs, timeout_seconds)

    def close(self) -> None:
        """Stop sending. What has not been acknowledged by now is dropped."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=1)
        with self._changed:
            self._backlog.close()

    # --- its thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            response = self._deliver(batch)
            if response is not None:
                self._settle(batch, response)

    def _next_batch(self) -> ReportRequest | None:
        """Wait until something is due; None when closed."""
        with self._changed:
            while not self._closed.is_set():
                now = time.monotonic()
                dues = [run.due for run in self._runs.values() if run.due is not None]
                if dues and min(dues) <= now:
                    return self._gather(now + _SLACK_SECONDS)
                self._changed.wait(min(dues) - now if dues else None)
            return None

    def _gather(self, until: float) -> ReportRequest:
        """What is due, outcomes first, within the limits of one request. Numbers the reports."""
        due = [
            (run_id, run) for run_id, run in self._runs.items() if run.due is not None and run.due <= until
        ]
        due.sort(key=lambda item: item[1].outcome is None)
        reports: list[RunReport] = []
        room = MAX_POINTS
        size = 0
        for run_id, run in due[:_MAX_REPORTS]:
            if size >= _BATCH_BYTES:
                break
            series = self._backlog.take(run_id, room)
            room -= point_count(series)
            more = self._backlog.has(run_id)
            outcome = None if more else run.outcome
            text = "" if more else run.log
            if not series and outcome is None and not text:
                continue  # no room left: the next batch
            report = RunReport(run_id=run_id, seq=run.seq, series=series, outcome=outcome, log=text)
            reports.append(report)
            size += len(report.model_dump_json().encode())
            run.seq += 1
            run.log = run.log if more else ""
            run.due = until if more else None
        return ReportRequest(worker_id=self._worker_id, reports=tuple(reports))

    def _deliver(self, batch: ReportRequest) -> ReportResponse | None:
        """The answer to this very batch, however long the server is away; None when closed."""
        while not self._closed.is_set():
            try:
                response = self._server.report(batch)
            except (ServerUnreachable, Unavailable) as error:
                self._outage.note(error)
                pause = self._backoff.next_seconds(error)
            except TooLarge as error:
                return self._deliver_smaller(batch, error)
            except (InvalidInput, LeaseLost) as error:
                return self._deliver_singly(batch, error)
            except HpsearchError as error:
                log.error("the server did not take reports, trying again: %s", error)
                pause = self._backoff.next_seconds(error)
            else:
                self._backoff.reset()
                self._outage.over()
                return response
            self._closed.wait(pause)
        return None

    def _deliver_smaller(self, batch: ReportRequest, error: HpsearchError) -> ReportResponse | None:
        """A proxy before the server may take less than it does: in halves, and of one report less of its log."""
        reports = batch.reports
        if len(reports) > 1:
            half = len(reports) // 2
            return self._deliver_parts(batch, (reports[:half], reports[half:]))
        (report,) = reports
        if not report.log:
            return self._deliver_singly(batch, error)
        kept = len(report.log) // 4 if len(report.log) > _SHORT_LOG else 0
        log.warning("run %s: of its log the last %d characters are sent: %s", report.run_id, kept, error)
        shorter = report.model_copy(update={"log": report.log[len(report.log) - kept :]})
        return self._deliver(batch.model_copy(update={"reports": (shorter,)}))

    def _deliver_parts(
        self, batch: ReportRequest, parts: Iterable[tuple[RunReport, ...]]
    ) -> ReportResponse | None:
        results: list[ReportResult] = []
        for part in parts:
            answer = self._deliver(batch.model_copy(update={"reports": part}))
            results.extend(answer.results if answer is not None else ())
        return ReportResponse(results=tuple(results))

    def _deliver_singly(self, batch: ReportRequest, error: HpsearchError) -> ReportResponse | None:
        """One report that the server refuses for good must not hold up the others: it ends its own run."""
        if len(batch.reports) == 1:
            (report,) = batch.reports
            log.error("run %s: the server refused its report: %s", report.run_id, error)
            return self._refused(report, error)
        return self._deliver_parts(batch, ((report,) for report in batch.reports))

    def _refused(self, report: RunReport, error: HpsearchError) -> ReportResponse | None:
        outcome = report.outcome
        failing = outcome is not None and outcome.reason is FailureReason.ERROR and not report.series
        if isinstance(error, LeaseLost) or failing:
            status = ReportResult(run_id=report.run_id, status="lease_lost", detail=str(error))
            return ReportResponse(results=(status,))
        failed = Outcome(
            state="failed", reason=FailureReason.ERROR, message=f"the server refused its report: {error}"
        )
        plain = RunReport(run_id=report.run_id, seq=report.seq, outcome=failed)
        batch = ReportRequest(worker_id=self._worker_id, reports=(plain,))
        answer = self._deliver(batch)
        if answer is None:
            return None
        # Nothing more may follow: the run is over for the server, and so it is here.
        status = ReportResult(run_id=report.run_id, status="lease_lost", detail=str(error))
        return ReportResponse(results=(status,))

    def _settle(self, batch: ReportRequest, response: ReportResponse) -> None:
        ended = {report.run_id for report in batch.reports if report.outcome is not None}
        lost = [result for result in response.results if result.status != "ok"]
        for result in lost:
            if self.holds(result.run_id):
                log.warning("run %s: its lease is over: %s", result.run_id, result.detail)
                self._on_lost(result.run_id)
        for run_id in ended.union(result.run_id for result in lost):
            self.drop(run_id)


def _shortly(message: str) -> str:
    return (message.strip().splitlines() or ["no reason given"])[0][:_TOLD_CHARACTERS]
