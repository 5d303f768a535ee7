"""A search, its stages and what happened to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from hpsearch.records.record import Number, Record, StageId, StudyId, TrialId
from hpsearch.records.states import StageState, StudyState, TrialState
from hpsearch.records.verdict import Verdict


class StageKind(StrEnum):
    INITIAL_LOSS = "initial_loss"
    OVERFIT = "overfit"
    FIND_LR = "find_lr"
    COARSE = "coarse"
    REFINE = "refine"
    CURVES = "curves"
    FINAL = "final"
    SEARCH = "search"


class Stage(Record):
    """One step of the recipe, in one round. `carried`: what later stages start from (see `recipe.plan`)."""

    id: StageId
    study_id: StudyId
    kind: StageKind
    round: int
    position: int
    state: StageState
    verdict: Verdict | None
    carried: dict[str, Any]
    trials: int = 0
    started_at: datetime
    finished_at: datetime | None


class Study(Record):
    """One search. `spec` is the study file as it was accepted (`hpsearch.spec.StudySpec` as JSON).

    `examines`: the trial that this study diagnoses by probes, where it does only that (`service.examinations`).
    """

    id: StudyId
    name: str
    state: StudyState
    reason: str
    method: str
    objective_metric: str
    objective_direction: Literal["minimize", "maximize"]
    spec: dict[str, Any]
    trial_counts: dict[TrialState, int]
    best_value: Number | None
    created_at: datetime
    finished_at: datetime | None
    examines: TrialId | None = None


class Event(Record):
    """Something that happened to a study, in order: `id` is what `Last-Event-ID` resumes from."""

    id: int
    study_id: StudyId
    kind: str
    data: dict[str, Any]
    at: datetime
