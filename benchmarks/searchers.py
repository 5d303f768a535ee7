"""The recipe and its rivals, each asked for its next run and told what came of it."""

import math
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any, Protocol

import optuna
from small_tables import Bench, Whole

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


class Rival(Protocol):
    """A search that trains whole runs, one after the other."""

    def ask(self) -> Params | None:
        """The next point; None where there is none left."""

    def tell(self, whole: Whole, epochs: int) -> tuple[float, float]:
        """(the steps it has cost, the loss by which it is ranked: infinite where it was pruned)."""


class Points:
    """Points that don't depend on what was found."""

    def __init__(self, points: Iterator[Params]) -> None:
        self._points = points

    def ask(self) -> Params | None:
        return next(self._points, None)

    def tell(self, whole: Whole, epochs: int) -> tuple[float, float]:
        return whole.steps, whole.loss


def random_search(seed: int) -> Points:
    """Log-uniform in the box."""
    rng = random.Random(seed)

    def points() -> Iterator[Params]:
        while True:
            decay = 0.0 if rng.random() < NO_DECAY else log_uniform(rng, *DECAYS)
            yield {"learning_rate": log_uniform(rng, *RATES), "weight_decay": decay}

    return Points(points())


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def grid_search(seed: int) -> Points:
    """A decade between rates, in a random order: from either end it would lose more."""
    low, high = RATES
    rates = [low * (high / low) ** (i / (GRID_RATES - 1)) for i in range(GRID_RATES)]
    points = [{"learning_rate": rate, "weight_decay": decay} for rate, decay in product(rates, GRID_DECAYS)]
    random.Random(seed).shuffle(points)
    return Points(iter(points))


class Tpe:
    """Optuna's sampler; a trial that its pruner stops has cost the steps up to there."""

    def __init__(self, seed: int, pruner: optuna.pruners.BasePruner) -> None:
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
        self._trial: optuna.Trial | None = None

    def ask(self) -> Params:
        self._trial = trial = self._study.ask()
        rate = trial.suggest_float("learning_rate", *RATES, log=True)
        if trial.suggest_categorical("no_decay", [True, False]):
            return {"learning_rate": rate, "weight_decay": 0.0}
        return {"learning_rate": rate, "weight_decay": trial.suggest_float("weight_decay", *DECAYS, log=True)}

    def tell(self, whole: Whole, epochs: int) -> tuple[float, float]:
        trial = self._trial
        assert trial is not None
        for epoch, loss in enumerate(whole.curve, start=1):
            trial.report(loss, epoch)
            if epoch < epochs and trial.should_prune():
                self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return whole.steps * epoch / len(whole.curve), math.inf
        # A trial that failed would teach the sampler nothing; a diverged one must.
        self._study.tell(trial, whole.loss if math.isfinite(whole.loss) else DIVERGED)
        return whole.steps, whole.loss


DIVERGED = 1e3


def tpe_median(seed: int, epochs: int) -> Tpe:
    return Tpe(seed, optuna.pruners.MedianPruner())


def tpe_hyperband(seed: int, epochs: int) -> Tpe:
    return Tpe(seed, optuna.pruners.HyperbandPruner(max_resource=epochs))


# --- the recipe ----------------------------------------------------------------------------------


def recipe_spec(fixed: Mapping[str, Any], metric: str, epochs: int, seed: int) -> StudySpec:
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
            "recipe": {"refine_epochs": epochs},
            "seed": seed,
        }
    )


def recipe(bench: Bench, spec: StudySpec, check_steps: float) -> Iterator[tuple[float, Params | None, str]]:
    """(steps so far, the point it names, its stage) after each trial, one worker playing `recipe.plan.decide`.

    It names what `hpsearch study best` would answer at that moment: nothing before the coarse grid. A
    continued run costs what it adds.
    """
    stages: list[Stage] = []
    trials: list[Trial] = []
    spent = 0.0
    while True:
        decision = decide(spec, stages, trials)
        _apply(decision, stages)
        for plan in decision.trials:
            outcome = bench.alone(plan, spec.seed)
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
