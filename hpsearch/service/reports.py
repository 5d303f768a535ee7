"""What workers say of their runs. Every write is fenced by (run, worker, active) and stored once."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hpsearch.records import Outcome, RunId, RunState, StudyId, TokenId, Trial, TrialId, digest_of
from hpsearch.service import breaker, budgets, outcomes, refusals
from hpsearch.service.advance import advance
from hpsearch.service.ownership import speaks_for
from hpsearch.service.refusals import Refusal
from hpsearch.store import metrics, runs, studies, trials
from hpsearch.store.batch import Batch
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.run_row import RunRow
from hpsearch.store.study_row import StudyRow
from hpsearch.wire import ReportRequest, ReportResponse, ReportResult, RunReport


@dataclass(frozen=True)
class Stored:
    """What became of a request, once it is stored. `runs`: the worker's own of those that it speaks of.

    `foreign`: what it wanted to write under leases that others hold.
    """

    request: ReportRequest
    response: ReportResponse
    runs: Mapping[RunId, RunRow]
    foreign: Sequence[Refusal]

    def told(self) -> ReportResponse:
        """The answer; the log learns which runs ended, and which writes came under a lease that is over or another's."""
        log = logging.getLogger("hpsearch.reports")
        for one, result in zip(self.request.reports, self.response.results, strict=True):
            row = self.runs.get(one.run_id)
            facts: dict[str, object] = {"run": one.run_id, "worker": self.request.worker_id}
            if row is not None:
                facts |= {"study": row.study_id, "trial": row.run.trial_id}
            if result.status != "ok":
                log.warning("write refused", extra={**facts, "why": result.detail})
            elif one.outcome is not None:
                log.info(
                    "run ended", extra={**facts, "state": one.outcome.state, "reason": one.outcome.reason}
                )
        return self.response


def report(
    db: Database, request: ReportRequest, *, by: TokenId | None = None, now: datetime
) -> ReportResponse:
    """Store curves, logs and outcomes of several runs in one transaction; what follows is planned in it too.

    Each report is answered by itself: `lease_lost` where its run is over or another worker's, or the worker another
    token's than `by`; `refused` where it has ended with another outcome, and then nothing of it is stored. What was
    stored before is `ok` again. A write under a lease that another holds is kept as an event of its study.
    """
    (stored,) = report_all(db, [request], by=[by], now=now)
    return stored.told()


def report_all(
    db: Database,
    requests: Sequence[ReportRequest],
    *,
    by: Sequence[TokenId | None] | None = None,
    now: datetime,
) -> list[Stored]:
    """`report` of several workers in one transaction; the log is told by each request's `told`.

    `by`: each caller's token, beside `requests`.
    """
    stored = _report_all(db, requests, by or [None] * len(requests), now=now)
    refusals.record(db, [refusal for one in stored for refusal in one.foreign], now=now)
    return stored


@retried
def _report_all(
    db: Database, requests: Sequence[ReportRequest], by: Sequence[TokenId | None], *, now: datetime
) -> list[Stored]:
    every = [one for request in requests for one in request.reports]
    ended = [one.run_id for one in every if one.outcome is not None]
    with db.write() as tx:
        # Whatever ends a trial holds its study first, and only then the run.
        report = _Report(tx, studies.lock_of_runs(tx, ended) if ended else {}, now)
        rows = runs.lock(tx, [one.run_id for one in every])
        report.load_trials(rows[run_id] for run_id in ended if run_id in rows)
        stored = [_store(report, request, who, rows) for request, who in zip(requests, by, strict=True)]
        report.finish()
    return stored


def _store(
    report: "_Report", request: ReportRequest, by: TokenId | None, rows: dict[RunId, RunRow]
) -> Stored:
    """One request's part. `rows`: the locked runs of all requests, kept as they are with what was said before."""
    asked = {one.run_id: rows[one.run_id] for one in request.reports if one.run_id in rows}
    held = {run_id: row for run_id, row in asked.items() if _owns(request, by, row)}
    foreign = [
        Refusal(row, "report", request.worker_id, by)
        for run_id, row in asked.items()
        if run_id not in held and row.active
    ]
    results: list[ReportResult] = []
    for one in request.reports:
        row = held.get(one.run_id)
        if row is None or not row.active:
            results.append(_of_ended(row, one))
            continue
        held[row.id] = rows[row.id] = report.store(row, one)
        results.append(ReportResult(run_id=row.id, status="ok"))
    return Stored(request, ReportResponse(results=tuple(results)), held, foreign)


