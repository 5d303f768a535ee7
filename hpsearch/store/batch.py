"""Rows that a transaction writes together at its end: a pack of sixteen costs as many statements as one trial."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from hpsearch.records import FailureReason, Outcome, RunId, RunState, Series, StudyId, TrialId, TrialState
from hpsearch.store import studies
from hpsearch.store.engine import Transaction
from hpsearch.store.metrics import pack
from hpsearch.store.run_row import RunRow
from hpsearch.store.runs import END, end_values, ended
from hpsearch.store.tables import events, metric_chunks, trials

# Built once: building a statement takes as long as running it.
_FINISH = (
    update(trials)
    .where(trials.c.id == bindparam("key"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "state",
                "reason",
                "message",
                "value",
                "metrics",
                "measurements",
                "steps",
                "finished_at",
            )
        }
    )
)
_EVENT = insert(events)
_CHUNK = {
    "postgresql": postgresql.insert(metric_chunks).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(metric_chunks).on_conflict_do_nothing(),
}


class Batch:
    """Collects; `flush` writes. The caller holds the locks of every row that it puts in."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._chunks: list[dict[str, Any]] = []
        self._finished: list[dict[str, Any]] = []
        self._ended: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._moves: dict[StudyId, Counter[TrialState]] = defaultdict(Counter)
        self._also: dict[StudyId, dict[str, Any]] = defaultdict(dict)

    def chunk(self, run_id: RunId, seq: int, series: Series) -> None:
        """A stretch of curves; the same (run, seq) again changes nothing."""
        self._chunks.append({"run_id": run_id, "seq": seq, "data": pack(series)})

    def finish_trial(self, trial_id: TrialId, state: TrialState, outcome: Outcome, *, now: datetime) -> None:
        """The trial ends with what its run found."""
        value = outcome.value
        self._finished.append(
            {
                "key": trial_id,
                "state": state,
                "reason": outcome.reason,
                "message": outcome.message,
                # SQLite has no NaN; what a non-finite objective means is in the state.
                "value": None if value is None or math.isnan(value) else value,
                "metrics": outcome.metrics,
                "measurements": outcome.measurements,
                "steps": outcome.steps,
                "finished_at": now,
            }
        )

    def end_run(
        self,
        row: RunRow,
        state: RunState,
        *,
        reason: FailureReason | None,
        message: str,
        outcome_digest: str,
        now: datetime,
    ) -> RunRow:
        """The active run ends; returns it as it will be."""
        found = ended(row, state, reason=reason, message=message, outcome_digest=outcome_digest, now=now)
        self._ended.append(end_values(found))
        return found

    def event(self, study_id: StudyId, kind: str, data: dict[str, Any], *, now: datetime) -> None:
        self._events.append({"study_id": study_id, "kind": kind, "data": data, "at": now})

    def count(
        self, study_id: StudyId, moves: Mapping[TrialState, int], also: Mapping[str, Any] | None = None
    ) -> None:
        """Add to the study's counts by state; `also` sets other columns."""
        self._moves[study_id].update(moves)
        self._also[study_id].update(also or {})

    def flush(self, tx: Transaction) -> None:
        """Write what was collected, and begin anew."""
        for statement, rows in (
            (_CHUNK[tx.dialect.name], self._chunks),
            (_FINISH, self._finished),
            (END, self._ended),
            (_EVENT, self._events),
        ):
            if rows:
                tx.execute(statement, rows)
        for study_id, moves in self._moves.items():
            studies.count_trials(tx, study_id, moves, also=self._also[study_id])
        self._clear()
