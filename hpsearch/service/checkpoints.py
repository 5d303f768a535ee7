"""Checkpoints: files that a run registers under its lease."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from hpsearch.errors import LeaseLost, NotFound
from hpsearch.records import Checkpoint, RunId, TokenId, TrialId, WorkerId
from hpsearch.service import lookup, refusals
from hpsearch.service.ownership import speaks_for
from hpsearch.service.refusals import Refusal
from hpsearch.store import checkpoints, runs
from hpsearch.store.engine import Database, retried

log = logging.getLogger(__name__)


def register(
    db: Database,
    run_id: RunId,
    worker_id: WorkerId,
    name: Literal["best", "last"],
    step: int,
    size: int,
    sha256: str,
    path: Path,
    *,
    by: TokenId | None = None,
    now: datetime,
) -> Checkpoint:
    """Make a stored file the run's newest checkpoint of that name. Raises LeaseLost where the run is over, another
    worker's, or its worker another token's than `by`; while its lease is held, that is an event of its study."""

    @retried
    def registered() -> Checkpoint | Refusal:
        with db.write() as tx:
            row = runs.lock(tx, [run_id]).get(run_id)
            if row is None:
                raise LeaseLost(f"there is no run {run_id}; drop it")
            if row.active and (row.run.worker_id != worker_id or not speaks_for(by, row.token_id)):
                return Refusal(row, "checkpoint", worker_id, by)
            if not row.active:
                raise LeaseLost(f"run {run_id} is {row.run.state}; drop it")
            checkpoint = Checkpoint(
                trial_id=row.run.trial_id, run_id=run_id, name=name, step=step, size=size, sha256=sha256
            )
            checkpoints.put(tx, checkpoint, str(path), now=now)
            return checkpoint

    found = registered()
    if isinstance(found, Refusal):
        refusals.record(db, [found], now=now)
        raise LeaseLost(f"run {run_id} is not this worker's; drop it")
    return found


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
