"""The nouns of the house as frozen records, and the states they move through.

REST responses are these records as JSON: times are RFC 3339 UTC, non-finite numbers the strings "NaN",
"Infinity" and "-Infinity".
"""

from hpsearch.records.best import Best, Tie
from hpsearch.records.outcome import Measured, Outcome, Points, Series
from hpsearch.records.plan import Budget, Program, TrialPlan, digest_of, plan_digest
from hpsearch.records.record import Number, Record, RunId, StageId, StudyId, TokenId, TrialId, WorkerId
from hpsearch.records.run import Checkpoint, Run
from hpsearch.records.states import (
    FINISHED_STUDY_STATES,
    OPEN_TRIAL_STATES,
    RUN_MOVES,
    STAGE_MOVES,
    STUDY_MOVES,
    TRIAL_MOVES,
    FailureReason,
    RunState,
    StageState,
    StudyState,
    TrialState,
    check_move,
)
from hpsearch.records.study import Event, Stage, StageKind, Study
from hpsearch.records.token import Token
from hpsearch.records.trial import Trial
from hpsearch.records.verdict import Evidence, Remedy, Verdict
from hpsearch.records.worker import Slot, Worker, WorkerState

__all__ = [
    "FINISHED_STUDY_STATES",
    "OPEN_TRIAL_STATES",
    "RUN_MOVES",
    "STAGE_MOVES",
    "STUDY_MOVES",
    "TRIAL_MOVES",
    "Best",
    "Budget",
    "Checkpoint",
    "Event",
    "Evidence",
    "FailureReason",
    "Measured",
    "Number",
    "Outcome",
    "Points",
    "Program",
    "Record",
    "Remedy",
    "Run",
    "RunId",
    "RunState",
    "Series",
    "Slot",
    "Stage",
    "StageId",
    "StageKind",
    "StageState",
    "Study",
    "StudyId",
    "StudyState",
    "Tie",
    "Token",
    "TokenId",
    "Trial",
    "TrialId",
    "TrialPlan",
    "TrialState",
    "Verdict",
    "Worker",
    "WorkerId",
    "WorkerState",
    "check_move",
    "digest_of",
    "plan_digest",
]
