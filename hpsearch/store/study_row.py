"""A study as the service reads it."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row

from hpsearch.errors import SpecUnreadable
from hpsearch.records import (
    Study,
    StudyId,
    StudyState,
    TrialState,
)
from hpsearch.sentences import problems_of
from hpsearch.spec import StudySpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyRow:
    """A study and what only the service reads.

    `pace`: seconds per unit of budget by kind of work. `started`: trials claimed at least once.
    `device_seconds`: how long slots were busy with runs that have ended, where the study's budget asks for it.
    `parent_id`: of an examination, the study whose trial it examines.
    """

    study: Study
    digest: str
    planned: int
    started: int
    gpus: int
    labels: tuple[str, ...]
    pace: Mapping[str, float]
    deadline: datetime | None
    device_seconds: float
    parent_id: StudyId | None

    @property
    def id(self) -> StudyId:
        return self.study.id

    @property
    def state(self) -> StudyState:
        return self.study.state

    @cached_property
    def spec(self) -> StudySpec:
        """Raises SpecUnreadable for what a server of another version stored, beside this one or before it."""
        found = _parsed(json.dumps(self.study.spec))
        if isinstance(found, str):
            raise SpecUnreadable(
                f"study {self.study.name!r} has a spec that this version of hpsearch can't read: {found}",
                hint=f"ask a server of the version that stored it, or end it: hpsearch study cancel {self.study.name}",
            )
        return found

    @property
    def readable(self) -> bool:
        """Whether this version can plan the study and hand out its trials."""
        try:
            return self.spec is not None
        except SpecUnreadable:
            return False

    @property
    def max_failures(self) -> int:
        """Of the spec, also where the rest of it can't be read."""
        return int(self.study.spec.get("max_failures", 0))

    def changed(self, columns: Mapping[str, Any]) -> "StudyRow":
        """The row with these columns, `pace` and `best_value` among them, set."""
        pace = columns.get("pace", self.pace)
        best = columns.get("best_value", self.study.best_value)
        return replace(self, pace=pace, study=self.study.model_copy(update={"best_value": best}))

    def claimed(self, count: int, *, started: int) -> "StudyRow":
        """The row with `count` of its waiting trials running, `started` of which had never run."""
        counts = Counter(self.study.trial_counts)
        counts.update({TrialState.WAITING: -count, TrialState.RUNNING: count})
        study = self.study.model_copy(update={"trial_counts": dict(counts)})
        return replace(self, started=self.started + started, study=study)

    @property
    def limited(self) -> bool:
        """Whether the study has a budget at all."""
        return any(limit is not None for limit in self.study.spec["budget"].values())

    @property
    def waiting(self) -> int:
        return self.study.trial_counts[TrialState.WAITING]

    @property
    def running(self) -> int:
        return self.study.trial_counts[TrialState.RUNNING]


@lru_cache(maxsize=100)
def _parsed(spec: str) -> StudySpec | str:
    """The spec, or what is wrong with it, which the log is told once."""
    # Of few studies and very often: to check one takes a tenth of a millisecond.
    raw = json.loads(spec)
    try:
        return StudySpec.model_validate(raw)
    except ValidationError as error:
        why = next(problems_of(error, StudySpec)).detail[:300]
        log.warning("study %r is left alone: this version can't read its spec: %s", raw.get("name"), why)
        return why


def row_of(row: Row[Any]) -> StudyRow:
    study = Study(
        id=row.id,
        name=row.name,
        state=StudyState(row.state),
        reason=row.reason,
        method=row.method,
        objective_metric=row.metric,
        objective_direction=row.direction,
        spec=row.spec,
        trial_counts={state: getattr(row, f"{state}_trials") for state in TrialState},
        best_value=row.best_value,
        created_at=row.created_at,
        finished_at=row.finished_at,
        examines=row.examines,
    )
    return StudyRow(
        study=study,
        digest=row.digest,
        planned=row.planned_trials,
        started=row.started_trials,
        gpus=row.gpus,
        labels=tuple(row.labels),
        pace=row.pace,
        deadline=row.deadline,
        device_seconds=row.device_seconds,
        parent_id=row.parent_id,
    )
