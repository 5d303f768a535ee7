"""A trial that is a command: from its assignment to its outcome."""

import math
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch import command, curves
from hpsearch.command import CommandTask
from hpsearch.commandscript import check_script
from hpsearch.errors import TaskNotAllowed, TrialError
from hpsearch.records import FailureReason, Outcome, Series
from hpsearch.reporting import REPORTS, STOP
from hpsearch.space import Params
from hpsearch.training.reporter import REPORT_SECONDS, Reporter
from hpsearch.training.seeds import derive
from hpsearch.wire import Assignment
from hpsearch.worker.commandprocess import CommandProcess, End
from hpsearch.worker.kept import mark_used
from hpsearch.worker.printed import Readings
from hpsearch.worker.watch import Watch

_LOOK_SECONDS = 0.1  # between looks for a wish to stop
_FEATURE_POINTS = 1_000  # of a curve: slopes are medians over all pairs
_GRACE_SHARE = 0.8  # of the worker's grace, so that the rest of a pack is not killed with a slow command


@dataclass(frozen=True)
class CommandPlace:
    """Where a command runs. `tasks_dir` holds its folder; `run_dir` is the run's own and empty; `kept_dir`
    outlives the run and is found again by the next run of the same trial on this worker.
    """

    allowed: bool
    tasks_dir: Path | None
    run_dir: Path
    kept_dir: Path
    data_dir: Path
    device: str
    grace_seconds: float


def run_command(
    assignment: Assignment, place: CommandPlace, report: Callable[[Series], None], stop: Callable[[], bool]
) -> Outcome:
    """Run the command and say how it went; the objective's best report is the trial's value.

    `report` gets stretches of the curves about once a second, an empty one where the command only printed
    something. `stop` is polled: once true, the command's group gets SIGTERM, and SIGKILL after the grace.
    Never raises for what a command does.
    """
    task = assignment.task
    assert isinstance(task, CommandTask)
    try:
        folder = allowed_folder(task, place)
        check_script(task, folder)
        watch = Watch(assignment.objective, Readings(_compiled(task)))
        process = _start(task, assignment, place, folder)
    except TrialError as error:
        message = f"{error.message} ({error.hint})" if error.hint else error.message
        return Outcome(state="failed", reason=FailureReason(error.reason), message=message)
    began_at = time.monotonic()
    try:
        released = _follow(process, watch, place, report, stop)
    finally:
        process.close()
    assert process.end is not None
    outcome = _outcome(watch, process.end, released=released, seconds=time.monotonic() - began_at)
    if outcome.state != "released" and outcome.reason is not FailureReason.CRASHED:
        shutil.rmtree(place.kept_dir, ignore_errors=True)
    return outcome


def allowed_folder(task: CommandTask, place: CommandPlace) -> Path:
    """The command's folder inside `tasks_dir`. Raises TaskNotAllowed where this worker runs no commands, and
    for links, `..` and what isn't there.
    """
    if not place.allowed or place.tasks_dir is None:
        raise TaskNotAllowed(
            f"the study runs the command `{task.title[:200]}`, and this worker runs no commands",
            hint="start the worker with --tasks FOLDER --allow-commands",
        )
    root = place.tasks_dir.resolve()
    folder = root / task.folder
    if ".." in Path(task.folder).parts or folder.resolve() != folder:
        raise TaskNotAllowed(f"the command's folder {task.folder} leads out of {root} or through a link")
    if not folder.is_dir():
        raise TaskNotAllowed(
            f"there is no folder {task.folder} in {root}", hint="copy the study's folder to this worker"
        )
    return folder


def _follow(
    process: CommandProcess,
    watch: Watch,
    place: CommandPlace,
    report: Callable[[Series], None],
    stop: Callable[[], bool],
) -> bool:
    """Until the command has ended. True where it was told to, and did not diverge before."""
    reporter = Reporter(watch.history, report)
    kill_at = math.inf
    wanted = False
    shown_at = -math.inf
    while process.end is None:
        lines = process.hear(_LOOK_SECONDS)
        for stream, line in lines:
            watch.see(stream, line)
        reporter.tell_when_due()
        now = time.monotonic()
        if lines and now - shown_at >= REPORT_SECONDS:
            report({})  # output is a sign of life
            mark_used(place.kept_dir)
            shown_at = now
        if now > kill_at:
            process.signal(signal.SIGKILL)
        elif math.isinf(kill_at) and process.end is None:
            wanted = watch.diverged_at is None and stop()
            if wanted or watch.diverged_at is not None:
                (place.run_dir / "stop").touch()
                process.signal(signal.SIGTERM)
                kill_at = now + _GRACE_SHARE * place.grace_seconds
    reporter.tell()
    return wanted


