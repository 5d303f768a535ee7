"""Records of a study as a server answers them: one that went through every stage of the recipe."""

import math
from datetime import UTC, datetime
from typing import Any

from hpsearch.records import (
    Best,
    Budget,
    Points,
    Program,
    Stage,
    StageId,
    StageKind,
    StageState,
    Study,
    StudyId,
    StudyState,
    Tie,
    Trial,
    TrialId,
    TrialState,
    Verdict,
)
from hpsearch.vocabulary import VerdictCode
from hpsearch.wire import Curve, CurveList

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def make_study(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "id": StudyId(1),
        "name": "digits-mlp",
        "state": StudyState.COMPLETED,
        "reason": "",
        "method": "recipe",
        "objective_metric": "val_accuracy",
        "objective_direction": "maximize",
        "spec": {"task": {"kind": "named", "dataset": "digits", "model": "mlp"}},
        "trial_counts": {TrialState.COMPLETED: 22, TrialState.DIVERGED: 2},
        "best_value": 0.97,
        "created_at": NOW,
        "finished_at": NOW,
    }
    return Study(**{**fields, **changes})


def make_stage(position: int, kind: StageKind, **changes: Any) -> Stage:
    fields: dict[str, Any] = {
        "id": StageId(position + 1),
        "study_id": StudyId(1),
        "kind": kind,
        "round": 1,
        "position": position,
        "state": StageState.PASSED,
        "verdict": Verdict(code=VerdictCode.OK, text=f"{kind} went well", confidence=0.9),
        "carried": {},
        "trials": 3,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Stage(**{**fields, **changes})


def make_trial(number: int, stage: int, **changes: Any) -> Trial:
    fields: dict[str, Any] = {
        "id": TrialId(number + 100),
        "study_id": StudyId(1),
        "stage_id": StageId(stage + 1),
        "number": number,
        "role": "coarse",
        "state": TrialState.COMPLETED,
        "reason": None,
        "message": "",
        "program": Program(kind="train"),
        "params": {"learning_rate": 0.01, "weight_decay": 0.0},
        "replicate": 0,
        "budget": Budget(epochs=3),
        "digest": f"{number}",
        "continues": None,
        "value": 0.9,
        "metrics": {"val_loss": 0.3},
        "measurements": {"val_loss_tail": 0.3},
        "steps": 54,
        "epoch": 1,
        "failures": 0,
        "rescues": 0,
        "preemptions": 0,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Trial(**{**fields, **changes})


def make_curve(trial: Trial, metric: str, steps: list[int], values: list[float]) -> Curve:
    return Curve(
        trial_id=trial.id, number=trial.number, state=trial.state, value=trial.value, params=trial.params,
        series={metric: Points(steps=tuple(steps), values=tuple(values))},
    )  # fmt: skip


def listed(metric: str, curves: list[Curve]) -> CurveList:
    return CurveList(metric=metric, curves=tuple(curves), shown=len(curves), total=len(curves))


def whole_recipe() -> tuple[list[Stage], list[Trial], dict[str, CurveList]]:
    """Every kind of stage with trials and curves that look like the real ones."""
    kinds = [k for k in StageKind if k is not StageKind.SEARCH]
    stages = [make_stage(i, kind) for i, kind in enumerate(kinds)]
    trials = [
        make_trial(
            0, 0, role="check", program=Program(kind="check"), budget=None, value=None, metrics={},
            measurements={"initial_losses": [2.4, 2.61, 2.7, 2.55, 2.9], "expected_loss": math.log(10)},
        )
    ]  # fmt: skip
    curves: dict[str, list[Curve]] = {m: [] for m in ("loss", "train_loss", "val_loss", "val_accuracy")}
    for place in (1, 2):
        for i, rate in enumerate((1e-4, 1e-3, 1e-2, 1e-1, 1.0)):
            lost = rate == 1.0
            trial = make_trial(
                len(trials), place, role="learning rate", params={"learning_rate": rate, "weight_decay": 1e-5},
                state=TrialState.DIVERGED if lost else TrialState.COMPLETED, value=None, budget=Budget(steps=100),
            )  # fmt: skip
            trials.append(trial)
            steps = list(range(1, 101, 2))
            values = [2.4 * math.exp(-s * rate) + 0.02 + 0.05 * math.sin(s * 7.0 + i) ** 2 for s in steps]
            if lost:
                steps, values = steps[:12], [2.4 * 1.4**s for s in range(11)] + [math.inf]
            curves["loss"].append(make_curve(trial, "loss", steps, values))
    for place, kind in enumerate(kinds):
        if kind not in (StageKind.COARSE, StageKind.REFINE, StageKind.FINAL):
            continue
        for i, rate in enumerate((3e-3, 1e-2, 3e-2, 1e-1)):
            for j, decay in enumerate((0.0, 1e-5, 1e-4)):
                floor = 0.1 + 0.1 * abs(i - 2) + 0.02 * j
                lost = kind is StageKind.COARSE and (i, j) == (3, 2)
                trial = make_trial(
                    len(trials), place, role=str(kind),
                    params={"learning_rate": rate, "weight_decay": decay, "hidden_units": 128},
                    value=0.97 - 0.02 * abs(i - 2),
                    state=TrialState.DIVERGED if lost else TrialState.COMPLETED,
                    measurements={"val_loss_tail": floor},
                )  # fmt: skip
                trials.append(trial)
                steps = list(range(18, 271, 18))
                for metric, low in (("train_loss", floor * 0.4), ("val_loss", floor)):
                    values = [low + 1.8 * math.exp(-s * rate) for s in steps]
                    curves[metric].append(make_curve(trial, metric, steps, values))
                accuracy = [0.97 - 0.8 * math.exp(-s * rate) for s in steps]
                curves["val_accuracy"].append(make_curve(trial, "val_accuracy", steps, accuracy))
                noise = [0.1 + 1.8 * math.exp(-s / 60) * (1 + 0.3 * math.sin(s * 5.0)) for s in range(1, 270)]
                if kind is StageKind.REFINE:
                    curves["loss"].append(make_curve(trial, "loss", list(range(1, 270)), noise))
    return stages, trials, {metric: listed(metric, found) for metric, found in curves.items()}


def make_best(trial: Trial, **changes: Any) -> Best:
    fields: dict[str, Any] = {
        "trial_id": trial.id,
        "number": trial.number,
        "params": trial.params,
        "value": 0.9728,
        "standard_error": 0.0012,
        "replicates": 3,
        "metrics": {"test_accuracy": 0.9694},
        "ties": (Tie(trial_id=TrialId(1), number=7, params=trial.params, value=0.972),),
    }
    return Best(**{**fields, **changes})
