"""Checkpoints: files that a run registers under its lease."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from hpsearch.errors import HpsearchError, LeaseLost, NotFound, Unavailable
from hpsearch.records import Checkpoint, RunId, StudyId, TokenId, TrialId, WorkerId
from hpsearch.service import lookup, refusals
from hpsearch.service.ownership import speaks_for
from hpsearch.service.refusals import Refusal
from hpsearch.store import checkpoints, runs
from hpsearch.store.checkpoints import StoredCheckpoint
from hpsearch.store.engine import Database, retried
from hpsearch.store.run_row import RunRow

log = logging.getLogger(__name__)


def study_of_holder(
    db: Database, run_id: RunId, worker_id: WorkerId, *, by: TokenId | None = None, now: datetime
) -> StudyId:
    """The study of a run that this worker holds now. Raises LeaseLost as `register` does: asked before a file is taken,
    it saves the disk from what would be refused."""
    with db.read() as tx:
        row = runs.find(tx, run_id)
    refused = _refusal(row, run_id, worker_id, by)
    if isinstance(refused, Refusal):
        refusals.record(db, [refused], now=now)
        raise _not_yours(run_id)
    if refused is not None:
        raise refused
    assert row is not None
    return row.study_id


@dataclass(frozen=True)
class NewCheckpoint:
    """A stored file that a worker hands in as its run's newest checkpoint of that name. `by`: the caller's token."""

    run_id: RunId
    worker_id: WorkerId
    name: Literal["best", "last"]
    step: int
    size: int
    sha256: str
    path: Path
    by: TokenId | None = None


@dataclass(frozen=True)
class Kept:
    """What the run has under the name that was handed in: that one, or a later one that came before it (`late`)."""

    checkpoint: Checkpoint
    late: bool = False


Answer = Kept | HpsearchError


def register(db: Database, new: NewCheckpoint, *, now: datetime) -> Checkpoint:
    """Make it the run's newest of that name; what is returned is what the run has then.

    A `last` one that comes after one of a later step, as an upload can whose sender gave up waiting and went on, changes
    nothing. Raises LeaseLost where the run is over, another worker's, or its worker another token's than `by`; while its
    lease is held, that is an event of its study.
    """
    (answer,) = register_all(db, [new], now=now)
    if isinstance(answer, HpsearchError):
        raise answer
    return answer.checkpoint


def register_all(
    db: Database, new: Sequence[NewCheckpoint], *, now: datetime, gone: Collection[Path] = ()
) -> list[Answer]:
    """`register` of several in one transaction, with what it would raise among the answers.

    `gone`: files that are no longer where they were stored. A checkpoint in one of them is Unavailable.
    """
    found = _register_all(db, new, now, gone)
    refusals.record(db, [one for one in found if isinstance(one, Refusal)], now=now)
    return [_not_yours(one.row.id) if isinstance(one, Refusal) else one for one in found]


def may_be_registered(db: Database, new: NewCheckpoint) -> bool:
    """Whether a registration that failed has left its row after all, as a commit can whose answer was lost.

    Waits for a transaction that still holds the run. True, too, where the database does not answer.
    """
    try:
        with db.write() as tx:
            runs.lock(tx, [new.run_id])
            return checkpoints.is_kept(tx, new.run_id, new.name, str(new.path))
    except Unavailable:
        return True


@retried
def _register_all(
    db: Database, new: Sequence[NewCheckpoint], now: datetime, gone: Collection[Path]
) -> list[Answer | Refusal]:
    found: list[Answer | Refusal] = []
    kept: list[StoredCheckpoint] = []
    with db.write() as tx:
        rows = runs.lock(tx, {one.run_id for one in new})
        last = checkpoints.of_runs(tx, rows, "last")
        for one in new:
            answer = _judge(rows.get(one.run_id), one, last.get(one.run_id), gone)
            found.append(answer)
            if isinstance(answer, Kept) and not answer.late:
                kept.append(StoredCheckpoint(answer.checkpoint, str(one.path)))
                if one.name == "last":
                    last[one.run_id] = answer.checkpoint
        if kept:
            checkpoints.put_all(tx, kept, now=now)
    return found


def _judge(
    row: RunRow | None, new: NewCheckpoint, last: Checkpoint | None, gone: Collection[Path]
) -> Answer | Refusal:
    """`last`: the run's `last` checkpoint so far."""
    refused = _refusal(row, new.run_id, new.worker_id, new.by)
    if refused is not None:
        return refused
    # Not for the best one: the best so far may turn out to be an earlier one.
    if new.name == "last" and last is not None and last.step > new.step:
        return Kept(last, late=True)
    if new.path in gone:  # as too old, while it waited for its turn
        return Unavailable(
            f"the file of run {new.run_id}'s {new.name} checkpoint is no longer there", hint="send it again"
        )
    assert row is not None
    return Kept(
        Checkpoint(
            trial_id=row.run.trial_id,
            run_id=row.id,
            name=new.name,
            step=new.step,
            size=new.size,
            sha256=new.sha256,
        )
    )


def _refusal(
    row: RunRow | None, run_id: RunId, worker_id: WorkerId, by: TokenId | None
) -> LeaseLost | Refusal | None:
    """Why this worker may not leave a checkpoint of that run."""
    if row is None:
        return LeaseLost(f"there is no run {run_id}; drop it")
    if row.active and (row.run.worker_id != worker_id or not speaks_for(by, row.token_id)):
        return Refusal(row, "checkpoint", worker_id, by)
    return None if row.active else LeaseLost(f"run {run_id} is {row.run.state}; drop it")


def _not_yours(run_id: RunId) -> LeaseLost:
    return LeaseLost(f"run {run_id} is not this worker's; drop it")


def find(
    db: Database,
    trial_id: TrialId,
    name: Literal["best", "last"],
    intact: Callable[[Checkpoint, Path], bool] = lambda checkpoint, path: True,
) -> tuple[Checkpoint, Path]:
    """(the trial's newest checkpoint of that name that is `intact`, where its file lies). Raises NotFound."""
    with db.read() as tx:
        lookup.trial(tx, trial_id)
        stored = checkpoints.of_trial(tx, trial_id, name)
    for one in stored:
        if intact(one.checkpoint, Path(one.path)):
            return one.checkpoint, Path(one.path)
        log.error("checkpoint %s of trial %d, run %d, is damaged", name, trial_id, one.checkpoint.run_id)
    damaged = " that is whole" if stored else ""
    raise NotFound(f"trial {trial_id} has no {name!r} checkpoint{damaged}")
