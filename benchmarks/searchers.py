"""The recipe and its rivals on one task: each yields (optimizer steps spent so far, the point it would name)."""

import math
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

import optuna
from small_tables import Bench, full_run

from hpsearch.recipe.plan import Decision, decide
from hpsearch.recipe.ranking import best
from hpsearch.records import (
    Outcome,
    Stage,
    StageId,
    StageState,
    StudyId,
    Trial,
    TrialId,
    TrialPlan,
    TrialState,
)
from hpsearch.space import Params
from hpsearch.spec import StudySpec, parse_spec

RATES = (1e-6, 10.0)
DECAYS = (1e-7, 1e-1)
NO_DECAY = 0.25  # share of draws with weight decay 0
GRID_RATES = 8  # one a decade, both ends among them
GRID_DECAYS = (0.0, 1e-7, 1e-5, 1e-3, 1e-1)
EARLY = 5  # a pruned trial seldom sees more than this share of a whole run

Step = tuple[float, Params | None, str]  # steps so far, the point it would name, what it was doing


def loss_of(outcome: Outcome) -> float:
    """The loss of the best snapshot (lowest mean of two neighbouring evaluations); infinite where it diverged."""
    value = outcome.measurements.get("val_loss_best", math.inf)
    return float(value) if outcome.state == "completed" and not isinstance(value, list) else math.inf


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _whole_runs(
    points: Iterator[Params], bench: Bench, epochs: float, seed: int, name: str
) -> Iterator[Step]:
    """Every point trained to the horizon; the lowest validation loss so far is named."""
    spent, best, lowest = 0.0, None, math.inf
    for point in points:
        outcome, _ = bench.run(full_run(point, epochs), seed)
        spent += outcome.steps
        if loss_of(outcome) < lowest:
            best, lowest = point, loss_of(outcome)
        yield spent, best, name


def random_search(bench: Bench, epochs: float, seed: int) -> Iterator[Step]:
    rng = random.Random(seed)

    def points() -> Iterator[Params]:
        while True:
            decay = 0.0 if rng.random() < NO_DECAY else log_uniform(rng, *DECAYS)
            yield {"learning_rate": log_uniform(rng, *RATES), "weight_decay": decay}

    return _whole_runs(points(), bench, epochs, seed, "random")


def grid_search(bench: Bench, epochs: float, seed: int) -> Iterator[Step]:
    """A decade between rates, in a random order: from either end it would lose more."""
    low, high = RATES
    rates = [low * (high / low) ** (i / (GRID_RATES - 1)) for i in range(GRID_RATES)]
    points = [{"learning_rate": rate, "weight_decay": decay} for rate, decay in product(rates, GRID_DECAYS)]
    random.Random(seed).shuffle(points)
    return _whole_runs(iter(points), bench, epochs, seed, "grid")


def tpe(bench: Bench, epochs: float, seed: int, pruner: optuna.pruners.BasePruner) -> Iterator[Step]:
    """Optuna's sampler; a trial that is pruned has cost the steps up to there."""
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    spent, best, lowest = 0.0, None, math.inf
    while True:
        trial = study.ask()
        point: Params = {
            "learning_rate": trial.suggest_float("learning_rate", *RATES, log=True),
            "weight_decay": 0.0
            if trial.suggest_categorical("no_decay", [True, False])
            else trial.suggest_float("weight_decay", *DECAYS, log=True),
        }
        outcome, seen, pruned = _until_pruned(trial, bench, point, epochs, seed)
        spent += outcome.steps * (seen / epochs if pruned else 1.0)
        loss = loss_of(outcome)
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif math.isfinite(loss):
            study.tell(trial, loss)
            if loss < lowest:
                best, lowest = point, loss
        else:
            study.tell(trial, 1e3)  # a failed trial would teach the sampler nothing
        yield spent, best, "tpe"


