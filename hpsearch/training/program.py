"""A trial from assignment to outcome."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpsearch.command import CommandTask
from hpsearch.records import Outcome, Series, digest_of
from hpsearch.space import Params
from hpsearch.tasks import FileTask, NamedTask
from hpsearch.tasks import Task as TaskSpec
from hpsearch.training.check import check
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE, Checkpoint, read_checkpoint, write_weights
from hpsearch.training.failure import failed_outcome, is_out_of_memory
from hpsearch.training.memory import out_of_memory
from hpsearch.training.outcome import train_outcome
from hpsearch.training.prepared import Prepared, prepare
from hpsearch.training.resolution import resolved
from hpsearch.training.schedules import Schedule, build_schedule
from hpsearch.training.seeds import Seeds, reproducible
from hpsearch.training.task import Task
from hpsearch.training.trainer import End, Plan, Trainer
from hpsearch.vocabulary import Knob, hyperparameters
from hpsearch.wire import Assignment

logger = logging.getLogger(__name__)
# What changes no number before a checkpoint's step: how long a run is and how its batches are read. Its
# learning rates are compared up to that step, not as a whole.
PACE = (
    "epochs", "schedule", "schedule_epochs", "step_epochs", "step_factor", "warmup_epochs", "num_workers",
    "prefetch_factor",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a trial is trained.

    `device`: cpu, cuda (the one visible device) or mps. Checkpoints go to `work_dir` as best.safetensors
    and last.safetensors. Data sets lie, or are downloaded, in `data_dir`. Files `task.py:Class` may run from
    `tasks_dir`; None: named tasks only. `start`: a last.safetensors to resume from. `keep_last`: write
    last.safetensors at the end too.
    """

    device: str
    work_dir: Path
    data_dir: Path
    tasks_dir: Path | None
    threads: int = 1
    start: Path | None = None
    keep_last: bool = False


def run_program(
    assignment: Assignment, place: Place, report: Callable[[Series], None], stop: Callable[[], bool]
) -> Outcome:
    """Check or train, and say how it ended. Never raises for what a user's task, data or params got wrong.

    `report` gets stretches of the curves, about once a second and at the end; joined they are the curves
    of this run. `stop` is polled every few steps: once true, last.safetensors is written and the outcome
    is `released`. The same assignment gives the same numbers on CPU, bit for bit, in any process.
    """
    try:
        with (
            reproducible(place.device, place.threads),
            resolved(assignment.task, place.tasks_dir, place.data_dir) as task,
        ):
            return run_task(task, assignment, place, report, stop)
    # A task that calls sys.exit ends itself, not the pack; BaseExceptions like Ctrl-C go through.
    except (Exception, SystemExit) as error:
        return failed_outcome(error, _task_name(assignment.task), place.tasks_dir)


def run_task(
    task: Task,
    assignment: Assignment,
    place: Place,
    report: Callable[[Series], None],
    stop: Callable[[], bool],
) -> Outcome:
    """`run_program` for a task object that is already there (`assignment.task` only names it). Raises what
    the task raises; the caller sees to `seeds.reproducible`.
    """
    params = all_hyperparameters(task, assignment)
    seeds = Seeds(assignment.seed, assignment.replicate)
    with closing(prepare(task, params, assignment.program, seeds, place.device)) as prepared:
        if assignment.program.kind == "check":
            return Outcome(state="completed", measurements=check(prepared))
        return _train(prepared, assignment, place, report, stop)


def all_hyperparameters(task: Task, assignment: Assignment) -> Params:
    """Every knob's value: the task's defaults, fixed, params, overrides; later ones win."""
    knobs = {name: Knob.parse(words) for name, words in task.knobs.items()}
    program = assignment.program
    return hyperparameters(knobs, task.defaults, assignment.fixed, assignment.params, program.overrides)


def _train(
    prepared: Prepared,
    assignment: Assignment,
    place: Place,
    report: Callable[[Series], None],
    stop: Callable[[], bool],
) -> Outcome:
    plan = Plan(
        identity=_identity(prepared, assignment),
        steps=budget_steps(prepared, assignment),
        program=assignment.program,
        objective=assignment.objective,
        last=place.work_dir / LAST_FILE,
        keep_last=place.keep_last,
    )
    trainer = Trainer(prepared, plan, report, stop, _start(place, plan, _schedule(prepared, assignment)))
    end: End | None = None
    reason = ""
    try:
        end = trainer.run()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error)
    if end is None:  # outside of the handler: the exception held the failed batch's memory
        del trainer
        raise out_of_memory(prepared, reason)
    best = trainer.selection.best
    if best is not None and end != "released" and assignment.program.subset_batches is None:
        write_weights(place.work_dir / BEST_FILE, best)
    return train_outcome(trainer, end)


def budget_steps(prepared: Prepared, assignment: Assignment) -> int:
    """Optimizer steps of the budget, or of `epochs` without one; at least 1."""
    budget = assignment.budget
    if budget is not None and budget.steps is not None:
        return budget.steps
    epochs = float(prepared.params["epochs"]) if budget is None else budget.epochs
    assert epochs is not None
    return max(1, round(epochs * prepared.steps_per_epoch))


def _identity(prepared: Prepared, assignment: Assignment) -> str:
    """What a checkpoint must agree on to be continued, beside the learning rates up to it: a budget or a
    schedule does not change the steps before its end or its first cut.
    """
    task = assignment.task
    named = (
        {"file": task.sha256, "class": task.class_name} if isinstance(task, FileTask) else task.model_dump()
    )
    return digest_of(
        {
            "task": named,
            "params": {name: value for name, value in prepared.params.items() if name not in PACE},
            "seed": [assignment.seed, assignment.replicate],
            "subset": assignment.program.subset_batches,
            "objective": assignment.objective.model_dump(),
        }
    )


def _schedule(prepared: Prepared, assignment: Assignment) -> Schedule:
    return build_schedule(prepared.params, budget_steps(prepared, assignment), prepared.steps_per_epoch)


def _start(place: Place, plan: Plan, schedule: Schedule) -> Checkpoint | None:
    if place.start is None:
        return None
    checkpoint = read_checkpoint(place.start, plan.identity)
    if checkpoint is None:
        return None
    if checkpoint.step > plan.steps:
        problem = f"is at step {checkpoint.step}, beyond this budget's {plan.steps}"
    elif checkpoint.rates != schedule.until(checkpoint.step):
        problem = f"was trained at other learning rates ({checkpoint.rates})"
    else:
        return checkpoint
    logger.warning("checkpoint %s %s; training starts from scratch", place.start.name, problem)
    return None


def _task_name(task: TaskSpec) -> str:
    match task:
        case FileTask():
            return f"{task.file}:{task.class_name}"
        case NamedTask():
            return f"{task.model} on {task.dataset}"
        case CommandTask():
            return task.title
