"""Step 6 for any one trial, whatever its study searches by: its check where step 1 made none, then its probes."""

from collections.abc import Iterable, Sequence

from hpsearch.command import CommandTask
from hpsearch.recipe.carry import Carry
from hpsearch.recipe.curves import examined, judged_run
from hpsearch.recipe.decision import Finish
from hpsearch.recipe.history import NO_REGULARIZATION, History
from hpsearch.recipe.remedies import remedy_for
from hpsearch.records import (
    Program,
    Remedy,
    Stage,
    StageKind,
    StudyState,
    Trial,
    TrialPlan,
    TrialState,
    Verdict,
)
from hpsearch.space import Params
from hpsearch.spec import StudySpec

REPEAT = "repeat"  # role of a trial that only brings back the end of the examined run
NEVER_MATTERS = ("learning_rate", "epochs")  # to a check, which trains nothing


def step(
    spec: StudySpec, run: Trial, checks: Iterable[Trial], trials: Sequence[Trial], *, resumable: bool
) -> tuple[TrialPlan, ...] | Verdict | Finish:
    """The trials that the examination of `run` needs next, what it concludes, or why it can't go on.

    `checks`: those that the run's study has made; one is used where it measured what this run began from.
    `trials`: of the examination. `resumable`: the run's last checkpoint was kept, so that a probe may go on from
    it; else the run is repeated first. Only for a run that `why_passive` has nothing against.
    """
    plan = TrialPlan(
        program=Program(kind="check", overrides=NO_REGULARIZATION),
        params=run.params,
        replicate=run.replicate,
        role="check",
    )
    check = _fitting(spec, plan, [*checks, *trials])
    if check is None:
        made = next((trial for trial in trials if trial.digest == plan.digest), None)
        if made is None or not made.finished:
            return (plan,)
        return Finish(state=StudyState.FAILED, reason=f"the check of step 1 {made.state}: {_said(made)}")
    found = examined(History(spec, (), trials), run, check)
    if isinstance(found, Verdict):
        return with_values(spec, run, found)
    return found if resumable else _from_repeat(run, found, trials)


def why_passive(spec: StudySpec, run: Trial) -> str | None:
    """Why no probe could prove what is wrong with this ended trial, in a clause; None where probes can."""
    if isinstance(spec.task, CommandTask):
        return "a command can't be measured from inside"
    if run.state not in (TrialState.COMPLETED, TrialState.DIVERGED):
        return f"the trial was {run.state} before its end"
    if run.program.subset_batches is not None:
        return "the trial trained on a few minibatches, not on the data"
    if run.budget is None or run.budget.epochs is None:
        return "the trial was a short one, counted in steps"
    if "steps_per_epoch" not in run.measurements:
        return "the trial has no measurements to compare a probe with"
    return None


def own_stage(spec: StudySpec, stages: Sequence[Stage], trials: Sequence[Trial], run: Trial) -> Stage | None:
    """The newest stage of the recipe itself that examines this run."""
    for position, stage in reversed(list(enumerate(stages))):
        if stage.kind is not StageKind.CURVES:
            continue
        if judged_run(History(spec, stages[:position], trials)).id == run.id:
            return stage
    return None


def with_values(spec: StudySpec, run: Trial, verdict: Verdict) -> Verdict:
    """The verdict with a remedy in values: those that were proved, else those that the study allows, as if the
    run were its winner.
    """
    if verdict.remedy is not None and verdict.remedy.changes:
        return verdict
    return verdict.model_copy(update={"remedy": _remedy(spec, run, verdict)})


def _remedy(spec: StudySpec, run: Trial, verdict: Verdict) -> Remedy | None:
    if isinstance(spec.task, CommandTask):  # what its parameters do is its own business
        return verdict.remedy
    epochs = None if run.budget is None else run.budget.epochs
    carry = Carry(winner=run.params, winner_epochs=epochs)
    return remedy_for(verdict.code, History(spec, (), ()).proposing(carry)) or verdict.remedy


def _fitting(spec: StudySpec, plan: TrialPlan, checks: Iterable[Trial]) -> Trial | None:
    """The newest check that measured what this one would."""
    wanted = _measured(spec, plan.params, plan.program)
    fitting = [
        check
        for check in checks
        if check.program.kind == "check"
        and check.state is TrialState.COMPLETED
        and check.replicate == plan.replicate
        and _measured(spec, check.params, check.program) == wanted
    ]
    return fitting[-1] if fitting else None


def _from_repeat(run: Trial, plans: tuple[TrialPlan, ...], trials: Sequence[Trial]) -> tuple[TrialPlan, ...]:
    """The plans with those that go on from the run going on from its repeat, which comes first."""
    after = [plan for plan in plans if plan.continues == run.id]
    if not after:
        return plans
    repeat = TrialPlan(
        program=Program(kind="train", overrides=run.program.overrides),
        params=run.params,
        replicate=run.replicate,
        budget=run.budget,
        role=REPEAT,
    )
    made = next((trial for trial in trials if trial.digest == repeat.digest), None)
    if made is None:
        return (repeat, *(plan for plan in plans if plan not in after))
    start = made.id if made.state is TrialState.COMPLETED else None
    return tuple(plan.model_copy(update={"continues": start}) if plan in after else plan for plan in plans)


def _measured(spec: StudySpec, params: Params, program: Program) -> Params:
    values = spec.hyperparameters(params, program.overrides)
    return {name: value for name, value in values.items() if name not in NEVER_MATTERS}


def _said(trial: Trial) -> str:
    lines = trial.message.strip().splitlines()
    return lines[0][:500] if lines else str(trial.reason or "no reason was given")
