"""Rows of studies. `lock` first, then change trials: the row carries their counts."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.sql.dml import Update

from hpsearch.command import CommandTask
from hpsearch.records import (
    FINISHED_STUDY_STATES,
    RunId,
    RunState,
    StudyId,
    StudyState,
    TrialState,
    WorkerId,
)
from hpsearch.spec import StudySpec
from hpsearch.store import leftovers
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow, row_of
from hpsearch.store.tables import runs, studies
from hpsearch.store.types import Timestamp
from hpsearch.tasks import COMMANDS, TASK_FILES, FileTask

MANY = 2**31 - 1
# What every lease and report runs is built once: building a statement takes as long as running it.
_GET = select(studies).where(studies.c.id == bindparam("key"))
_LOCK = select(studies).where(studies.c.id == bindparam("key")).with_for_update()
_BY_NAME = select(studies).where(studies.c.name == bindparam("name"))
_LOCK_BY_NAME = _BY_NAME.with_for_update()
_PARENT = studies.alias("parent")
_LOCK_FAMILY = (
    select(studies)
    .where(
        studies.c.id.in_(
            [
                bindparam("key"),
                select(_PARENT.c.parent_id).where(_PARENT.c.id == bindparam("key")).scalar_subquery(),
            ]
        )
    )
    .order_by(studies.c.id)
    .with_for_update()
)
_LOCK_OF_RUNS = (
    select(studies)
    .where(studies.c.id.in_(select(runs.c.study_id).where(runs.c.id.in_(bindparam("ids", expanding=True)))))
    .order_by(studies.c.id)
    .with_for_update()
)
_LOCK_OF_WORKER = (
    select(studies.c.id)
    .where(
        studies.c.id.in_(
            select(runs.c.study_id).where(
                runs.c.worker_id == bindparam("worker"), runs.c.state == RunState.ACTIVE.value
            )
        )
    )
    .order_by(studies.c.id)
    .with_for_update()
)
_CLAIMABLE = (
    select(studies.c.id, studies.c.labels)
    .where(
        studies.c.state == StudyState.RUNNING.value,
        studies.c.waiting_trials > 0,
        studies.c.gpus <= bindparam("gpus"),
    )
    .order_by(studies.c.priority.desc(), studies.c.running_trials, studies.c.id)
)
_ALIVE = studies.c.state.in_([StudyState.RUNNING.value, StudyState.STOPPING.value])
_IDLE = and_(studies.c.waiting_trials == 0, studies.c.running_trials == 0)
_LATE = studies.c.deadline <= bindparam("now", type_=Timestamp)
# Trials wait and none runs: its examinations, or of an examination the others of its family, may have spent the
# budget that they share. A study that has started nothing has no examinations.
_SPENT_BY_OTHERS = and_(
    studies.c.waiting_trials > 0,
    studies.c.running_trials == 0,
    or_(studies.c.started_trials > 0, studies.c.parent_id.is_not(None)),
)
_DUE = select(studies.c.id).where(
    _ALIVE, or_(_IDLE, and_(studies.c.state == StudyState.RUNNING.value, or_(_LATE, _SPENT_BY_OTHERS)))
)


def insert_study(tx: Transaction, spec: StudySpec, *, now: datetime) -> StudyId:
    """A new running study without trials."""
    return insert_row(tx, spec, {"name": spec.name}, now=now)


def insert_row(tx: Transaction, spec: StudySpec, also: Mapping[str, Any], *, now: datetime) -> StudyId:
    """A new running study of this spec; `also` are the columns that the spec does not say."""
    values: dict[str, Any] = {
        "digest": spec.digest,
        "state": StudyState.RUNNING,
        "reason": "",
        "method": spec.method,
        "metric": spec.objective.metric,
        "direction": spec.objective.direction,
        "spec": spec.model_dump(mode="json"),
        "priority": spec.resources.priority,
        "gpus": spec.resources.gpus,
        "labels": [*spec.resources.labels, *_labels_of_task(spec)],
        "planned_trials": 0,
        "started_trials": 0,
        "pace": {},
        "created_at": now,
        **{f"{state}_trials": 0 for state in TrialState},
        **also,
    }
    return StudyId(tx.execute(insert(studies).values(values).returning(studies.c.id)).scalar_one())


def _labels_of_task(spec: StudySpec) -> list[str]:
    """What a worker must have been started with to run the study's own code."""
    if isinstance(spec.task, CommandTask):
        return [COMMANDS]
    return [TASK_FILES] if isinstance(spec.task, FileTask) else []


