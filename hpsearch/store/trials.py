"""Rows of trials: planning, claiming and ending them. Callers hold the lock on the study's row."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Row, bindparam, false, func, insert, literal_column, select, update

from hpsearch.records import (
    Budget,
    FailureReason,
    Program,
    Record,
    StageId,
    StudyId,
    Trial,
    TrialId,
    TrialPlan,
    TrialState,
    plan_digest,
)
from hpsearch.store.by_index import equals
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import trials
from hpsearch.store.types import Timestamp

CHUNK = 2_000

T = TypeVar("T")

# What every lease and report runs is built once: building a statement takes as long as running it.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF_IDS = select(trials).where(trials.c.id.in_(_IDS))
_OF_STUDY = select(trials).where(trials.c.study_id == bindparam("study")).order_by(trials.c.number)
_GET = select(trials).where(trials.c.id == bindparam("key"))
_WAIT_AGAIN = (
    update(trials)
    .where(trials.c.id.in_(_IDS))
    .values(state=TrialState.WAITING.value, reason=None, message="", resumable=False, finished_at=None)
)
_FORGIVE = _WAIT_AGAIN.values(failures=0, rescues=0)
_CHARGE = (
    update(trials)
    .where(trials.c.id == bindparam("key"))
    .values({name: trials.c[name] + bindparam(name) for name in ("failures", "rescues", "preemptions")})
)
_WAITING = (
    select(trials)
    .where(
        trials.c.study_id == bindparam("study"),
        equals(trials.c.state, TrialState.WAITING.value),
        trials.c.id > bindparam("after"),
    )
    .order_by(trials.c.state, trials.c.id)
    .limit(bindparam("most"))
)
_CLAIM = (
    update(trials)
    .where(trials.c.id.in_(_IDS), trials.c.state == TrialState.WAITING.value)
    .values(
        state=TrialState.RUNNING.value,
        epoch=trials.c.epoch + 1,
        started_at=func.coalesce(trials.c.started_at, bindparam("now", type_=Timestamp)),
    )
)


def insert_plans(
    tx: Transaction,
    study_id: StudyId,
    stage_id: StageId,
    plans: Iterable[TrialPlan],
    *,
    first_number: int,
    now: datetime,
) -> int:
    """Waiting trials for the plans whose digest the study does not have yet; returns how many."""
    number = first_number
    seen: set[str] = set()
    dumps = Dumps()
    for chunk in _chunks(plans):
        new = {digest: plan for plan in chunk if (digest := dumps.digest(plan)) not in seen}
        seen |= new.keys()
        if first_number:  # else the study has no trials yet
            for digest in list(_known_digests(tx, study_id, new)):
                del new[digest]
        rows = [
            _planned(study_id, stage_id, number + i, digest, plan, dumps, now)
            for i, (digest, plan) in enumerate(new.items())
        ]
        if rows:
            tx.execute(insert(trials).values(_FRESH), rows)
        number += len(rows)
    return number - first_number


def get(tx: Transaction, trial_id: TrialId) -> Trial | None:
    row = tx.execute(_GET, {"key": trial_id}).one_or_none()
    return None if row is None else record_of(row)


def of_ids(tx: Transaction, ids: Collection[TrialId]) -> dict[TrialId, Trial]:
    rows = tx.execute(_OF_IDS, {"ids": list(ids)})
    return {row.id: record_of(row) for row in rows}


def of_study(tx: Transaction, study_id: StudyId) -> list[Trial]:
    """All, by number. For recipe studies, which are small; plain ones are read in pages."""
    rows = tx.execute(_OF_STUDY, {"study": study_id})
    return [record_of(row) for row in rows]


def of_stage(tx: Transaction, stage_id: StageId) -> list[Trial]:
    """A stage's trials, by number."""
    rows = tx.execute(select(trials).where(trials.c.stage_id == stage_id).order_by(trials.c.number))
    return [record_of(row) for row in rows]


def waiting(tx: Transaction, study_id: StudyId, limit: int, *, after: int = 0) -> list[Trial]:
    """The first waiting trials, in the order they were planned; those behind the trial `after`."""
    rows = tx.execute(_WAITING, {"study": study_id, "most": limit, "after": after})
    return [record_of(row) for row in rows]


def claim(tx: Transaction, ids: Collection[TrialId], *, now: datetime) -> None:
    """Waiting trials start running: the epoch is bumped in the statement that takes them."""
    taken = tx.execute(_CLAIM, {"ids": list(ids), "now": now})
    if taken.rowcount != len(ids):
        raise AssertionError(f"claimed {taken.rowcount} of {len(ids)} trials under the study's lock")


def fail(tx: Transaction, trial_id: TrialId, reason: FailureReason, message: str, *, now: datetime) -> None:
    tx.execute(
        update(trials)
        .where(trials.c.id == trial_id)
        .values(state=TrialState.FAILED, reason=reason, message=message, finished_at=now)
    )


