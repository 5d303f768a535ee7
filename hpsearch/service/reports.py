"""What workers say of their runs. Every write is fenced by (run, worker, active) and stored once."""

from collections.abc import Iterable
from datetime import datetime

from hpsearch.records import RunId, RunState, StudyId, WorkerId, digest_of
from hpsearch.service import outcomes
from hpsearch.service.advance import advance
from hpsearch.store import metrics, runs, studies, trials
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.runs import RunRow
from hpsearch.wire import ReportRequest, ReportResponse, ReportResult, RunReport


@retried
def report(db: Database, request: ReportRequest, *, now: datetime) -> ReportResponse:
    """Store curves, logs and outcomes of several runs in one transaction; what follows is planned in it too.

    Each report is answered by itself: `lease_lost` where its run is over or another worker's, and then
    nothing of it is stored. A report that was stored before is `ok` again.
    """
    with db.write() as tx:
        ended = [one.run_id for one in request.reports if one.outcome is not None]
        # Before the runs are locked, and in one order: whatever ends a trial holds its study first.
        studies.lock_many(tx, runs.studies_of(tx, ended) if ended else ())
        held = _held(tx, request.worker_id, (one.run_id for one in request.reports))
        results = []
        touched: set[StudyId] = set()
        for one in request.reports:
            row = held.get(one.run_id)
            result = _store(tx, row, one, now=now)
            results.append(result)
            if row is not None and one.outcome is not None and result.status == "ok":
                touched.add(row.study_id)
                held |= runs.lock(tx, [row.id])
        for study_id in sorted(touched):
            advance(tx, study_id, now=now)
    return ReportResponse(results=tuple(results))


def _held(tx: Transaction, worker_id: WorkerId, ids: Iterable[RunId]) -> dict[RunId, RunRow]:
    """The worker's own runs among `ids`, locked."""
    rows = runs.lock(tx, list(ids))
    return {run_id: row for run_id, row in rows.items() if row.run.worker_id == worker_id}


def _store(tx: Transaction, row: RunRow | None, one: RunReport, *, now: datetime) -> ReportResult:
    if row is None:
        return _lost(one, "no such run of this worker")
    if not row.active:
        if _stored_before(row, one):
            return ReportResult(run_id=one.run_id, status="ok", detail="stored before")
        return _lost(one, f"run {row.id} is {row.run.state}; drop it")
    _store_stretch(tx, row, one)
    if one.outcome is not None:
        _store_outcome(tx, row, one, now=now)
    return ReportResult(run_id=one.run_id, status="ok")


def _lost(one: RunReport, detail: str) -> ReportResult:
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


def _store_stretch(tx: Transaction, row: RunRow, one: RunReport) -> None:
    if one.series:
        metrics.add_chunk(tx, row.id, one.seq, one.series)
    if one.log and one.seq > row.last_seq:
        metrics.append_log(tx, row.id, one.log)
    runs.note_seq(tx, row.id, one.seq)


def _store_outcome(tx: Transaction, row: RunRow, one: RunReport, *, now: datetime) -> None:
    outcome = one.outcome
    assert outcome is not None
    study = studies.lock(tx, row.study_id)
    trial = trials.get(tx, row.run.trial_id)
    assert study is not None
    assert trial is not None
    runs.end(
        tx,
        row.id,
        RunState(outcome.state),
        reason=outcome.reason,
        message=outcome.message,
        outcome_digest=outcome_digest(one),
        now=now,
    )
    outcomes.apply(tx, study, trial, outcome, stopped=row.stop, now=now)