def _owns(request: ReportRequest, by: TokenId | None, row: RunRow) -> bool:
    return row.run.worker_id == request.worker_id and speaks_for(by, row.token_id)


def _of_ended(row: RunRow | None, one: RunReport) -> ReportResult:
    """The answer for a run that takes no more: `ok` only for what it was told before."""
    if row is None:
        return ReportResult(run_id=one.run_id, status="lease_lost", detail="no such run of this worker")
    if _stored_before(row, one):
        return ReportResult(run_id=one.run_id, status="ok", detail="stored before")
    if row.outcome_digest is not None and one.outcome is not None:
        detail = f"run {row.id} has ended as {row.run.state} with another outcome, which stays"
        return ReportResult(run_id=row.id, status="refused", detail=detail)
    detail = f"run {row.id} is {row.run.state}; drop it"
    return ReportResult(run_id=one.run_id, status="lease_lost", detail=detail)


def _stored_before(row: RunRow, one: RunReport) -> bool:
    """Whether an ended run's report is a repeat: the same outcome, or what was said before it."""
    if row.outcome_digest is None:
        return False
    if one.outcome is None:
        return one.seq <= row.last_seq
    return outcome_digest(one) == row.outcome_digest


def outcome_digest(one: RunReport) -> str:
    """SHA-256 of the outcome: tells a repeat from another result of the same run."""
    assert one.outcome is not None
    return digest_of(one.outcome.model_dump_json())


class _Report:
    """What one transaction stores: rows are collected and written together, then what follows is planned."""

    def __init__(self, tx: Transaction, held: dict[StudyId, StudyRow], now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._studies = held
        self._trials: dict[TrialId, Trial] = {}
        self._batch = Batch()
        self._touched: set[StudyId] = set()
        self._failed: list[RunRow] = []

    def load_trials(self, rows: Iterable[RunRow]) -> None:
        """Of the active runs among `rows`, which will end."""
        ids = [row.run.trial_id for row in rows if row.active]
        self._trials = trials.of_ids(self._tx, ids) if ids else {}

    def store(self, row: RunRow, one: RunReport) -> RunRow:
        """Take a report of an active run; returns the run as it is then."""
        if one.series:
            self._batch.chunk(row.id, one.seq, one.series)
        if one.log and one.seq > row.last_seq:
            metrics.append_log(self._tx, row.id, one.log)
        row = replace(row, last_seq=max(row.last_seq, one.seq))
        if one.outcome is None:
            runs.note_seq(self._tx, row.id, row.last_seq)
            return row
        return self._end(row, one.outcome, outcome_digest(one))

    def _end(self, row: RunRow, outcome: Outcome, digest: str) -> RunRow:
        study = self._studies[row.study_id]
        trial = self._trials[row.run.trial_id]
        self._studies[study.id] = outcomes.apply(
            self._tx, self._batch, study, trial, outcome, stopped=row.stop, now=self._now
        )
        ended = self._batch.end_run(
            row,
            RunState(outcome.state),
            reason=outcome.reason,
            message=outcome.message,
            outcome_digest=digest,
            now=self._now,
        )
        if budgets.books(study):
            self._batch.flush(self._tx)
            budgets.book(self._tx, study, ended, now=self._now)
        if ended.run.state is RunState.FAILED:
            self._failed.append(ended)
        self._touched.add(study.id)
        return ended

    def finish(self) -> None:
        """Write everything; then see what it means for workers and studies."""
        self._batch.flush(self._tx)
        for row in self._failed:
            breaker.after_failure(self._tx, row.study_id, row.run.worker_id, now=self._now)
        for study_id in sorted(self._touched):
            advance(self._tx, study_id, now=self._now)