def _start(task: CommandTask, assignment: Assignment, place: CommandPlace, folder: Path) -> CommandProcess:
    """Raises TrialError where it can't be started."""
    params: Params = {**assignment.fixed, **assignment.params}
    seed = command_seed(assignment)
    argv = command.arguments(task, params, seed=seed, replicate=assignment.replicate)
    try:
        place.kept_dir.mkdir(parents=True, exist_ok=True)
        mark_used(place.kept_dir)
        return CommandProcess(
            argv,
            folder=folder,
            environment=environment(assignment, params, place),
            reports=place.run_dir / "reports",
        )
    except (OSError, ValueError) as error:
        raise TrialError(f"the command `{task.title[:200]}` can't be started: {error}") from None


def command_seed(assignment: Assignment) -> int:
    """31 bits of the study's seed and the replicate: as many as every library's seed takes."""
    return derive(assignment.seed, assignment.replicate, "command") % 2**31


def environment(assignment: Assignment, params: Params, place: CommandPlace) -> dict[str, str]:
    """What the command sees: this process's own variables, which are an allow-list without a token, and
    HPSEARCH_*. `python` is this worker's interpreter, so that a script finds what is installed here.
    """
    budget = assignment.budget
    length = {} if budget is None else {"EPOCHS": budget.epochs, "STEPS": budget.steps}
    told = {f"HPSEARCH_{name}": f"{value:g}" for name, value in length.items() if value is not None}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "PYTHONUNBUFFERED": "1",  # what is printed is seen at once
        **os.environ,
        "PATH": path,
        **command.variables(params),
        **told,
        "HPSEARCH_SEED": str(command_seed(assignment)),
        "HPSEARCH_REPLICATE": str(assignment.replicate),
        "HPSEARCH_DEVICE": place.device,
        "HPSEARCH_DATA_DIR": str(place.data_dir),
        "HPSEARCH_CHECKPOINT_DIR": str(place.kept_dir),
        REPORTS: str(place.run_dir / "reports"),
        STOP: str(place.run_dir / "stop"),
    }


def _compiled(task: CommandTask) -> re.Pattern[str] | None:
    try:
        return None if task.pattern is None else re.compile(task.pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise TrialError(f"pattern {task.pattern!r} is not a regular expression: {error}") from None


def _outcome(watch: Watch, end: End, *, released: bool, seconds: float) -> Outcome:
    last = watch.history.last()
    if released:
        return Outcome(state="released", metrics=last, steps=watch.steps)
    if watch.diverged_at is not None:
        return _diverged(watch, seconds)
    failure = _failure(watch, end)
    if failure is not None:
        reason, message = failure
        return Outcome(state="failed", reason=reason, message=message, metrics=last, steps=watch.steps)
    steps, values = watch.history.curves[watch.objective.metric]
    assert watch.best is not None
    at = steps[watch.best]
    best = {
        f"best_{name}": dict(zip(points, row, strict=True))[at]
        for name, (points, row) in watch.history.curves.items()
        if at in points
    }
    return Outcome(
        state="completed",
        value=values[watch.best],
        metrics={**last, **best, f"best_{watch.objective.metric}": values[watch.best]},
        measurements=measurements(watch, seconds),
        steps=watch.steps,
    )


def _diverged(watch: Watch, seconds: float) -> Outcome:
    assert watch.diverged_at is not None
    metrics = watch.history.last()
    finite = [value for value in watch.history.values("loss") if math.isfinite(value)]
    if finite:
        metrics["loss"] = finite[-1]
    found = {**measurements(watch, seconds), "diverged_at": float(watch.diverged_at)}
    return Outcome(state="diverged", metrics=metrics, measurements=found, steps=watch.steps)


def measurements(watch: Watch, seconds: float) -> dict[str, float | list[float]]:
    """`curves.features` as far as the series allow; long curves are thinned first."""
    thin = {}
    for name, (steps, values) in watch.history.curves.items():
        kept = curves.thinned(len(steps), _FEATURE_POINTS)
        thin[name] = ([steps[i] for i in kept], [values[i] for i in kept])
    found = curves.features(thin, watch.objective.metric, watch.objective.direction)
    return {**found, "seconds": seconds}


def _failure(watch: Watch, end: End) -> tuple[FailureReason, str] | None:
    if end.refused is not None:
        return FailureReason.ERROR, f"the command can't be started: {end.refused}"
    said = "\n".join(watch.errors or watch.output)
    if end.code < 0:
        name = signal.Signals(-end.code).name if -end.code in set(signal.Signals) else str(-end.code)
        return FailureReason.CRASHED, f"the command was ended by {name}\n{said}".strip()
    if end.code > 0:
        return FailureReason.ERROR, f"the command ended with exit code {end.code}\n{said}".strip()
    if watch.best is None:
        return FailureReason.ERROR, _nothing_reported(watch)
    return None


def _nothing_reported(watch: Watch) -> str:
    metric = watch.objective.metric
    names = sorted(watch.history.curves)
    if names:
        return f"the command reported {', '.join(names)[:500]}, but not the objective {metric}"
    line = (watch.output or watch.errors or [""])[-1].strip()[:200]
    seen = f"its last line was {line!r}" if line else "it printed nothing"
    how = f'a line such as {{"step": 1, "{metric}": 0.5}} is a report'
    return f"the command reported no metric: {seen}; {how}"
