"""A run as the service reads it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from hpsearch.records import FailureReason, Run, RunId, RunState, StudyId, TokenId


@dataclass(frozen=True)
class RunRow:
    """A run and what only the service reads.

    `stop`: the user asked for its end. `token_id`: of the token that registered its worker, where `lock` looked for it.
    """

    run: Run
    study_id: StudyId
    slot: int
    request_id: str
    stop: bool
    last_seq: int
    outcome_digest: str | None
    token_id: TokenId | None = None

    @property
    def id(self) -> RunId:
        return self.run.id

    @property
    def active(self) -> bool:
        return self.run.state is RunState.ACTIVE


def row_of(row: Row[Any]) -> RunRow:
    run = Run(
        id=row.id,
        trial_id=row.trial_id,
        worker_id=row.worker_id,
        epoch=row.epoch,
        state=RunState(row.state),
        reason=None if row.reason is None else FailureReason(row.reason),
        message=row.message,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_until=row.lease_until,
    )
    return RunRow(
        run=run,
        study_id=row.study_id,
        slot=row.slot,
        request_id=row.request_id,
        stop=row.stop,
        last_seq=row.last_seq,
        outcome_digest=row.outcome_digest,
    )
