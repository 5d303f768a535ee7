"""The nouns of the house as frozen records, and the states they move through.

REST responses are these records as JSON: times are RFC 3339 UTC, non-finite numbers the strings "NaN",
"Infinity" and "-Infinity".
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

from hpsearch.errors import IllegalMove
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

StudyId = NewType("StudyId", int)
StageId = NewType("StageId", int)
TrialId = NewType("TrialId", int)
RunId = NewType("RunId", int)
WorkerId = NewType("WorkerId", int)
TokenId = NewType("TokenId", int)


class Record(BaseModel):
    """Frozen; unknown fields are errors; non-finite floats travel as strings both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


# --- states and their moves ----------------------------------------------------------------------


class StudyState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"  # no new trials; those under way finish
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StageState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"


class TrialState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"  # a result: it ranks last and tells where the stability limit is
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    PRUNED = "pruned"
    FAILED = "failed"
    LOST = "lost"  # the lease ran out
    RELEASED = "released"  # given back unfinished, nothing charged
    CANCELLED = "cancelled"


class FailureReason(StrEnum):
    ERROR = "error"
    OOM = "oom"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    POISON = "poison"
    TASK_NOT_ALLOWED = "task_not_allowed"


STUDY_MOVES: Mapping[StudyState, frozenset[StudyState]] = {
    StudyState.RUNNING: frozenset(StudyState) - {StudyState.RUNNING},
    StudyState.PAUSED: frozenset({StudyState.RUNNING, StudyState.STOPPING, StudyState.STOPPED, StudyState.CANCELLED, StudyState.FAILED}),
    StudyState.STOPPING: frozenset({StudyState.RUNNING, StudyState.STOPPED, StudyState.CANCELLED, StudyState.FAILED}),
    StudyState.STOPPED: frozenset({StudyState.RUNNING, StudyState.CANCELLED}),
    StudyState.FAILED: frozenset({StudyState.RUNNING}),  # by retry
    StudyState.COMPLETED: frozenset({StudyState.RUNNING}),  # by retry of failed trials
    StudyState.CANCELLED: frozenset(),
}  # fmt: skip

STAGE_MOVES: Mapping[StageState, frozenset[StageState]] = {
    StageState.RUNNING: frozenset(StageState) - {StageState.RUNNING},
    StageState.PASSED: frozenset({StageState.RUNNING}),  # by retry
    StageState.WARNED: frozenset({StageState.RUNNING}),
    StageState.FAILED: frozenset({StageState.RUNNING}),
    StageState.SKIPPED: frozenset(),
}

TRIAL_MOVES: Mapping[TrialState, frozenset[TrialState]] = {
    TrialState.WAITING: frozenset({TrialState.RUNNING, TrialState.CANCELLED}),
    TrialState.RUNNING: frozenset(TrialState) - {TrialState.RUNNING},
    TrialState.FAILED: frozenset({TrialState.WAITING}),  # by retry
    TrialState.CANCELLED: frozenset({TrialState.WAITING}),  # by retry
    TrialState.COMPLETED: frozenset(),
    TrialState.DIVERGED: frozenset(),
    TrialState.PRUNED: frozenset(),
}

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.ACTIVE: frozenset(RunState) - {RunState.ACTIVE},
    **{state: frozenset() for state in RunState if state is not RunState.ACTIVE},
}

OPEN_TRIAL_STATES = (TrialState.WAITING, TrialState.RUNNING)
FINISHED_STUDY_STATES = (StudyState.STOPPED, StudyState.COMPLETED, StudyState.FAILED, StudyState.CANCELLED)


S = TypeVar("S", bound=StrEnum)


def check_move(noun: str, moves: Mapping[S, frozenset[S]], old: S, new: S) -> None:
    """Raise IllegalMove unless `old` may become `new`."""
    if new not in moves[old]:
        raise IllegalMove(f"{noun} is {old} and can't become {new}")


# --- what a trial does ---------------------------------------------------------------------------


class Budget(Record):
    """How long a trial trains: exactly one of optimizer steps or epochs (fractions allowed)."""

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a budget has either steps or epochs")
        return self

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.epochs:g} epochs"


class Program(Record):
    """What a trial does. `check` measures without training; `train` trains.

    `subset_batches`: train on that many fixed, class-stratified minibatches and evaluate on them (step 2).
    `overrides`: hyperparameters that win over the trial's params, e.g. regularization switched off.
    `stop_when_fit`: stop at 100 % accuracy on what is trained on (regression: loss <= 1 % of expected).
    `test`: evaluate the best snapshot on the test set at the end; only the stage `final` does.
    """

    kind: Literal["check", "train"]
    subset_batches: int | None = Field(default=None, ge=1)
    overrides: Params = {}
    stop_when_fit: bool = False
    test: bool = False


