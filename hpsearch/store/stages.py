"""Rows of stages."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from hpsearch.records import Stage, StageId, StageKind, StageState, StudyId, Verdict
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import stages


def insert_stage(
    tx: Transaction, study_id: StudyId, kind: StageKind, *, round_number: int, now: datetime
) -> StageId:
    """A new running stage, after those that the study has."""
    last = tx.execute(select(func.max(stages.c.position)).where(stages.c.study_id == study_id)).scalar()
    values: dict[str, Any] = {
        "study_id": study_id,
        "kind": kind,
        "round": round_number,
        "position": 0 if last is None else last + 1,
        "state": StageState.RUNNING,
        "carried": {},
        "trials": 0,
        "started_at": now,
    }
    return StageId(tx.execute(insert(stages).values(values).returning(stages.c.id)).scalar_one())


def of_study(tx: Transaction, study_id: StudyId) -> list[Stage]:
    """In the order they were opened."""
    rows = tx.execute(select(stages).where(stages.c.study_id == study_id).order_by(stages.c.position))
    return [_record(row) for row in rows]


def close(
    tx: Transaction,
    stage_id: StageId,
    state: StageState,
    *,
    verdict: Verdict | None,
    carried: dict[str, Any],
    now: datetime,
) -> None:
    stored = None if verdict is None else verdict.model_dump(mode="json")
    tx.execute(
        update(stages)
        .where(stages.c.id == stage_id)
        .values(state=state, verdict=stored, carried=carried, finished_at=now)
    )


def reopen(tx: Transaction, stage_id: StageId) -> None:
    """Running again, as if it had not been judged."""
    tx.execute(
        update(stages)
        .where(stages.c.id == stage_id)
        .values(state=StageState.RUNNING, verdict=None, carried={}, finished_at=None)
    )


def add_trials(tx: Transaction, stage_id: StageId, count: int) -> None:
    tx.execute(update(stages).where(stages.c.id == stage_id).values(trials=stages.c.trials + count))


def _record(row: Row[Any]) -> Stage:
    return Stage(
        id=row.id,
        study_id=row.study_id,
        kind=StageKind(row.kind),
        round=row.round,
        position=row.position,
        state=StageState(row.state),
        verdict=None if row.verdict is None else Verdict.model_validate(row.verdict),
        carried=row.carried,
        trials=row.trials,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
