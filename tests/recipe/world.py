"""A study played in memory: applies the recipe's decisions as the service does, trials answered by a law."""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from hpsearch.recipe.plan import Decision, Finish, decide
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
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.wire import Lease

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Law = Callable[[TrialPlan], Outcome]
MAX_TRIALS = 2_000

SPEC: dict[str, Any] = {
    "name": "world",
    "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
    "space": {"learning_rate": {"low": 1e-6, "high": 10, "log": True}, "weight_decay": [0, 1e-5, 1e-4]},
    "fixed": {"optimizer": "sgd", "momentum": 0.9},
}


def spec(**changes: Any) -> StudySpec:
    return parse_spec({**SPEC, **changes})


def trial_of(plan: TrialPlan, outcome: Outcome, *, number: int = 0, stage_id: int = 1) -> Trial:
    """A finished trial as the store would return it."""
    return Trial(
        id=TrialId(number + 1),
        study_id=StudyId(1),
        stage_id=StageId(stage_id),
        number=number,
        role=plan.role,
        state=TrialState(outcome.state),
        reason=outcome.reason,
        message=outcome.message,
        program=plan.program,
        params=plan.params,
        replicate=plan.replicate,
        budget=plan.budget,
        digest=plan.digest,
        continues=plan.continues,
        value=outcome.value,
        metrics=outcome.metrics,
        measurements=outcome.measurements,
        steps=outcome.steps,
        epoch=1,
        failures=0,
        rescues=0,
        preemptions=0,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )


class World:
    """Plays one study to its end under a law. `stages`, `trials` and `finish` tell what happened."""

    def __init__(self, study: StudySpec, law: Law) -> None:
        self.spec = study
        self.law = law
        self.stages: list[Stage] = []
        self.trials: list[Trial] = []
        self.finish: Finish | None = None

    def play(self) -> "World":
        for _ in range(MAX_TRIALS):
            if self.finish is not None:
                return self
            self.apply(decide(self.spec, self.stages, self.trials))
        raise AssertionError("the recipe does not end")

    def apply(self, decision: Decision) -> None:
        assert decision != Decision(), "the recipe waits although every trial is finished"
        if decision.close is not None:
            stage = self.stages[-1]
            assert stage.id == decision.close.stage_id
            changed = {
                "state": decision.close.state,
                "verdict": decision.close.verdict,
                "carried": decision.close.carried,
            }
            self.stages[-1] = stage.model_copy(update=changed)
        if decision.open is not None:
            self.stages.append(
                Stage(
                    id=StageId(len(self.stages) + 1),
                    study_id=StudyId(1),
                    kind=decision.open.kind,
                    round=decision.open.round,
                    position=len(self.stages),
                    state=StageState.RUNNING,
                    verdict=None,
                    carried={},
                    started_at=NOW,
                    finished_at=None,
                )
            )
        for plan in decision.trials:
            number = len(self.trials)
            self.trials.append(trial_of(plan, self.law(plan), number=number, stage_id=self.stages[-1].id))
        self.finish = decision.finish

    def kinds(self) -> list[str]:
        return [f"{stage.kind}/{stage.round}" for stage in self.stages]

    def stage(self, kind: str, nth: int = -1) -> Stage:
        return [stage for stage in self.stages if stage.kind == kind][nth]

    def trials_of(self, stage: Stage) -> list[Trial]:
        return [trial for trial in self.trials if trial.stage_id == stage.id]


def check_outcome(**changes: Any) -> Outcome:
    """A healthy step 1 on ten classes."""
    measured: dict[str, Any] = {
        "initial_losses": [2.5, 2.55, 2.6, 2.65, 2.7],
        "expected_loss": math.log(10),
        "floor_loss": 0.0,
        "label_entropy": math.log(10),
        "majority_fraction": 0.1,
        "classes": 10.0,
        "train_size": 1150.0,
        "val_size": 287.0,
        "steps_per_epoch": 17.0,
        "output_std": 0.7,
        "duplicate_ratio": 1.0,
        "descent": 0.9,
        "decay_gain": 0.5,
        "input_abs_mean": 0.8,
        "feature_std_ratio": 1.5,
        "nonfinite_inputs": 0.0,
        "val_mean_shift": 0.02,
        "val_std_ratio": 1.01,
        "gradient_ratio": 0.5,
        "signal_ratio": 0.6,
        "dead_fraction": 0.0,
        "zero_weight_fraction": 0.0,
        "baseline_losses": [2.6 + 0.01 * (i % 5) for i in range(20)],
    }
    return Outcome(state="completed", measurements={**measured, **changes})


def curves(
    *, train_loss: Sequence[float], val_loss: Sequence[float], train: Sequence[float], val: Sequence[float]
) -> dict[str, Any]:
    """One evaluation an epoch as measurements: losses and accuracies of equal length."""
    pairs = [statistics.fmean(pair) for pair in itertools.pairwise(val_loss)] or list(val_loss)
    return {
        "curve_epochs": [float(i + 1) for i in range(len(val))],
        "curve_train_loss": list(train_loss),
        "curve_val_loss": list(val_loss),
        "curve_train_accuracy": list(train),
        "curve_val_accuracy": list(val),
        "loss_end": train_loss[-1],
        "train_loss_end": train_loss[-1],
        "val_loss_end": val_loss[-1],
        "val_loss_best": min(pairs),
        "train_objective_end": train[-1],
        "objective_end": val[-1],
        "objective_best": max(val),
        "gap": train[-1] - val[-1],
    }