class TrialPlan(Record):
    """A trial that is wanted. `role` says what its stage wants it for, e.g. `rung 1`.

    `continues` names a completed trial whose last checkpoint this one may start from. It is a short cut,
    not part of the identity: the numbers are those of training from the start.
    """

    program: Program
    params: Params
    replicate: int = Field(default=0, ge=0)
    budget: Budget | None = None
    role: str = ""
    continues: TrialId | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of (program, params, replicate, budget): what makes a trial unique in its study."""
        budget = None if self.budget is None else self.budget.model_dump(mode="json")
        return plan_digest(self.program.model_dump(mode="json"), self.params, self.replicate, budget)


def plan_digest(program: Any, params: Params, replicate: int, budget: Any) -> str:
    """`TrialPlan.digest` of parts that are JSON already."""
    return digest_of({"program": program, "params": params, "replicate": replicate, "budget": budget})


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form: sorted keys, no spaces."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


# Built once: a large grid takes a hundred thousand digests.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


# --- what a trial yields -------------------------------------------------------------------------

Number = Annotated[float, Field(allow_inf_nan=True)]


class Points(Record):
    """One metric's stretch of a curve: `values[i]` was measured after `steps[i]` optimizer steps."""

    steps: Annotated[tuple[int, ...], FailFast()]
    values: Annotated[tuple[Number, ...], FailFast()]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.steps) != len(self.values):
            raise ValueError(f"{len(self.steps)} steps do not go with {len(self.values)} values")
        return self


Series = dict[str, Points]


class Measured:
    """What was measured of a run, by name. Mixed into records with `measurements`."""

    if TYPE_CHECKING:
        measurements: dict[str, Number | list[Number]]

    def measurement(self, name: str, default: float = math.nan) -> float:
        """A scalar measurement, or `default` where it was not taken."""
        value = self.measurements.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def measurement_list(self, name: str) -> list[float]:
        """A list measurement; empty where it was not taken."""
        value = self.measurements.get(name, [])
        return [float(v) for v in value] if isinstance(value, list) else []


class Outcome(Record, Measured):
    """How a run ended and what it found.

    `value`: the objective at the best snapshot. `metrics`: last value of each metric, `best_<name>` at the
    best snapshot, `test_<name>` where the test set was opened. `measurements`: numbers and short lists for
    the recipe (a check's tests, `curves.features` of a training curve). `steps`: optimizer steps trained by
    this run, continuation excluded. A diverged run keeps its last finite loss in `metrics["loss"]` and the
    step in `measurements["diverged_at"]`.
    """

    state: Literal["completed", "diverged", "pruned", "failed", "released"]
    reason: FailureReason | None = None
    message: str = Field(default="", max_length=65_536)
    value: Number | None = None
    metrics: dict[str, Number] = {}
    measurements: dict[str, Number | list[Number]] = {}
    steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _reason_with_failure(self) -> Self:
        if (self.state == "failed") != (self.reason is not None):
            raise ValueError("a failed outcome has a reason, the others have none")
        return self


# --- the rows of the house -----------------------------------------------------------------------


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


class Evidence(Record):
    """One number behind a verdict. `threshold` reads as a condition the number was held against: `<= 1.5`."""

    name: str
    value: Number | str | None
    threshold: str = ""
    ok: bool | None = None  # None: context, not a test
    text: str = ""


class Remedy(Record):
    """What to do, in plain words, and the hyperparameters it changes (a single value or the next grid)."""

    text: str
    changes: dict[str, list[float | int | str | bool]] = {}


class Verdict(Record):
    """What a stage or diagnosis concludes. `probe` is the counterfactual pair that proved it, if one ran."""

    code: VerdictCode
    text: str
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    segment: tuple[int, int] | None = None  # steps of the curve it speaks of
    probe: dict[str, Any] | None = None
    alternatives: tuple[VerdictCode, ...] = ()


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


class Best(Record):
    """The answer to a study: the winner, how sure it is, and what can't be told apart from it.

    For a recipe that reached `final`, `value` is the mean over fresh seeds and `standard_error` their SE.
    """

    trial_id: TrialId
    number: int
    params: Params
    value: Number
    standard_error: Number | None
    replicates: int
    metrics: dict[str, Number]
    ties: tuple["Tie", ...]


class Tie(Record):
    """A point within the winner's standard error."""

    trial_id: TrialId
    number: int
    params: Params
    value: Number


class Run(Record):
    """One attempt at a trial by one worker under one lease. Its id is the fencing token."""

    id: RunId
    trial_id: TrialId
    worker_id: WorkerId
    epoch: int
    state: RunState
    reason: FailureReason | None
    message: str
    started_at: datetime
    finished_at: datetime | None
    lease_until: datetime


class Checkpoint(Record):
    """A file a run registered under its lease: `best` (snapshot) or `last` (to resume from)."""

    trial_id: TrialId
    run_id: RunId
    name: Literal["best", "last"]
    step: int
    size: int
    sha256: str


class Slot(Record):
    """What a worker trains on: one GPU, or a group of CPU threads."""

    device: Literal["cpu", "cuda", "mps"]
    index: int = Field(ge=0)
    name: str = Field(max_length=200)
    memory_mib: int | None = None
    threads: int = Field(default=1, ge=1)


class WorkerState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"  # its trials fail where others' succeed
    DRAINING = "draining"
    GONE = "gone"


class Worker(Record):
    """A daemon on a node. `name` is stable: a new incarnation takes over its predecessor's leases' end."""

    id: WorkerId
    name: str
    state: WorkerState
    host: str
    slots: tuple[Slot, ...]
    version: str
    running: int
    registered_at: datetime
    last_seen_at: datetime


class Token(Record):
    """A token without its secret."""

    id: TokenId
    name: str
    scope: Literal["admin", "user", "worker", "viewer"]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Event(Record):
    """Something that happened to a study, in order: `id` is what `Last-Event-ID` resumes from."""

    id: int
    study_id: StudyId
    kind: str
    data: dict[str, Any]
    at: datetime
