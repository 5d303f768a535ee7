"""What runs did: how the last of a worker and of others ended, and how long slots were busy."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select

from hpsearch.records import RunState, StudyId, TrialId, WorkerId
from hpsearch.store.by_index import equals
from hpsearch.store.engine import Transaction
from hpsearch.store.run_row import RunRow, row_of
from hpsearch.store.tables import runs, workers

RESULTS = (RunState.COMPLETED, RunState.DIVERGED, RunState.PRUNED)
_ENDED = tuple(state.value for state in RunState if state is not RunState.ACTIVE)
# Every lease asks: built once.
_LAST_ENDED = (
    select(runs)
    .where(equals(runs.c.worker_id, bindparam("worker")), runs.c.state != RunState.ACTIVE.value)
    .order_by(runs.c.worker_id.desc(), runs.c.id.desc())
    .limit(bindparam("most"))
)
_LAST_STATES = select(
    workers.c.id,
    select(runs.c.state)
    .where(equals(runs.c.worker_id, workers.c.id), runs.c.state != RunState.ACTIVE.value)
    .order_by(runs.c.worker_id.desc(), runs.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("state"),
).where(workers.c.id.in_(bindparam("ids", expanding=True)))

_LAST_ENDS = (
    select(runs.c.trial_id, func.max(runs.c.finished_at, type_=runs.c.finished_at.type).label("ended"))
    .where(runs.c.trial_id.in_(bindparam("trials", expanding=True)))
    .group_by(runs.c.trial_id)
)


def last_states(tx: Transaction, worker_ids: Collection[WorkerId]) -> dict[WorkerId, RunState]:
    """How the last ended run of each of these workers ended, where one has."""
    rows = tx.execute(_LAST_STATES, {"ids": list(worker_ids)})
    return {row.id: RunState(row.state) for row in rows if row.state is not None}


def last_ended(tx: Transaction, worker_id: WorkerId, limit: int) -> list[RunRow]:
    """The worker's runs that have ended, newest first."""
    return [row_of(row) for row in tx.execute(_LAST_ENDED, {"worker": worker_id, "most": limit})]


def last_ended_by_others(tx: Transaction, study_id: StudyId, worker_id: WorkerId, limit: int) -> list[RunRow]:
    """The study's runs that other workers (by name) brought to an end of their own, newest first."""
    same = select(workers.c.name).where(workers.c.id == worker_id).scalar_subquery()
    own = select(workers.c.id).where(workers.c.name == same)
    return _last(tx, study_id, (*RESULTS, RunState.FAILED), limit, runs.c.worker_id.not_in(own))


def failed_again(tx: Transaction, worker_id: WorkerId, trial_ids: Collection[TrialId]) -> set[TrialId]:
    """Those of these trials that failed on the worker (by name) more than once."""
    same = select(workers.c.name).where(workers.c.id == worker_id).scalar_subquery()
    wanted = (
        select(runs.c.trial_id)
        .join(workers, workers.c.id == runs.c.worker_id)
        .where(runs.c.trial_id.in_(trial_ids), runs.c.state == RunState.FAILED.value, workers.c.name == same)
        .group_by(runs.c.trial_id)
        .having(func.count() > 1)
    )
    return set(tx.execute(wanted).scalars())


def others_are_active(tx: Transaction, study_id: StudyId, worker_id: WorkerId) -> bool:
    """Whether another worker has a lease of the study."""
    wanted = select(runs.c.id).where(
        runs.c.study_id == study_id, runs.c.state == RunState.ACTIVE, runs.c.worker_id != worker_id
    )
    return tx.execute(wanted.limit(1)).first() is not None


def has_active(tx: Transaction, worker_id: WorkerId) -> bool:
    active = select(runs.c.id).where(runs.c.worker_id == worker_id, runs.c.state == RunState.ACTIVE)
    return tx.execute(active.limit(1)).first() is not None


def under_way(tx: Transaction, study_id: StudyId) -> bool:
    """Whether a run of the study is active."""
    active = select(runs.c.id).where(runs.c.study_id == study_id, runs.c.state == RunState.ACTIVE)
    return tx.execute(active.limit(1)).first() is not None


def last_ends(tx: Transaction, trial_ids: Collection[TrialId]) -> dict[TrialId, datetime]:
    """When the last run of each of these trials ended; asks nothing where there are none."""
    if not trial_ids:
        return {}
    rows = tx.execute(_LAST_ENDS, {"trials": list(trial_ids)})
    return {row.trial_id: row.ended for row in rows if row.ended}


def last_end_in_pack(tx: Transaction, row: RunRow) -> datetime | None:
    """When another run of the same pack ended last."""
    return tx.execute(
        select(func.max(runs.c.finished_at, type_=runs.c.finished_at.type)).where(
            runs.c.worker_id == row.run.worker_id,
            runs.c.request_id == row.request_id,
            runs.c.state.in_(_ENDED),  # named, for the index
            runs.c.id != row.id,
        )
    ).scalar()


def last_results(tx: Transaction, study_id: StudyId, limit: int) -> list[RunRow]:
    """The study's runs that brought a result, newest first."""
    return _last(tx, study_id, RESULTS, limit)


def _last(
    tx: Transaction, study_id: StudyId, states: Iterable[RunState], limit: int, *also: ColumnElement[bool]
) -> list[RunRow]:
    """The study's newest runs in these states: an index holds those of each state in order."""
    found: list[RunRow] = []
    for state in states:
        wanted = select(runs).where(runs.c.study_id == study_id, equals(runs.c.state, state.value), *also)
        newest = wanted.order_by(runs.c.state.desc(), runs.c.id.desc()).limit(limit)
        found += map(row_of, tx.execute(newest))
    return sorted(found, key=lambda row: row.id, reverse=True)[:limit]


def active(tx: Transaction, study_id: StudyId) -> list[RunRow]:
    """The study's runs under way, by id."""
    wanted = select(runs).where(runs.c.study_id == study_id, runs.c.state == RunState.ACTIVE)
    return [row_of(row) for row in tx.execute(wanted.order_by(runs.c.id))]


def busy_slots(tx: Transaction) -> set[tuple[WorkerId, int]]:
    """(worker, slot) of all runs under way."""
    wanted = select(runs.c.worker_id, runs.c.slot).where(runs.c.state == RunState.ACTIVE).distinct()
    return {(row.worker_id, row.slot) for row in tx.execute(wanted)}


def busy_since(tx: Transaction, row: RunRow) -> datetime:
    """Since when its slot has been at the trial in progress of an active run's pack."""
    return last_end_in_pack(tx, row) or row.run.started_at


def busy_seconds(tx: Transaction, study_id: StudyId, *, now: datetime) -> float:
    """How long slots have been busy with the study's active runs, which no ended run accounts for."""
    packs = {(row.run.worker_id, row.request_id): row for row in active(tx, study_id)}
    began = (busy_since(tx, row) for row in packs.values())
    return sum(max(0.0, (now - start).total_seconds()) for start in began)
