"""A trial on its way to a worker."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hpsearch.records import Budget, Checkpoint, Program, Record, RunId, StudyId, TrialId, WorkerId
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.tasks import Task

MAX_PACK = 64  # leases in one pack


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


def _known(assignment: Any) -> Any:
    """What an older worker doesn't know of a trial it must not train without, whatever else it passes over."""
    return Assignment.model_validate(assignment)


class Lease(Record):
    """A run handed to a worker. `run_id` is the fencing token of every write about it.

    `start`: a checkpoint that training may continue from, of this trial's earlier run or of the trial it
    continues. `study_id` tells studies apart that have had the same name; an older server sends none. `keep_last`:
    upload the last checkpoint at the end, another trial may continue from it.
    """

    run_id: RunId
    study: str
    study_id: StudyId | None = None
    trial_id: TrialId
    number: int
    epoch: int
    assignment: Annotated[Assignment, BeforeValidator(_known)]
    start: Checkpoint | None = None
    keep_last: bool = False
    lease_seconds: float


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
