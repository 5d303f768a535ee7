"""Bodies of the REST API that are not records: what is sent, and the pages and answers around records."""

from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from hpsearch.records import (
    Best,
    Budget,
    Checkpoint,
    Event,
    FailureReason,
    Number,
    Outcome,
    Program,
    Record,
    RunId,
    Series,
    Slot,
    Stage,
    Study,
    StudyId,
    Token,
    Trial,
    TrialId,
    Worker,
    WorkerId,
)
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.tasks import Task

MAX_POINTS = 10_000  # metric points in one report
MAX_PACK = 64  # leases in one pack
LOG_BYTES = 65_536  # of a run's output that are kept


# --- what a worker's child is given --------------------------------------------------------------


class Assignment(Record):
    """All that training needs to know of a trial. `seed` is the study's; replicate and seed give all chance."""

    task: Task
    fixed: Params = {}
    params: Params = {}
    program: Program
    replicate: int = 0
    budget: Budget | None = None
    objective: Objective = Objective()
    seed: int = 0


class Lease(Record):
    """A run handed to a worker. `run_id` is the fencing token of every write about it.

    `start`: a checkpoint that training may continue from, of this trial's earlier run or of the trial it
    continues. `keep_last`: upload the last checkpoint at the end, another trial may continue from it.
    """

    run_id: RunId
    study: str
    trial_id: TrialId
    number: int
    epoch: int
    assignment: Assignment
    start: Checkpoint | None = None
    keep_last: bool = False
    lease_seconds: float


# --- workers -------------------------------------------------------------------------------------


class Interrupted(Record):
    """A run that was being trained when its daemon ended without a word, and the last that it printed."""

    run_id: RunId
    log: str = Field(default="", max_length=LOG_BYTES)


class RegisterWorker(Record):
    """A worker says what it is. The same `name` again is a new incarnation: older leases end at once.

    `interrupted`: which of them were in progress, and are charged with a crash; None where that is not known,
    and then the first of each pack is. `start_id` is drawn at each start of a daemon: the same one again, from
    a repeated or belated call, is the same incarnation and ends nothing.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    host: str = Field(max_length=255)
    version: str = Field(max_length=50)
    slots: Annotated[tuple[Slot, ...], FailFast()] = Field(min_length=1, max_length=256)
    labels: Annotated[tuple[str, ...], FailFast()] = Field(default=(), max_length=64)
    interrupted: Annotated[tuple[Interrupted, ...] | None, FailFast()] = Field(default=None, max_length=256)
    start_id: str | None = Field(default=None, min_length=8, max_length=64)


class HeartbeatRequest(Record):
    """Renews the leases of `runs`, all that the worker believes it holds."""

    runs: Annotated[tuple[RunId, ...], FailFast()] = Field(default=(), max_length=4096)


class HeartbeatResponse(Record):
    """`lost`: leases that are over, kill them at once. `stop`: end these and release or cancel them."""

    lost: tuple[RunId, ...] = ()
    stop: tuple[RunId, ...] = ()
    drain: bool = False


class LeaseRequest(Record):
    """Asks for a pack for one slot. `request_id` makes a retry return the same leases."""

    worker_id: WorkerId
    request_id: str = Field(min_length=8, max_length=64)
    slot: int = Field(default=0, ge=0, lt=256)
    max_trials: int = Field(default=16, ge=1, le=MAX_PACK)
    wait_seconds: float = Field(default=20.0, ge=0, le=60)


class LeaseResponse(Record):
    """`detail`: why this worker is given nothing, where that is its own fault."""

    leases: tuple[Lease, ...]
    detail: str = ""


class RunReport(Record):
    """What a worker says of one run: a stretch of its curves, its log's tail, and at the end its outcome.

    `seq` numbers a run's reports from 0; the same number again is stored once.
    """

    run_id: RunId
    seq: int = Field(ge=0)
    series: Series = {}
    log: str = Field(default="", max_length=LOG_BYTES)
    outcome: Outcome | None = None


class ReportRequest(Record):
    worker_id: WorkerId
    # FailFast: a hundred thousand wrong items would make as many errors.
    reports: Annotated[tuple[RunReport, ...], FailFast()] = Field(min_length=1, max_length=256)


class RunMetrics(Record):
    """A stretch of one run's curves. `seq` numbers all that is said of a run, as in `RunReport`."""

    seq: int = Field(ge=0)
    series: Series