def _until_pruned(
    trial: optuna.Trial, bench: Bench, point: Params, epochs: float, seed: int
) -> tuple[Outcome, int, bool]:
    """(the whole run, epochs seen, whether the pruner stopped the trial there).

    Most trials are pruned early: a short run, whose curve is the beginning of the whole one's, saves this
    benchmark's time; steps are counted as of one run.
    """
    told = 0
    for length in (max(1.0, epochs // EARLY), epochs):
        outcome, curves = bench.run(full_run(point, length), seed)
        for epoch, loss in enumerate(curves.get("val_loss", [])[told:], start=told + 1):
            trial.report(loss, epoch)
            told = epoch
            if epoch < epochs and trial.should_prune():
                scaled = outcome.model_copy(update={"steps": round(outcome.steps * epochs / length)})
                return scaled, epoch, True
        if outcome.state != "completed":
            break
    return outcome, told, False


def tpe_median(bench: Bench, epochs: float, seed: int) -> Iterator[Step]:
    return tpe(bench, epochs, seed, optuna.pruners.MedianPruner())


def tpe_hyperband(bench: Bench, epochs: float, seed: int) -> Iterator[Step]:
    return tpe(bench, epochs, seed, optuna.pruners.HyperbandPruner(max_resource=int(epochs)))


# --- the recipe ----------------------------------------------------------------------------------


def recipe_spec(fixed: Mapping[str, Any], metric: str, epochs: float, seed: int) -> StudySpec:
    return parse_spec(
        {
            "name": "bench",
            "task": {"kind": "file", "file": "t.py", "class_name": "T", "sha256": "0" * 64, "metric": metric},
            "objective": {"metric": "val_loss", "direction": "minimize"},
            "space": {
                "learning_rate": {"low": RATES[0], "high": RATES[1], "log": True},
                "weight_decay": {"low": 0.0, "high": DECAYS[1]},
            },
            "fixed": dict(fixed),
            "recipe": {"refine_epochs": epochs, "rounds": 2},
            "seed": seed,
        }
    )


def recipe(bench: Bench, spec: StudySpec, check_steps: float) -> Iterator[Step]:
    """`recipe.plan.decide` played by one worker, trial by trial; a continued run costs what it adds.

    It names what `hpsearch study best` would answer at that moment: nothing before the coarse grid.
    """
    stages: list[Stage] = []
    trials: list[Trial] = []
    spent = 0.0
    while True:
        decision = decide(spec, stages, trials)
        _apply(decision, stages)
        for plan in decision.trials:
            outcome, _ = bench.run(plan, spec.seed)
            before = next((t.steps for t in trials if t.id == plan.continues), 0)
            spent += check_steps if plan.program.kind == "check" else max(outcome.steps - before, 0)
            trials.append(_trial(plan, outcome, len(trials), stages[-1]))
            answer = best(spec, stages, trials, 1)
            yield spent, dict(answer[0].params) if answer else None, str(stages[-1].kind)
        if decision.finish is not None:
            return


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _apply(decision: Decision, stages: list[Stage]) -> None:
    if decision.close is not None:
        close = decision.close
        update = {"state": close.state, "verdict": close.verdict, "carried": close.carried}
        stages[-1] = stages[-1].model_copy(update=update)
    if decision.open is not None:
        stages.append(
            Stage(
                id=StageId(len(stages) + 1), study_id=StudyId(1), kind=decision.open.kind, round=decision.open.round,
                position=len(stages), state=StageState.RUNNING, verdict=None, carried={}, started_at=NOW,
                finished_at=None,
            )
        )  # fmt: skip


def _trial(plan: TrialPlan, outcome: Outcome, number: int, stage: Stage) -> Trial:
    return Trial(
        id=TrialId(number + 1), study_id=StudyId(1), stage_id=stage.id, number=number, role=plan.role,
        state=TrialState(outcome.state), reason=outcome.reason, message=outcome.message, program=plan.program,
        params=plan.params, replicate=plan.replicate, budget=plan.budget, digest=plan.digest,
        continues=plan.continues, value=outcome.value, metrics=outcome.metrics,
        measurements=outcome.measurements, steps=outcome.steps, epoch=1, failures=0, rescues=0, preemptions=0,
        created_at=NOW, started_at=NOW, finished_at=NOW,
    )  # fmt: skip
