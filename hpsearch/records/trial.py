"""A trial as it is stored."""

from datetime import datetime

from hpsearch.records.outcome import Measured
from hpsearch.records.plan import Budget, Program
from hpsearch.records.record import Number, Record, StageId, StudyId, TrialId
from hpsearch.records.states import OPEN_TRIAL_STATES, FailureReason, TrialState
from hpsearch.space import Params


class Trial(Record, Measured):
    """A planned trial and its outcome. `epoch` counts its runs; it never decreases."""

    id: TrialId
    study_id: StudyId
    stage_id: StageId
    number: int  # 0, 1, 2 ... within the study
    role: str
    state: TrialState
    reason: FailureReason | None
    message: str
    program: Program
    params: Params
    replicate: int
    budget: Budget | None
    digest: str
    continues: TrialId | None
    value: Number | None
    metrics: dict[str, Number]
    measurements: dict[str, Number | list[Number]]
    steps: int
    epoch: int
    failures: int
    rescues: int
    preemptions: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        return self.state not in OPEN_TRIAL_STATES