def quadratic(
    *, best_rate: float = 0.1, limit: float = 3.0, best_decay: float = 1e-5, check: Outcome | None = None
) -> Law:
    """A law with one best learning rate, a stability limit and a weak pull of weight decay."""
    draws = count()

    def law(plan: TrialPlan) -> Outcome:
        if plan.program.kind == "check":
            return check or check_outcome()
        rate, decay = float(plan.params["learning_rate"]), float(plan.params.get("weight_decay", 0.0))
        if rate > limit:
            return Outcome(state="diverged", measurements={"diverged_at": 5.0}, steps=5)
        distance = abs(math.log10(rate / best_rate))
        noise = 1e-4 * (next(draws) % 7)
        if plan.program.subset_batches is not None:
            fit = {"fit_at": 40 + 30 * distance} if distance < 2 else {}
            return Outcome(
                state="completed",
                steps=300,
                metrics={"train_accuracy": 1.0 if fit else 0.6},
                measurements={
                    **fit,
                    "loss_first": 2.5,
                    "loss_best": 0.1 + distance / 2,
                    "loss_end": 0.1 + distance / 2,
                    "conflicts": 0.0,
                },
            )
        loss = 0.1 + 0.3 * distance**2 + 0.01 * abs(math.log10((decay + 1e-6) / best_decay)) + noise
        last = [min(2.6, 0.2 + 0.8 * distance) + 0.01 * (i % 3) for i in range(20)]
        accuracy = max(0.1, 1.0 - loss / 4)
        return Outcome(
            state="completed",
            value=accuracy,
            steps=100,
            metrics={"val_accuracy": accuracy, "val_loss": loss, "test_accuracy": accuracy - 0.01},
            measurements={
                "last_losses": last,
                "loss_first": 2.6,
                "loss_best": loss / 2,
                "loss_end": loss / 2,
                "loss_spike": 1.0,
                "val_loss_tail": loss,
                "val_loss_best": loss,
                "val_loss_end": loss,
                "val_loss_rise": 1.0,
                "val_loss_se": 0.002,
                "train_loss_end": loss / 2,
                "train_objective_end": 1.0,
                "objective_best": accuracy,
                "objective_end": accuracy,
                "objective_se": 0.003,
                "gap": 1.0 - accuracy,
                "evaluations": 15.0,
                "best_position": 0.5,
                "val_size": 287.0,
            },
        )

    return law


def threshold(rate: float) -> Law:
    """A law in which learning rates under `rate` learn nothing, and the others all there is in two epochs."""

    def law(plan: TrialPlan) -> Outcome:
        if plan.program.kind == "check":
            return check_outcome()
        assert plan.budget is not None
        epochs = plan.budget.epochs or 1.0
        level = 0.95 if float({**plan.params, **plan.program.overrides}["learning_rate"]) >= rate else 0.1
        share = [level * min(1.0, (i + 2) / 3) for i in range(max(1, round(epochs)))]
        losses = [2.3 * (1 - one) for one in share]
        measured: dict[str, Any] = {
            **curves(train_loss=losses, val_loss=losses, train=share, val=share),
            "evaluations": float(len(share)), "val_size": 287.0, "objective_se": 0.001, "val_loss_rise": 1.0,
            "loss_spike": 1.0, "noise": 0.1, "update_ratio_median": 1e-5, "train_trend_p": 0.5,
            "best_position": 0.5, "steps_per_epoch": 17.0,
        }  # fmt: skip
        steps = round(17 * epochs)
        return Outcome(state="completed", value=share[-1], measurements=measured, steps=steps)

    return law


def rising(level: float, epochs: float) -> Outcome:
    """A run whose accuracy rises in a straight line, and would go on to."""
    points = round(epochs)
    share = [level * (i + 1) / points for i in range(points)]
    losses = [2.3 * (1 - one) for one in share]
    measured: dict[str, Any] = {
        **curves(train_loss=losses, val_loss=losses, train=share, val=share),
        "evaluations": float(points), "val_size": 500.0, "objective_se": 0.001, "val_loss_rise": 1.0,
        "loss_spike": 1.0, "noise": 0.1, "update_ratio_median": 1e-3, "train_trend_p": 0.001,
        "best_position": 1.0, "steps_per_epoch": 17.0,
    }  # fmt: skip
    return Outcome(state="completed", value=share[-1], measurements=measured, steps=round(17 * epochs))


def plan_of(lease: Lease) -> TrialPlan:
    """What a leased trial was planned as."""
    asked = lease.assignment
    return TrialPlan(
        program=asked.program, params=asked.params, replicate=asked.replicate, budget=asked.budget
    )
