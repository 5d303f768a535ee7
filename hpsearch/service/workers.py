"""Workers: they register, are listed, and drain."""

from datetime import datetime, timedelta

from hpsearch.errors import NotFound, nearest
from hpsearch.records import TokenId, Worker, WorkerId, WorkerState
from hpsearch.service import breaker, ownership
from hpsearch.service.advance import advance
from hpsearch.service.claims import GONE_AFTER_LEASES
from hpsearch.service.leases import LEASE_SECONDS
from hpsearch.service.reaper import first_of_each_pack, lose_runs
from hpsearch.store import metrics, runs, studies, workers
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.workers import WorkerRow
from hpsearch.wire import Interrupted, RegisterWorker, WorkerList


@retried
def register(db: Database, body: RegisterWorker, *, by: TokenId | None = None, now: datetime) -> Worker:
    """A daemon says what it is; from then on only the token `by` speaks for it.

    The same name again is a new incarnation with a new id: what the old one
    held ends at once and waits again. A daemon that ends in order gives its trials back first, so what is
    left was taken down with it, and the trial in progress is charged with a crash. Raises Conflict where
    the name's worker is at work with another token."""
    with db.write() as tx:
        count, before = workers.incarnations(tx, body.name)
        known = workers.of_start(tx, body.name, body.start_id) if body.start_id else None
        if known is not None:
            ownership.check(known, by)
            return known.worker
        if before is not None:
            ownership.check_take_over(tx, before, by, now=now)
            workers.set_state(tx, before.id, WorkerState.GONE)
            _take_over(tx, before.id, body.interrupted, now=now)
        worker_id = workers.insert_worker(tx, body, incarnation=count + 1, token_id=by, now=now)
        return workers.lock_all(tx, [worker_id])[worker_id].worker


def _take_over(
    tx: Transaction, worker_id: WorkerId, interrupted: tuple[Interrupted, ...] | None, *, now: datetime
) -> None:
    studies.lock_of_worker(tx, worker_id)
    lost = runs.lock_of_worker(tx, worker_id)
    blamed = first_of_each_pack(lost) if interrupted is None else {run.run_id for run in interrupted}
    last_words = {run.run_id: run.log for run in interrupted or ()}
    for row in lost:
        if last_words.get(row.id):
            metrics.set_log(tx, row.id, last_words[row.id])
    lose_runs(tx, lost, blamed=blamed, why="its worker began again", now=now)
    for study_id in sorted({row.study_id for row in lost}):
        advance(tx, study_id, now=now)


def list_all(db: Database, *, now: datetime, lease_seconds: float = LEASE_SECONDS) -> WorkerList:
    """Every worker by name, `gone` when it was not seen for three leases."""
    seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * lease_seconds)
    with db.read() as tx:
        running = runs.active_by_worker(tx)
        shown = [
            _with_suspension(tx, _shown(row, running.get(row.id, 0), seen_since), now=now)
            for row in workers.current(tx)
        ]
    return WorkerList(workers=tuple(shown))


@retried
def drain(db: Database, key: str, *, now: datetime) -> Worker:
    """No new trials for this worker (by name or id); those under way finish. Told at its next heartbeat."""
    with db.write() as tx:
        row = workers.find(tx, key)
        if row is None:
            near = nearest(key, workers.names(tx))
            hint = f"did you mean {near!r}?" if near else "`hpsearch worker list` shows all"
            raise NotFound(f"no worker {key[:100]!r}", hint=hint)
        if row.worker.state is WorkerState.ACTIVE:
            workers.set_state(tx, row.id, WorkerState.DRAINING)
        drained = workers.find(tx, str(row.id)) or row
        seen_since = now - timedelta(seconds=GONE_AFTER_LEASES * LEASE_SECONDS)
        return _shown(drained, runs.active_by_worker(tx).get(row.id, 0), seen_since)


def _with_suspension(tx: Transaction, worker: Worker, *, now: datetime) -> Worker:
    if worker.state is not WorkerState.ACTIVE:
        return worker
    found = breaker.suspension(tx, worker.id)
    if found is None or now >= found.until:
        return worker
    return worker.model_copy(update={"state": WorkerState.SUSPENDED})


def _shown(row: WorkerRow, running: int, seen_since: datetime) -> Worker:
    unseen = row.worker.last_seen_at < seen_since
    state = WorkerState.GONE if unseen else row.worker.state
    return row.worker.model_copy(update={"state": state, "running": running})
