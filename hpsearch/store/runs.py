"""Rows of runs. A run's id, its worker and the state `active` together are the fence of every write."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, insert, select, update

from hpsearch.records import (
    FailureReason,
    Run,
    RunId,
    RunState,
    StudyId,
    StudyState,
    TrialId,
    WorkerId,
)
from hpsearch.store.engine import Transaction
from hpsearch.store.run_row import RunRow, row_of
from hpsearch.store.tables import runs, studies, workers
from hpsearch.store.types import Timestamp

# What every lease and report runs is built once: building a statement takes as long as running it.
_INSERT = insert(runs).returning(runs.c.id, sort_by_parameter_order=True)
IDS_AT_ONCE = 10_000  # parameters of one statement: libpq takes 65,535, SQLite 32,766 unless built for more
_WITH_TOKEN = (
    select(runs, workers.c.token_id)
    .join(workers, workers.c.id == runs.c.worker_id)
    .where(runs.c.id.in_(bindparam("ids", expanding=True)))
)
_LOCK = _WITH_TOKEN.order_by(runs.c.id).with_for_update(of=runs)
_OF_REQUESTS = (
    select(runs)
    .where(
        runs.c.worker_id.in_(bindparam("workers", expanding=True)),
        runs.c.state == RunState.ACTIVE.value,
        runs.c.request_id.in_(bindparam("requests", expanding=True)),
    )
    .order_by(runs.c.id)
)
_ACTIVE = runs.c.state == RunState.ACTIVE.value
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_WITH_EXPIRED = (
    select(runs.c.study_id)
    .where(_ACTIVE, runs.c.lease_until < bindparam("now", type_=Timestamp))
    .distinct()
    .order_by(runs.c.study_id)
)
_STOP_STATES = (
    select(runs.c.id, runs.c.worker_id, runs.c.stop, studies.c.state)
    .join(studies, studies.c.id == runs.c.study_id)
    .where(_ACTIVE, runs.c.id.in_(_IDS))
    .order_by(runs.c.id)
    .with_for_update(of=runs)
)
_IDS_OF_TRIALS = (
    select(runs.c.trial_id, runs.c.id)
    .where(runs.c.trial_id.in_(bindparam("trials", expanding=True)))
    .order_by(runs.c.epoch)
)
_OF_TRIAL = (
    select(runs, workers.c.name.label("worker_name"))
    .join(workers, workers.c.id == runs.c.worker_id)
    .where(runs.c.trial_id == bindparam("trial"))
    .order_by(runs.c.epoch)
)
_LOCK_ACTIVE = select(runs).where(_ACTIVE).order_by(runs.c.id).with_for_update()
_LOCK_OF_WORKER = _LOCK_ACTIVE.where(runs.c.worker_id == bindparam("worker"))
_LOCK_EXPIRED = _LOCK_ACTIVE.where(
    runs.c.study_id == bindparam("study"), runs.c.lease_until < bindparam("now", type_=Timestamp)
)
_RENEW_ALL = update(runs).where(_ACTIVE).values(lease_until=bindparam("until"))
_RENEW = update(runs).where(runs.c.id.in_(_IDS), _ACTIVE).values(lease_until=bindparam("until"))
_NOTE_SEQ = (
    update(runs)
    .where(runs.c.id == bindparam("key"), runs.c.last_seq < bindparam("seq"))
    .values(last_seq=bindparam("seq"))
)
END = (
    update(runs)
    .where(runs.c.id == bindparam("key"), _ACTIVE)
    .values(
        {
            name: bindparam(name)
            for name in ("state", "reason", "message", "finished_at", "last_seq", "outcome_digest")
        }
    )
)


@dataclass(frozen=True)
class NewRun:
    """`not_before`: when the trial's run before it ended. A call that waited for its turn brings an older time."""

    trial_id: TrialId
    epoch: int
    worker_id: WorkerId
    slot: int
    request_id: str
    not_before: datetime | None = None


def insert_runs(
    tx: Transaction, new: Sequence[NewRun], *, study_id: StudyId, term: timedelta, now: datetime
) -> list[RunId]:
    """Active runs with leases of `term`, their ids in the order of `new`."""
    begins = [now if run.not_before is None else max(now, run.not_before) for run in new]
    rows = [
        {
            "trial_id": run.trial_id,
            "study_id": study_id,
            "worker_id": run.worker_id,
            "epoch": run.epoch,
            "slot": run.slot,
            "request_id": run.request_id,
            "state": RunState.ACTIVE,
            "message": "",
            "stop": False,
            "last_seq": -1,
            # A call that waited gets its whole term. Where the clock was set back, `begin` may lie hours ahead, and
            # so far off would be the end of a lease whose worker dies before its first heartbeat.
            "lease_until": min(begin, now + term) + term,
            "started_at": begin,
        }
        for run, begin in zip(new, begins, strict=True)
    ]
    # In one statement, sorted: a pack's ids must rise in the order it is trained.
    return [RunId(run_id) for run_id in tx.execute(_INSERT, rows).scalars()]


def find(tx: Transaction, run_id: RunId) -> RunRow | None:
    """The run as it is now."""
    row = tx.execute(_WITH_TOKEN, {"ids": [run_id]}).one_or_none()
    return None if row is None else replace(row_of(row), token_id=row.token_id)