def charge(
    tx: Transaction, trial_id: TrialId, *, failures: int = 0, rescues: int = 0, preemptions: int = 0
) -> None:
    """Book an unfinished run on its trial's separate accounts."""
    charged = {"failures": failures, "rescues": rescues, "preemptions": preemptions}
    tx.execute(_CHARGE, {"key": trial_id, **charged})


def wait_again(tx: Transaction, ids: Collection[TrialId], *, forgive: bool = False) -> None:
    """Back to waiting; `forgive` also clears what was charged (a user's retry)."""
    for chunk in _chunks(ids):
        tx.execute(_FORGIVE if forgive else _WAIT_AGAIN, {"ids": chunk})


def cancel(
    tx: Transaction, trial_id: TrialId, message: str, *, resumable: bool = False, now: datetime
) -> None:
    tx.execute(
        update(trials)
        .where(trials.c.id == trial_id)
        .values(state=TrialState.CANCELLED, message=message, resumable=resumable, finished_at=now)
    )


def cancel_waiting(
    tx: Transaction, study_id: StudyId, message: str, *, resumable: bool, unstarted: bool, now: datetime
) -> int:
    """Every waiting trial of the study, or those alone that have never run; returns how many."""
    waiting = (trials.c.study_id == study_id) & (trials.c.state == TrialState.WAITING)
    return tx.execute(
        update(trials)
        .where(waiting & (trials.c.epoch == 0) if unstarted else waiting)
        .values(state=TrialState.CANCELLED, message=message, resumable=resumable, finished_at=now)
    ).rowcount


def ids_in(
    tx: Transaction, study_id: StudyId, state: TrialState, *, resumable: bool | None = None
) -> list[TrialId]:
    wanted = select(trials.c.id).where(trials.c.study_id == study_id, trials.c.state == state)
    if resumable is not None:
        wanted = wanted.where(trials.c.resumable.is_(resumable))
    return list(tx.execute(wanted.order_by(trials.c.id)).scalars())


def first_failure(tx: Transaction, study_id: StudyId) -> Trial | None:
    """The failed trial with the lowest number."""
    row = tx.execute(
        select(trials)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.FAILED)
        .order_by(trials.c.number)
        .limit(1)
    ).one_or_none()
    return None if row is None else record_of(row)


def _planned(
    study_id: StudyId,
    stage_id: StageId,
    number: int,
    digest: str,
    plan: TrialPlan,
    dumps: "Dumps",
    now: datetime,
) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "stage_id": stage_id,
        "number": number,
        "role": plan.role,
        "program": dumps.of(plan.program),
        "params": plan.params,
        "replicate": plan.replicate,
        "budget": dumps.of(plan.budget),
        "digest": digest,
        "continues": plan.continues,
        "created_at": now,
    }


class Dumps:
    """Programs and budgets as JSON. A grid's plans share theirs: each is dumped once, not 100,000 times."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Record, dict[str, Any]]] = {}  # by identity; kept, so ids stay theirs

    def of(self, record: Record | None) -> dict[str, Any] | None:
        if record is None:
            return None
        known = self._known.get(id(record))
        if known is None:
            known = self._known[id(record)] = (record, record.model_dump(mode="json"))
        return known[1]

    def digest(self, plan: TrialPlan) -> str:
        """`plan.digest`."""
        return plan_digest(self.of(plan.program), plan.params, plan.replicate, self.of(plan.budget))


# What every new trial begins with, written into the statement: a large grid binds half as many values.
_FRESH: dict[str, Any] = {
    "state": literal_column(f"'{TrialState.WAITING}'"),
    "message": literal_column("''"),
    "metrics": literal_column("'{}'"),
    "measurements": literal_column("'{}'"),
    "resumable": false(),
    **{name: literal_column("0") for name in ("steps", "epoch", "failures", "rescues", "preemptions")},
}


def _known_digests(tx: Transaction, study_id: StudyId, digests: Collection[str]) -> Iterator[str]:
    for chunk in _chunks(digests):
        yield from tx.execute(
            select(trials.c.digest).where(trials.c.study_id == study_id, trials.c.digest.in_(chunk))
        ).scalars()


def _chunks(items: Iterable[T]) -> Iterator[Sequence[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def record_of(row: Row[Any]) -> Trial:
    return Trial(
        id=row.id,
        study_id=row.study_id,
        stage_id=row.stage_id,
        number=row.number,
        role=row.role,
        state=TrialState(row.state),
        reason=None if row.reason is None else FailureReason(row.reason),
        message=row.message,
        program=Program.model_validate(row.program),
        params=row.params,
        replicate=row.replicate,
        budget=None if row.budget is None else Budget.model_validate(row.budget),
        digest=row.digest,
        continues=row.continues,
        value=row.value,
        metrics=row.metrics,
        measurements=row.measurements,
        steps=row.steps,
        epoch=row.epoch,
        failures=row.failures,
        rescues=row.rescues,
        preemptions=row.preemptions,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
