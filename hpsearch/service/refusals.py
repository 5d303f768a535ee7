"""Writes under a lease that another worker holds: refused, and kept as events of the study."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hpsearch.records import TokenId, WorkerId
from hpsearch.store import events, studies
from hpsearch.store.engine import Database, retried
from hpsearch.store.runs import RunRow

KIND = "write_refused"


@dataclass(frozen=True)
class Refusal:
    """`row`: the run whose lease it was. `worker_id` and `token_id`: who wanted to write."""

    row: RunRow
    what: Literal["report", "checkpoint"]
    worker_id: WorkerId
    token_id: TokenId | None

    def told(self) -> dict[str, Any]:
        """The event's data."""
        return {
            "run_id": self.row.id,
            "trial_id": self.row.run.trial_id,
            "worker_id": self.row.run.worker_id,
            "what": self.what,
            "by_worker_id": self.worker_id,
            "by_token_id": self.token_id,
        }


def record(db: Database, refusals: Collection[Refusal], *, now: datetime) -> None:
    """Keep each, unless it is what happened to its study last: a caller who repeats himself fills no disk."""
    for one in refusals:
        _record(db, one, now=now)


@retried
def _record(db: Database, one: Refusal, *, now: datetime) -> None:
    # In a transaction of its own: who holds a run's lock may not wait for its study's.
    with db.write() as tx:
        if studies.lock(tx, one.row.study_id) is None:
            return
        last = events.last(tx, one.row.study_id)
        if last is None or (last.kind, last.data) != (KIND, one.told()):
            events.add(tx, one.row.study_id, KIND, one.told(), now=now)
