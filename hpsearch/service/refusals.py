"""Writes under a lease that another worker holds: refused, and kept as events of the study."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from hpsearch.records import StudyId, TokenId, WorkerId
from hpsearch.store import events, studies
from hpsearch.store.engine import Database, retried
from hpsearch.store.run_row import RunRow

KIND = "write_refused"
MINUTE = timedelta(minutes=1)
MOST_A_MINUTE = 10


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
    """Keep one of each study, caller and kind of write a minute, a few in all: who repeats himself fills no disk."""
    by_study: dict[StudyId, list[Refusal]] = defaultdict(list)
    for one in refusals:
        by_study[one.row.study_id].append(one)
    for study_id, some in by_study.items():
        _record(db, study_id, some, now=now)


@retried
def _record(db: Database, study_id: StudyId, some: Sequence[Refusal], *, now: datetime) -> None:
    # In a transaction of its own: who holds a run's lock may not wait for its study's.
    with db.write() as tx:
        if studies.lock(tx, study_id) is None:
            return
        kept = [
            event.data for event in events.newest_of(tx, study_id, KIND, MOST_A_MINUTE, since=now - MINUTE)
        ]
        for one in some:
            told = one.told()
            if len(kept) < MOST_A_MINUTE and not any(_same_caller(told, data) for data in kept):
                events.add(tx, study_id, KIND, told, now=now)
                kept.append(told)


def _same_caller(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("what", "by_worker_id", "by_token_id"))
