"""Trials in pages, in any order of an allow-list, and by rank."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Float, Integer, Select, and_, bindparam, cast, func, not_, select

from hpsearch.records import StageKind, StudyId, Trial, TrialId, TrialState
from hpsearch.space import Params
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import stages, trials
from hpsearch.store.trials import record_of

ORDERS = (
    "number", "value", "state", "stage", "role", "steps", "epoch", "replicate", "created_at", "started_at",
    "finished_at",
)  # fmt: skip
Direction = Literal["minimize", "maximize"]

_CONTINUES = select(trials.c.id, trials.c.continues).where(
    trials.c.id.in_(bindparam("trials", expanding=True))
)


def page(
    tx: Transaction,
    study_id: StudyId,
    *,
    state: TrialState | None,
    stage: StageKind | None,
    order: str,
    descending: bool,
    offset: int,
    limit: int,
) -> list[Trial]:
    """At most `limit` trials after `offset`. `order` is one of ORDERS; unknowns go last."""
    chosen = _chosen(select(trials), study_id, state, stage)
    column = trials.c.stage_id if order == "stage" else trials.c[order]
    keys: list[ColumnElement[Any]] = [column.desc() if descending else column.asc()]
    if column.nullable:
        keys.insert(0, column.is_(None))
    rows = tx.execute(chosen.order_by(*keys, trials.c.number).offset(offset).limit(limit))
    return [record_of(row) for row in rows]


def count(tx: Transaction, study_id: StudyId, *, state: TrialState | None, stage: StageKind | None) -> int:
    """How many trials there are to page through. Their study's row knows it too where no stage is asked for."""
    return int(tx.execute(_chosen(select(func.count()), study_id, state, stage)).scalar_one())


def by_number(tx: Transaction, study_id: StudyId, *, first: int, limit: int) -> list[Trial]:
    """At most `limit` trials from number `first` on."""
    rows = tx.execute(
        select(trials)
        .where(trials.c.study_id == study_id, trials.c.number >= first)
        .order_by(trials.c.number)
        .limit(limit)
    )
    return [record_of(row) for row in rows]


def checks(tx: Transaction, study_id: StudyId) -> list[Trial]:
    """The completed checks of a recipe, in the order they were planned."""
    with_checks = (StageKind.INITIAL_LOSS, StageKind.FIND_LR)
    of_kinds = select(stages.c.id).where(stages.c.study_id == study_id, stages.c.kind.in_(with_checks))
    done = select(trials).where(trials.c.stage_id.in_(of_kinds), trials.c.state == TrialState.COMPLETED)
    found = [record_of(row) for row in tx.execute(done.order_by(trials.c.number))]
    return [trial for trial in found if trial.program.kind == "check"]


def by_ids(tx: Transaction, ids: Collection[TrialId]) -> list[Trial]:
    rows = tx.execute(select(trials).where(trials.c.id.in_(ids)).order_by(trials.c.number))
    return [record_of(row) for row in rows]


@dataclass(frozen=True)
class Ranked:
    """What a curve's legend says of its trial."""

    id: TrialId
    number: int
    state: str
    value: float | None
    params: Params


def ranked(tx: Transaction, study_id: StudyId, direction: Direction, *, limit: int | None) -> list[Ranked]:
    """Trials with a curve to look at, best first: by value, then those without one by number."""
    value = trials.c.value
    by_value = value.desc() if direction == "maximize" else value.asc()
    known = trials.c.state == TrialState.COMPLETED, value.is_not(None)
    wanted = select(trials.c.id, trials.c.number, trials.c.state, value, trials.c.params).where(
        trials.c.study_id == study_id, trials.c.epoch > 0
    )
    # First those that an index holds in order: the rest is sorted only where they are too few.
    rows = list(tx.execute(wanted.where(*known).order_by(by_value, trials.c.number).limit(limit)))
    if limit is None or len(rows) < limit:
        rest = wanted.where(not_(and_(*known))).order_by(
            trials.c.state != TrialState.COMPLETED, value.is_(None), by_value, trials.c.number
        )
        rows += tx.execute(rest.limit(None if limit is None else limit - len(rows)))
    return [Ranked(row.id, row.number, row.state, row.value, row.params) for row in rows]


def top(
    tx: Transaction,
    study_id: StudyId,
    direction: Direction,
    *,
    limit: int,
    within: tuple[float, float] | None = None,
) -> list[Trial]:
    """The best completed trials by value, first planned first among equals; only values in `within`."""
    value = trials.c.value
    wanted = select(trials).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.COMPLETED, value.is_not(None)
    )
    if within is not None:
        wanted = wanted.where(value.between(*within))
    order = value.desc() if direction == "maximize" else value.asc()
    return [record_of(row) for row in tx.execute(wanted.order_by(order, trials.c.number).limit(limit))]


def top_points(
    tx: Transaction, study_id: StudyId, direction: Direction, *, replicates: int, limit: int
) -> Iterator[tuple[int, float]]:
    """(number of its first trial, mean value) of the best points whose every replicate completed.

    Replicates of a point have neighbouring numbers (`samplers.plans`).
    """
    point = cast(trials.c.number, Integer) - trials.c.number % replicates
    mean = func.avg(cast(trials.c.value, Float(53)))
    wanted = (
        select(point.label("first"), mean.label("mean"))
        .where(
            trials.c.study_id == study_id,
            trials.c.state == TrialState.COMPLETED,
            trials.c.value.is_not(None),
        )
        .group_by(point)
        .having(func.count() == replicates)
        .order_by(mean.desc() if direction == "maximize" else mean.asc(), point)
        .limit(limit)
    )
    for row in tx.execute(wanted):
        yield row.first, row.mean


def with_chain(tx: Transaction, ids: Collection[TrialId]) -> dict[TrialId, TrialId | None]:
    """Each of these trials, and each that one of them continues at any remove -> what it continues."""
    known: dict[TrialId, TrialId | None] = {}
    wanted = set(ids)
    while wanted:
        rows = tx.execute(_CONTINUES, {"trials": list(wanted)})
        found = {row.id: row.continues for row in rows}
        known |= found
        wanted = {before for before in found.values() if before is not None} - known.keys()
    return known


def _chosen(
    query: Select[Any], study_id: StudyId, state: TrialState | None, stage: StageKind | None
) -> Select[Any]:
    query = query.select_from(trials).where(trials.c.study_id == study_id)
    if state is not None:
        query = query.where(trials.c.state == state)
    if stage is not None:
        of_kind = select(stages.c.id).where(stages.c.study_id == study_id, stages.c.kind == stage)
        query = query.where(trials.c.stage_id.in_(of_kind))
    return query
