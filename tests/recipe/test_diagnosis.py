"""Step 6's passive rules, one symptom at a time."""

import pytest

from hpsearch.recipe.diagnosis import Symptoms, passive
from hpsearch.recipe.history import Facts
from hpsearch.vocabulary import VerdictCode, hyperparameters

FACTS = Facts(expected_loss=2.3, label_entropy=2.3, classes=10, majority=0.1, steps_per_epoch=17, baseline=())
HEALTHY = {
    "evaluations": 15.0, "loss_first": 2.6, "loss_best": 0.05, "loss_end": 0.05, "loss_spike": 1.0,
    "flat_fraction": 0.01, "flat_steps": 3.0, "noise": 0.3, "train_loss_end": 0.03, "val_loss_end": 0.1,
    "val_loss_rise": 1.05, "val_slope": -0.01, "train_slope": -0.05, "train_trend_p": 0.01, "gap": 0.02,
    "objective_best": 0.975, "objective_end": 0.972, "objective_se": 0.003, "train_objective_end": 0.999,
    "best_position": 0.8, "val_gain_se": 1.0, "update_ratio_median": 2e-3, "val_size": 287.0, "lr_drops": 0.0,
}  # fmt: skip


def judge(values: dict[str, object] | None = None, **features: float) -> VerdictCode:
    params = hyperparameters({}, values or {})  # type: ignore[arg-type]
    return passive(Symptoms({**HEALTHY, **features}, FACTS, params, accuracy=True, val_size=287.0)).code


def test_a_healthy_run_is_ok() -> None:
    assert judge() is VerdictCode.OK


def test_a_rising_validation_loss_alone_is_no_alarm() -> None:
    assert judge(val_loss_rise=1.6, gap=0.025) is VerdictCode.OK


@pytest.mark.parametrize(
    ("features", "code"),
    [
        ({"gap": 0.15, "val_loss_rise": 1.3}, VerdictCode.OVERFIT),
        ({"gap": 0.25}, VerdictCode.OVERFIT),
        ({"objective_best": 0.12, "gap": 0.88}, VerdictCode.LABELS),
        (
            {"train_objective_end": 0.9, "gap": 0.01, "best_position": 1.0, "val_gain_se": 3.0},
            VerdictCode.TRAIN_LONGER,
        ),
        (
            {"train_objective_end": 0.8, "gap": 0.01, "train_slope": 0.0, "train_trend_p": 0.6, "noise": 0.4},
            VerdictCode.PLATEAU_DECAY,
        ),
        ({"train_objective_end": 0.8, "gap": 0.01, "train_slope": 0.0, "noise": 0.05}, VerdictCode.UNDERFIT),
        ({"flat_fraction": 0.4, "flat_steps": 90.0}, VerdictCode.BAD_INIT),
        ({"loss_best": 2.29, "loss_spike": 4.0, "train_objective_end": 0.1}, VerdictCode.LR_TOO_HIGH),
        (
            {"loss_best": 2.29, "update_ratio_median": 1e-7, "train_objective_end": 0.1},
            VerdictCode.LR_TOO_LOW,
        ),
        ({"objective_se": 0.05}, VerdictCode.NOISY_EVAL),
        ({"evaluations": 2.0}, VerdictCode.NOT_ENOUGH_EVIDENCE),
    ],
)
def test_a_symptom_gets_its_verdict(features: dict[str, float], code: VerdictCode) -> None:
    assert judge(**features) is code


def test_heavy_regularization_on_unfitted_data_is_named() -> None:
    assert judge({"dropout": 0.8}, train_objective_end=0.7, gap=-0.05) is VerdictCode.OVER_REGULARIZED


def test_a_cut_that_stopped_a_falling_loss_came_too_early() -> None:
    features = {
        "lr_drops": 1.0,
        "slope_before_drop": -0.2,
        "slope_after_drop": -0.01,
        "train_objective_end": 0.7,
    }
    assert judge({"schedule": "step"}, **features) is VerdictCode.DECAY_TOO_EARLY


def test_warmup_explains_a_flat_start() -> None:
    assert judge({"warmup_epochs": 3.0}, flat_fraction=0.4, flat_steps=90.0) is VerdictCode.OK