class RunLogs(Record):
    seq: int = Field(ge=0)
    log: str = Field(max_length=LOG_BYTES)


class RunFinish(Record):
    """How one run ended; the state is in the path."""

    seq: int = Field(ge=0)
    reason: FailureReason | None = None
    message: str = Field(default="", max_length=LOG_BYTES)
    value: Number | None = None
    metrics: dict[str, Number] = {}
    measurements: dict[str, Number | list[Number]] = {}
    steps: int = Field(default=0, ge=0)


class ReportResult(Record):
    """`refused`: the run has ended with another outcome, which stays."""

    run_id: RunId
    status: Literal["ok", "lease_lost", "refused"]
    detail: str = ""


class ReportResponse(Record):
    results: tuple[ReportResult, ...]


# --- studies and trials --------------------------------------------------------------------------


class StudyPage(Record):
    studies: tuple[Study, ...]
    total: int
    next_page_token: str | None = None


class TrialPage(Record):
    trials: tuple[Trial, ...]
    total: int
    next_page_token: str | None = None


class StageList(Record):
    stages: tuple[Stage, ...]


class BestList(Record):
    """At most n winners' rows; empty until a trial has a value."""

    best: tuple[Best, ...]


class WorkerList(Record):
    workers: tuple[Worker, ...]


class TokenList(Record):
    tokens: tuple[Token, ...]


class EventList(Record):
    events: tuple[Event, ...]


class Preview(Record):
    """The exact points of a plain study (at most `shown` of `points`), and what the whole would cost.

    For a recipe, whose later points depend on results, `points` lists the axes' start values and `trials`
    and `epochs` are the most it can use.
    """

    method: str
    trials: int
    points: tuple[Params, ...]
    shown: int
    epochs: float
    steps: int | None
    text: str


class Curve(Record):
    trial_id: TrialId
    number: int
    state: str
    value: Number | None
    params: Params
    series: Series


class CurveList(Record):
    """`shown` of `total` trials; each curve smoothed, then thinned to at most `points` points."""

    metric: str
    curves: tuple[Curve, ...]
    shown: int
    total: int


class RunLog(Record):
    run_id: RunId
    text: str


class StudyPatch(Record):
    """What can change while a study runs."""

    description: str | None = Field(default=None, max_length=10_000)
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class Fork(Record):
    """A new study like another. `changes`: a JSON merge patch (RFC 7396) of its spec; null removes a key."""

    name: str = Field(max_length=100)
    changes: dict[str, Any] = {}


class Clone(Record):
    """A trial's point trained again on `replicates` other seeds, as a study of this name."""

    name: str | None = Field(default=None, max_length=100, description="default: STUDY-trial-NUMBER")
    replicates: int = Field(default=3, ge=1, le=100)


class Importances(Record):
    """How much of the objective's variation each parameter explains, largest first; they sum to 1.

    By Optuna's default evaluator over `trials` completed trials; empty where fewer than 4 or nothing varied.
    """

    metric: str
    trials: int
    importances: dict[str, float]


class CreateToken(Record):
    name: str = Field(min_length=1, max_length=100)
    scope: Literal["admin", "user", "worker", "viewer"]
    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86_400)


class TokenCreated(Record):
    """The only time the secret is shown."""

    token: Token
    secret: str


class Prune(Record):
    """What may be dropped: of studies that ended `days` ago, all but the `keep_best` best trials' curves and
    checkpoints."""

    days: float = Field(default=30.0, ge=0, le=36_500)
    keep_best: int = Field(default=10, ge=1, le=1_000)
    dry_run: bool = False


class Pruned(Record):
    """What was dropped, or would be: `curves` counts stored stretches, `files` all that was removed from the disk."""

    studies: tuple[StudyId, ...]
    curves: int
    checkpoints: int
    files: int = 0
    dry_run: bool


class Health(Record):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}


class Version(Record):
    version: str
    api: Literal["v1"] = "v1"


class ProblemItem(Record):
    pointer: str
    detail: str


class ProblemDetails(Record):
    """RFC 9457 problem; `code` is stable, `errors` points into the request, `hint` says what next."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[ProblemItem, ...] = ()
    hint: str | None = None
    request_id: str = ""


ExportRow = Annotated[dict[str, Any], Field()]