def get(tx: Transaction, study_id: StudyId) -> StudyRow | None:
    row = tx.execute(_GET, {"key": study_id}).one_or_none()
    return None if row is None else row_of(row)


def lock(tx: Transaction, study_id: StudyId) -> StudyRow | None:
    """The study, which nobody else changes until this transaction ends."""
    row = tx.execute(_LOCK, {"key": study_id}).one_or_none()
    return None if row is None else row_of(row)


def lock_with_parent(tx: Transaction, study_id: StudyId) -> StudyRow | None:
    """The study, locked after the one whose budget it shares: both count on one limit."""
    rows = tx.execute(_LOCK_FAMILY, {"key": study_id}).all()
    return row_of(rows[-1]) if rows and rows[-1].id == study_id else None


def lock_of_runs(tx: Transaction, run_ids: Collection[RunId]) -> dict[StudyId, StudyRow]:
    """Lock the studies of these runs, in the order of ids: two transactions never wait for each other."""
    return {row.id: row_of(row) for row in tx.execute(_LOCK_OF_RUNS, {"ids": list(run_ids)})}


def lock_of_worker(tx: Transaction, worker_id: WorkerId) -> None:
    """Lock the studies that this worker trains for, in the order of ids."""
    tx.execute(_LOCK_OF_WORKER, {"worker": worker_id})


def find(tx: Transaction, key: str, *, lock: bool = False) -> StudyRow | None:
    """By name, else by id."""
    row = tx.execute(_LOCK_BY_NAME if lock else _BY_NAME, {"name": key}).one_or_none()
    if row is None and key.isascii() and key.isdecimal() and len(key) < 19:
        row = tx.execute(_LOCK if lock else _GET, {"key": int(key)}).one_or_none()
    return None if row is None else row_of(row)


def claimable(tx: Transaction, *, gpu: bool, labels: Iterable[str]) -> list[StudyId]:
    """Running studies with waiting trials that a slot may take: by priority, then the least served."""
    offered = set(labels)
    rows = tx.execute(_CLAIMABLE, {"gpus": MANY if gpu else 0})
    return [row.id for row in rows if offered.issuperset(row.labels)]


def due(tx: Transaction, *, now: datetime) -> list[StudyId]:
    """Studies that may move on without news: no open trial is left, or their budget may be used up."""
    return list(tx.execute(_DUE, {"now": now}).scalars())


def count_trials(
    tx: Transaction,
    study_id: StudyId,
    moves: Mapping[TrialState, int],
    *,
    planned: int = 0,
    started: int = 0,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Add to the counts by state what a change of trials added or took away; `also` sets other columns."""
    names = {f"{state}_trials": n for state, n in moves.items() if n}
    names |= {name: n for name, n in (("planned_trials", planned), ("started_trials", started)) if n}
    changed = also or {}
    if names or changed:
        tx.execute(_adding(tuple(names), tuple(changed)), {"key": study_id, **names, **changed})


@cache
def _adding(added: tuple[str, ...], changed: tuple[str, ...]) -> Update:
    """The statement that adds to some columns and sets others."""
    values = {name: studies.c[name] + bindparam(name) for name in added}
    return (
        update(studies)
        .where(studies.c.id == bindparam("key"))
        .values({**values, **{name: bindparam(name) for name in changed}})
    )


def set_state(
    tx: Transaction, study_id: StudyId, state: StudyState, *, reason: str = "", now: datetime
) -> None:
    finished_at = now if state in FINISHED_STUDY_STATES else None
    tx.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(state=state, reason=reason, finished_at=finished_at)
    )


def change(tx: Transaction, study_id: StudyId, **values: Any) -> None:
    """Set single columns: best_value, pace, deadline, device_seconds, priority, spec."""
    tx.execute(update(studies).where(studies.c.id == study_id).values(values))


def add_device_seconds(tx: Transaction, study_id: StudyId, seconds: float) -> None:
    tx.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(device_seconds=studies.c.device_seconds + seconds)
    )


def delete_study(tx: Transaction, study_id: StudyId) -> list[StudyId]:
    """The study with its examinations and, by cascade, all that belongs to them; returns their ids. Files may be
    left over."""
    family = or_(studies.c.id == study_id, studies.c.parent_id == study_id)
    gone = [StudyId(found) for found in tx.execute(select(studies.c.id).where(family)).scalars()]
    tx.execute(delete(studies).where(family))
    leftovers.note(tx, gone)
    return gone
