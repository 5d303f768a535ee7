"""What workers say of their runs. Every write is fenced by (run, worker, active) and stored once."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from hpsearch.records import Outcome, RunId, RunState, StudyId, WorkerId, digest_of
from hpsearch.service import breaker, budgets, outcomes
from hpsearch.service.advance import advance
from hpsearch.store import metrics, runs, studies, trials
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.runs import RunRow
from hpsearch.wire import ReportRequest, ReportResponse, ReportResult, RunReport


@retried
def report(db: Database, request: ReportRequest, *, now: datetime) -> ReportResponse:
    """Store curves, logs and outcomes of several runs in one transaction; what follows is planned in it too.

    Each report is answered by itself: `lease_lost` where its run is over or another worker's, `refused` where
    it has ended with another outcome, and then nothing of it is stored. What was stored before is `ok` again.
    """
    ended = [one.run_id for one in request.reports if one.outcome is not None]
    results: list[ReportResult] = []
    touched: set[StudyId] = set()
    with db.write() as tx:
        if ended:  # whatever ends a trial holds its study first, and only then the run
            studies.lock_of_runs(tx, ended)
        held = _held(tx, request.worker_id, (one.run_id for one in request.reports))
        for one in request.reports:
            row = held.get(one.run_id)
            if row is None or not row.active:
                results.append(_of_ended(row, one))
                continue
            held[row.id] = _store(tx, row, one, now=now)
            results.append(ReportResult(run_id=row.id, status="ok"))
            if one.outcome is not None:
                touched.add(row.study_id)
        for study_id in sorted(touched):
            advance(tx, study_id, now=now)
    return ReportResponse(results=tuple(results))


def _held(tx: Transaction, worker_id: WorkerId, ids: Iterable[RunId]) -> dict[RunId, RunRow]:
    """The worker's own runs among `ids`, locked."""
    rows = runs.lock(tx, list(ids))
    return {run_id: row for run_id, row in rows.items() if row.run.worker_id == worker_id}


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


def _store(tx: Transaction, row: RunRow, one: RunReport, *, now: datetime) -> RunRow:
    """Store a report of an active run; returns the run as it is then."""
    if one.series:
        metrics.add_chunk(tx, row.id, one.seq, one.series)
    if one.log and one.seq > row.last_seq:
        metrics.append_log(tx, row.id, one.log)
    row = replace(row, last_seq=max(row.last_seq, one.seq))
    if one.outcome is None:
        runs.note_seq(tx, row.id, row.last_seq)
        return row
    return _store_outcome(tx, row, one.outcome, outcome_digest(one), now=now)


def _store_outcome(tx: Transaction, row: RunRow, outcome: Outcome, digest: str, *, now: datetime) -> RunRow:
    study = studies.lock(tx, row.study_id)
    trial = trials.get(tx, row.run.trial_id)
    assert study is not None
    assert trial is not None
    outcomes.apply(tx, study, trial, outcome, stopped=row.stop, now=now)
    ended = runs.end(
        tx,
        row,
        RunState(outcome.state),
        reason=outcome.reason,
        message=outcome.message,
        outcome_digest=digest,
        now=now,
    )
    budgets.book(tx, study, ended, now=now)
    if ended.run.state is RunState.FAILED:
        breaker.after_failure(tx, study.id, row.run.worker_id, now=now)
    return ended