def lock(tx: Transaction, ids: Collection[RunId]) -> dict[RunId, RunRow]:
    """The runs, which nobody else changes until this transaction ends."""
    rows = tx.execute(_LOCK, {"ids": list(set(ids))})
    return {row.id: replace(row_of(row), token_id=row.token_id) for row in rows}


def lock_of_worker(tx: Transaction, worker_id: WorkerId) -> list[RunRow]:
    """The worker's active runs, by id."""
    return [row_of(row) for row in tx.execute(_LOCK_OF_WORKER, {"worker": worker_id})]


def lock_expired(tx: Transaction, study_id: StudyId, *, now: datetime) -> list[RunRow]:
    """The study's active runs whose lease has run out, by id."""
    return [row_of(row) for row in tx.execute(_LOCK_EXPIRED, {"study": study_id, "now": now})]


def of_requests(
    tx: Transaction, requests: Collection[tuple[WorkerId, str]]
) -> dict[tuple[WorkerId, str], list[RunRow]]:
    """(worker, request id) -> the active runs that this request was given, where it was given any."""
    asked = {
        "workers": [worker_id for worker_id, _ in requests],
        "requests": [request_id for _, request_id in requests],
    }
    found: dict[tuple[WorkerId, str], list[RunRow]] = {}
    for row in map(row_of, tx.execute(_OF_REQUESTS, asked)):
        found.setdefault((row.run.worker_id, row.request_id), []).append(row)
    return found


def of_trial(tx: Transaction, trial_id: TrialId) -> list[Run]:
    rows = tx.execute(_OF_TRIAL, {"trial": trial_id})
    return [row_of(row).run.model_copy(update={"worker": row.worker_name}) for row in rows]


def ids_of_trials(tx: Transaction, trial_ids: Collection[TrialId]) -> dict[TrialId, list[RunId]]:
    """Each trial's runs, oldest first."""
    found: dict[TrialId, list[RunId]] = {trial_id: [] for trial_id in trial_ids}
    for row in tx.execute(_IDS_OF_TRIALS, {"trials": list(trial_ids)}):
        found[row.trial_id].append(row.id)
    return found


def studies_with_expired(tx: Transaction, *, now: datetime) -> list[StudyId]:
    return list(tx.execute(_WITH_EXPIRED, {"now": now}).scalars())


def stop_states(
    tx: Transaction, claimed: Collection[tuple[WorkerId, RunId]]
) -> dict[tuple[WorkerId, RunId], bool]:
    """Of the runs that workers claim, the active ones that are theirs, each with whether it should end."""
    rows = [
        row
        for ids in _in_parts({run_id for _, run_id in claimed})
        for row in tx.execute(_STOP_STATES, {"ids": ids})
    ]
    found = {(row.worker_id, row.id): row.stop or row.state == StudyState.CANCELLED for row in rows}
    return {claim: stop for claim, stop in found.items() if claim in claimed}


def renew(tx: Transaction, ids: Collection[RunId], *, lease_until: datetime) -> None:
    for some in _in_parts(ids):
        tx.execute(_RENEW, {"ids": some, "until": lease_until})


def _in_parts(ids: Collection[RunId]) -> Iterator[list[RunId]]:
    """In order, so that two transactions lock what they share in the same one."""
    ordered = sorted(ids)
    for first in range(0, len(ordered), IDS_AT_ONCE):
        yield ordered[first : first + IDS_AT_ONCE]


def renew_all(tx: Transaction, *, lease_until: datetime) -> None:
    """Every live lease, after an outage or a jump of the clock."""
    tx.execute(_RENEW_ALL, {"until": lease_until})


def ask_to_stop(tx: Transaction, trial_id: TrialId) -> None:
    tx.execute(
        update(runs).where(runs.c.trial_id == trial_id, runs.c.state == RunState.ACTIVE).values(stop=True)
    )


def note_seq(tx: Transaction, run_id: RunId, seq: int) -> None:
    tx.execute(_NOTE_SEQ, {"key": run_id, "seq": seq})


def end(
    tx: Transaction,
    row: RunRow,
    state: RunState,
    *,
    reason: FailureReason | None = None,
    message: str = "",
    outcome_digest: str | None = None,
    now: datetime,
) -> RunRow:
    """The active run ends; returns it as it is now. The caller holds its lock."""
    found = ended(row, state, reason=reason, message=message, outcome_digest=outcome_digest, now=now)
    tx.execute(END, end_values(found))
    return found


def ended(
    row: RunRow,
    state: RunState,
    *,
    reason: FailureReason | None,
    message: str,
    outcome_digest: str | None,
    now: datetime,
) -> RunRow:
    """The run as it is after its end."""
    run = row.run.model_copy(
        update={"state": state, "reason": reason, "message": message, "finished_at": now}
    )
    return replace(row, run=run, outcome_digest=outcome_digest)


def end_values(row: RunRow) -> dict[str, Any]:
    """What END takes for a run that has ended so."""
    return {
        "key": row.id,
        "state": row.run.state,
        "reason": row.run.reason,
        "message": row.run.message,
        "finished_at": row.run.finished_at,
        "last_seq": row.last_seq,
        "outcome_digest": row.outcome_digest,
    }


def active_by_worker(tx: Transaction) -> dict[WorkerId, int]:
    rows = tx.execute(
        select(runs.c.worker_id, func.count().label("running"))
        .where(runs.c.state == RunState.ACTIVE)
        .group_by(runs.c.worker_id)
    )
    return {row.worker_id: row.running for row in rows}
