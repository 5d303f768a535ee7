"""Curves of a kind give the verdict of that kind, and curves too short give none."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from hpsearch import passive
from hpsearch.records import Verdict
from hpsearch.vocabulary import VerdictCode, hyperparameters

EPOCHS = np.arange(1, 21)


def judged(
    curves: Mapping[str, Sequence[float]], *, classes: int | None = 10, per_epoch: int = 10, **params: float
) -> Verdict:
    """The verdict on evaluations once an epoch; `loss` holds `per_epoch` minibatches an epoch."""
    curve = {}
    for name, values in curves.items():
        steps = (
            range(1, len(values) + 1)
            if name == "loss"
            else range(per_epoch, per_epoch * len(values) + 1, per_epoch)
        )
        curve[name] = (list(steps), [float(v) for v in values])
    objective = "val_accuracy" if "val_accuracy" in curve else "val_loss"
    run = passive.Observed(
        curve=curve,
        objective=objective,
        direction="maximize" if objective == "val_accuracy" else "minimize",
        values=hyperparameters({}, params),
        facts=passive.facts_from(curve, classes, learned=passive.has_learned(curve)),
    )
    return passive.judged(run)


HEALTHY = {
    "train_loss": 2.3 * np.exp(-EPOCHS / 3) + 0.01,
    "val_loss": 2.3 * np.exp(-EPOCHS / 3) + 0.05,
    "train_accuracy": 1 - 0.9 * np.exp(-EPOCHS / 2),
    "val_accuracy": 0.98 - 0.9 * np.exp(-EPOCHS / 2),
}


def test_healthy_run_is_ok() -> None:
    verdict = judged(HEALTHY)
    assert verdict.code is VerdictCode.OK
    assert verdict.remedy is None


def test_growing_gap_and_rising_validation_loss_is_overfit_from_its_lowest_on() -> None:
    val_loss = 1 + 0.01 * (EPOCHS - 5) ** 2
    verdict = judged({**HEALTHY, "val_loss": val_loss, "val_accuracy": 0.6 + 0 * EPOCHS})
    assert verdict.code is VerdictCode.OVERFIT
    assert verdict.segment == (50, 200)
    assert verdict.remedy is not None
    assert "regularization" in verdict.remedy.text


def test_flat_loss_at_chance_is_no_learning() -> None:
    flat = np.full(20, math.log(10))
    verdict = judged(
        {
            "train_loss": flat,
            "val_loss": flat,
            "train_accuracy": 0 * EPOCHS + 0.1,
            "val_accuracy": 0 * EPOCHS + 0.1,
        }
    )
    assert verdict.code is VerdictCode.UNDERFIT
    assert verdict.alternatives


def test_loss_that_never_moves_is_seen_without_the_number_of_classes() -> None:
    flat = 2.3 - 0.001 * EPOCHS
    assert judged({"train_loss": flat, "val_loss": flat}, classes=None).code is VerdictCode.UNDERFIT


@pytest.mark.parametrize("name", ["loss", "train_loss", "val_loss"])
def test_curve_that_ends_in_nan_blew_up(name: str) -> None:
    values = [2.3, 2.0, 5.0, 40.0, math.nan]
    verdict = judged({**HEALTHY, name: values})
    assert verdict.code is VerdictCode.LR_TOO_HIGH
    assert "40" in verdict.text
    assert VerdictCode.BAD_INIT in verdict.alternatives


def test_nan_on_the_way_is_a_hole_and_not_a_divergence() -> None:
    val_loss = HEALTHY["val_loss"].copy()
    val_loss[7] = math.nan
    assert judged({**HEALTHY, "val_loss": val_loss}).code is VerdictCode.OK


def test_loss_that_is_nan_before_any_update_is_not_blamed_on_the_learning_rate() -> None:
    verdict = judged({"loss": [math.nan] * 5})
    assert verdict.code is VerdictCode.INPUT_SCALE
    assert verdict.segment == (1, 5)


def test_loss_far_above_its_start_and_its_best_exploded() -> None:
    loss = [*np.linspace(2.3, 0.5, 30), *np.linspace(0.5, 60, 30)]
    verdict = judged({"loss": loss, "val_loss": [1.0, 2.0, 9.0]})
    assert verdict.code is VerdictCode.LR_TOO_HIGH
    assert verdict.segment is not None
    assert verdict.segment[0] == 30


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ({"train_loss": [2.0, 1.0], "val_loss": [2.0, 1.0]}, "2 of val_loss; at least 3 values of val_loss are needed, 1 more"),
        ({"loss": [2.0]}, "1 of loss; at least 3 values of val_loss are needed, 3 more"),
        ({}, "no loss at all"),
        ({"loss": np.linspace(2.3, 0.1, 50)}, "without a validation loss"),
    ],
)  # fmt: skip
def test_short_run_says_what_is_missing(curves: dict[str, Sequence[float]], words: str) -> None:
    verdict = judged(curves)
    assert verdict.code is VerdictCode.NOT_ENOUGH_EVIDENCE
    assert words in verdict.text
    assert verdict.remedy is None


def test_minibatch_losses_stand_in_for_training_losses_that_nobody_measured() -> None:
    loss = np.repeat(1.0 + 0 * EPOCHS, 10)
    curves = {"loss": loss, "val_loss": 1.0 + 0.01 * EPOCHS, "val_accuracy": 0.5 + 0 * EPOCHS}
    found = {evidence.name: evidence.value for evidence in judged(curves).evidence}
    assert found["training loss at the end"] == pytest.approx(1.0)


def test_training_accuracy_of_minibatches_is_averaged_between_evaluations() -> None:
    steps, values = passive.between([10, 20], list(range(1, 26)), [0.0] * 10 + [1.0] * 5 + [0.5] * 10)
    assert (steps, values) == ([10, 20], [0.0, 0.75])


@pytest.mark.parametrize("code", list(VerdictCode))
def test_every_note_says_that_nothing_was_trained(code: VerdictCode) -> None:
    assert passive.note_on(code).startswith("judged from its curves alone")


def test_long_log_is_judged_as_the_short_one_in_no_time() -> None:
    fine = np.linspace(0, 20, 100_000)
    curves = {name: np.interp(fine, EPOCHS, values) for name, values in HEALTHY.items()}
    assert judged(curves).code is judged(HEALTHY).code
