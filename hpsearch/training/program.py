"""A trial from assignment to outcome."""

import logging
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hpsearch import curves
from hpsearch.errors import HpsearchError, TrialError
from hpsearch.records import FailureReason, Number, Outcome, Series, digest_of
from hpsearch.space import Params
from hpsearch.spec import FileTask
from hpsearch.training.check import check
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE, Checkpoint, read_checkpoint, write_weights
from hpsearch.training.evaluation import evaluate
from hpsearch.training.prepared import Prepared, class_labels, prepare
from hpsearch.training.resolution import resolved
from hpsearch.training.schedules import build_schedule
from hpsearch.training.seeds import Seeds, reproducible
from hpsearch.training.task import Task
from hpsearch.training.trainer import End, Plan, Trainer
from hpsearch.vocabulary import Knob, hyperparameters
from hpsearch.wire import Assignment

TRACEBACK_LINES = 12  # of the user's own frames, in a failed trial's message
LAST_LOSSES = 20  # minibatch losses that step 3 of the recipe tests
logger = logging.getLogger(__name__)


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
    except TrialError as error:
        return _failed(FailureReason(error.reason), _sentence(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return _failed(FailureReason.OOM, f"out of memory on {place.device}: {_first_line(error)}")
    except (Exception, SystemExit) as error:
        return _failed(FailureReason.ERROR, _explained(error, assignment, place))


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
    prepared = prepare(task, params, assignment.program, seeds, place.device)
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
    trainer = Trainer(prepared, plan, report, stop, _start(place, plan))
    end = trainer.run()
    if trainer.best is not None and end != "released" and assignment.program.subset_batches is None:
        write_weights(place.work_dir / BEST_FILE, trainer.best)
    return _outcome(trainer, end)


def budget_steps(prepared: Prepared, assignment: Assignment) -> int:
    """Optimizer steps of the budget, or of `epochs` without one; at least 1."""
    budget = assignment.budget
    if budget is not None and budget.steps is not None:
        return budget.steps
    epochs = float(prepared.params["epochs"]) if budget is None else budget.epochs
    assert epochs is not None
    return max(1, round(epochs * prepared.steps_per_epoch))


def _identity(prepared: Prepared, assignment: Assignment) -> str:
    """What a checkpoint must agree on to be continued. A budget does not change the steps before its end,
    unless a schedule stretches over it.
    """
    params = prepared.params
    schedule = build_schedule(params, budget_steps(prepared, assignment), prepared.steps_per_epoch)
    task = assignment.task
    named = (
        {"file": task.sha256, "class": task.class_name} if isinstance(task, FileTask) else task.model_dump()
    )
    return digest_of(
        {
            "task": named,
            "params": {name: value for name, value in params.items() if name != "epochs"},
            "seed": [assignment.seed, assignment.replicate],
            "subset": assignment.program.subset_batches,
            "objective": assignment.objective.model_dump(),
            "schedule": None if schedule.constant else schedule.total,
        }
    )


def _start(place: Place, plan: Plan) -> Checkpoint | None:
    if place.start is None:
        return None
    checkpoint = read_checkpoint(place.start, plan.identity)
    if checkpoint is not None and checkpoint.step > plan.steps:
        logger.warning(
            "checkpoint %s is at step %d, beyond this budget's %d; training starts from scratch",
            place.start.name, checkpoint.step, plan.steps,
        )  # fmt: skip
        return None
    return checkpoint


# --- outcomes ------------------------------------------------------------------------------------


def _outcome(trainer: Trainer, end: End) -> Outcome:
    best = trainer.best
    steps = trainer.step - trainer.started_at_step
    if end == "released":
        return Outcome(state="released", metrics=trainer.history.last(), steps=steps)
    if best is None:
        end = "diverged"
    metrics: dict[str, Number] = trainer.history.last()
    if best is not None:
        metrics.update({f"best_{name}": value for name, value in best.record.items()})
    measurements = train_measurements(trainer)
    if end == "diverged":
        finite = [loss for loss in trainer.history.values("loss") if math.isfinite(loss)]
        metrics["loss"] = finite[-1] if finite else math.nan
        measurements["diverged_at"] = float(trainer.diverged_at or trainer.step)
    elif trainer.plan.program.test:
        metrics.update(_tested(trainer))
    value = None if end == "diverged" or best is None else best.record[trainer.plan.objective.metric]
    return Outcome(state=end, value=value, metrics=metrics, measurements=measurements, steps=steps)


def train_measurements(trainer: Trainer) -> dict[str, Number | list[Number]]:
    """`curves.features` of the whole curve, and what the recipe needs to read them."""
    prepared, objective = trainer.prepared, trainer.plan.objective
    losses = trainer.history.values("loss")
    found: dict[str, Number | list[Number]] = {
        **curves.features(trainer.history.curves, objective.metric, objective.direction),
        "train_size": float(prepared.train.count),
        "val_size": float(prepared.validation.count),
        "steps_per_epoch": float(prepared.steps_per_epoch),
        "classes": prepared.classes(),
        "first_loss": losses[0] if losses else math.nan,
        "last_losses": losses[-LAST_LOSSES:],
        "seconds": trainer.seconds,
    }
    if trainer.fit_at is not None:
        found["fit_at"] = float(trainer.fit_at)
    if trainer.plan.program.subset_batches is not None:
        found["conflicts"] = float(conflicts(prepared))
    return found


def conflicts(prepared: Prepared) -> int:
    """How many training samples no model can get right: inputs that occur with several labels, counted
    without each input's most frequent one. 0 for a regression.
    """
    inputs, targets = prepared.train.take(torch.arange(prepared.train.count))
    labels = class_labels(targets, prepared.metric.name)
    if labels is None:
        return 0
    seen: dict[bytes, dict[int, int]] = {}
    for row, label in zip(inputs.cpu().flatten(1).numpy(), labels.tolist(), strict=True):
        counts = seen.setdefault(row.tobytes(), {})
        counts[label] = counts.get(label, 0) + 1
    return sum(sum(counts.values()) - max(counts.values()) for counts in seen.values())


def _tested(trainer: Trainer) -> dict[str, Number]:
    """The best snapshot on the test set."""
    prepared = trainer.prepared
    if prepared.test is None or trainer.best is None:
        return {}
    trainer.model.load_state_dict(trainer.best.weights)
    found = evaluate(
        trainer.model,
        prepared.test,
        torch.arange(prepared.test.count),
        prepared.evaluation_loss,
        prepared.metric,
        prepared.batch_size,
    )
    return {"test_loss": found.loss, f"test_{prepared.metric.name}": found.metric}


# --- failures ------------------------------------------------------------------------------------


def _failed(reason: FailureReason, message: str) -> Outcome:
    return Outcome(state="failed", reason=reason, message=message)


def _sentence(error: HpsearchError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _explained(error: BaseException, assignment: Assignment, place: Place) -> str:
    """One sentence, and the last lines of the traceback that lie in the user's own files."""
    task = assignment.task
    name = (
        f"{task.file}:{task.class_name}" if isinstance(task, FileTask) else f"{task.model} on {task.dataset}"
    )
    sentence = f"task {name} raised {type(error).__name__}: {_first_line(error)}"
    frames = [] if place.tasks_dir is None else _frames_under(error, place.tasks_dir.resolve())
    if not frames:
        return sentence
    lines = "".join(traceback.format_list(frames)).splitlines()[-TRACEBACK_LINES:]
    return "\n".join([sentence, *lines])


def _frames_under(error: BaseException, folder: Path) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
