"""Rows of checkpoints: the newest of each name per run, and the one before it; the files are the API's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from hpsearch.records import Checkpoint, RunId, TrialId
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import checkpoints

# Every lease asks: built once.
_OF_TRIAL = (
    select(checkpoints)
    .where(checkpoints.c.trial_id == bindparam("trial"), checkpoints.c.name == bindparam("name"))
    .order_by(checkpoints.c.run_id.desc())
    .limit(bindparam("most"))
)
_OF_RUNS = select(checkpoints).where(
    checkpoints.c.run_id.in_(bindparam("runs", expanding=True)), checkpoints.c.name == bindparam("name")
)

_OF_FILE = ("step", "size", "sha256", "path")


def _put(insert: "sqlite.Insert | postgresql.Insert") -> "sqlite.Insert | postgresql.Insert":
    changed = {name: insert.excluded[name] for name in (*_OF_FILE, "created_at")}
    replaced = {f"older_{name}": checkpoints.c[name] for name in _OF_FILE}
    return insert.on_conflict_do_update(index_elements=["run_id", "name"], set_={**changed, **replaced})


_PUT = {
    "sqlite": _put(sqlite.insert(checkpoints)),
    "postgresql": _put(postgresql.insert(checkpoints)),
}


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint and where its file lies."""

    checkpoint: Checkpoint
    path: str


def put_all(tx: Transaction, kept: Sequence[StoredCheckpoint], *, now: datetime) -> None:
    """Keep each as its run's newest of that name, in their order."""
    rows = [{**one.checkpoint.model_dump(), "path": one.path, "created_at": now} for one in kept]
    tx.execute(_PUT[tx.dialect.name], rows)


def is_kept(tx: Transaction, run_id: RunId, name: str, path: str) -> bool:
    """Whether the run's newest of that name lies in the file `path`."""
    mine = (checkpoints.c.run_id == run_id, checkpoints.c.name == name, checkpoints.c.path == path)
    return tx.execute(select(checkpoints.c.run_id).where(*mine)).first() is not None


def newest(tx: Transaction, trial_id: TrialId, name: str) -> StoredCheckpoint | None:
    """The one that the trial's latest run registered under this name."""
    return next(iter(of_trial(tx, trial_id, name, limit=1)), None)


def of_trial(tx: Transaction, trial_id: TrialId, name: str, *, limit: int = 10) -> list[StoredCheckpoint]:
    """Those that the trial's last `limit` runs registered under this name and whose files are kept, the newest first."""
    rows = tx.execute(_OF_TRIAL, {"trial": trial_id, "name": name, "most": limit})
    return [stored for row in rows for stored in (_row(row), _older(row)) if stored is not None]


def of_runs(tx: Transaction, run_ids: Collection[RunId], name: str) -> dict[RunId, Checkpoint]:
    """What each of the runs has under this name."""
    rows = tx.execute(_OF_RUNS, {"runs": list(run_ids), "name": name})
    return {row.run_id: _row(row).checkpoint for row in rows}


def _row(row: Row[Any]) -> StoredCheckpoint:
    return _stored(row, row.step, row.size, row.sha256, row.path)


def _older(row: Row[Any]) -> StoredCheckpoint | None:
    """The one that it replaced."""
    if row.older_path is None:
        return None
    return _stored(row, row.older_step, row.older_size, row.older_sha256, row.older_path)


def _stored(row: Row[Any], step: int, size: int, sha256: str, path: str) -> StoredCheckpoint:
    checkpoint = Checkpoint(
        trial_id=row.trial_id, run_id=row.run_id, name=row.name, step=step, size=size, sha256=sha256
    )
    return StoredCheckpoint(checkpoint, path)
