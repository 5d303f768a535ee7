"""Step 6 as a stage: the winner's run under examination, its probes as trials of this stage."""

from collections.abc import Mapping

from hpsearch.recipe.case import Case, Probe, Result
from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.examination import examine
from hpsearch.recipe.history import History
from hpsearch.recipe.remedies import next_round, remedy_for
from hpsearch.records import Program, Stage, StageState, Trial, TrialPlan, TrialState, Verdict
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

SIZING: Params = {"extra_capacity": 4}


def step(history: History, stage: Stage) -> Answer:
    found = examined(history, judged_run(history), history.check_trial())
    return _close(history, stage, found) if isinstance(found, Verdict) else found


def examined(history: History, run: Trial, check: Trial) -> tuple[TrialPlan, ...] | Verdict:
    """The probes of this run that must have ended first, or what they prove together with step 1's `check`."""
    results: dict[tuple[object, ...], Result] = {}
    while True:
        case = case_of(history, run, check, results)
        found = examine(case)
        if isinstance(found, Verdict):
            return found
        plans = tuple(_plan(history, run, probe) for probe in found)
        if not history.done(plans):
            return plans
        for probe, trial in zip(found, history.results(plans), strict=True):
            results[probe.key] = Result(str(trial.state), trial, case.cost(probe))


def judged_run(history: History) -> Trial:
    """The winner's run on the first replicate that completed."""
    winner, epochs = history.carry.winner, history.carry.winner_epochs
    runs = [
        trial
        for trial in history.trials
        if trial.params == winner
        and trial.state is TrialState.COMPLETED
        and trial.program == Program(kind="train")
        and trial.budget is not None
        and trial.budget.epochs == epochs
    ]
    return min(runs, key=lambda trial: trial.replicate)


def case_of(history: History, run: Trial, check: Trial, results: Mapping[tuple[object, ...], Result]) -> Case:
    epochs = epochs_of(run)
    metric = history.spec.objective.metric.removeprefix("val_")
    return Case(
        values=history.spec.hyperparameters(run.params, run.program.overrides),
        epochs=epochs,
        metric=metric,
        accuracy="accuracy" in metric,
        check=check,
        run=Result(str(run.state), run),
        sizing=SIZING,
        results=results,
        allowance=epochs,
    )


def _plan(history: History, run: Trial, probe: Probe) -> TrialPlan:
    plan = history.train(
        run.params,
        epochs=probe.epochs,
        role="probe",
        program=Program(kind="train", overrides={**run.program.overrides, **probe.changes}),
        replicate=run.replicate,
    )
    return plan.model_copy(update={"continues": run.id}) if probe.continues else plan


def epochs_of(run: Trial) -> float:
    """How long a run trained that is counted in epochs."""
    assert run.budget is not None
    assert run.budget.epochs is not None
    return run.budget.epochs


def _close(history: History, stage: Stage, verdict: Verdict) -> Answer:
    carry = history.carry.model_copy(update={"verdicts": (*history.carry.verdicts, str(verdict.code))})
    then = history.proposing(carry)
    advised = {} if verdict.remedy is None else verdict.remedy.changes
    proven = {name: values[0] for name, values in advised.items()} if verdict.probe is not None else {}
    verdict = verdict.model_copy(update={"remedy": remedy_for(verdict.code, then)})
    following = next_round(verdict.code, then, proven)
    if following is not None:
        carry = carry.model_copy(
            update={
                "grid": following.points,
                "survivors": following.survivors,
                "epochs": following.epochs,
                "spacing": following.spacing,
            }
        )
    else:
        carry = carry.model_copy(update={"note": f"no free knob can mend {verdict.code}"})
    state = StageState.PASSED if verdict.code is VerdictCode.OK else StageState.WARNED
    return ended(stage, state, verdict, carry)
