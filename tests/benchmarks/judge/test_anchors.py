"""Each anchor's thresholds, on made-up curves on either side of them."""

import pytest
import torch

from benchmarks.judge.anchors import autotrainer, bttackler, losslint, umlaut
from benchmarks.judge.anchors.sight import Sight
from benchmarks.judge.run import LayerGradients, Run
from hpsearch.vocabulary import VerdictCode as V


def layer(*, size=1e-2, zeros=0.0):
    return LayerGradients(mean=[size], median=[size], norm=[size], zeros=[zeros])


def sight(*, gradients=(), inputs=0.0, learning_rate=0.001, **curves):
    run = Run(
        state="completed",
        metric="accuracy",
        curves={name: tuple(values) for name, values in curves.items()},
        gradients=tuple(gradients),
        inputs=torch.full((4, 2), inputs),
        target_variance=1.0,
        steps=10,
    )
    return Sight(run, {"learning_rate": learning_rate})


def test_autotrainer_sees_vanishing_gradients_below_its_ratio():
    assert autotrainer.symptoms(sight(gradients=[layer(size=9e-6), layer(size=1e-2)])) == {V.VANISHING}
    assert autotrainer.symptoms(sight(gradients=[layer(size=2e-5), layer(size=1e-2)])) == set()


def test_autotrainer_sees_dying_units_from_seventy_percent_zeros_on():
    assert V.DEAD in autotrainer.symptoms(sight(gradients=[layer(zeros=0.7), layer()]))
    assert V.DEAD not in autotrainer.symptoms(sight(gradients=[layer(zeros=0.69), layer()]))


def test_autotrainer_calls_a_fifth_of_falling_epochs_oscillation():
    swinging = sight(train_accuracy=[0.7, 0.8, 0.75, 0.85, 0.8, 0.9])
    assert V.LR_TOO_HIGH in autotrainer.symptoms(swinging)
    assert autotrainer.symptoms(sight(train_accuracy=[0.5, 0.6, 0.7, 0.8, 0.9, 0.89])) == set()


def test_umlaut_alarms_on_standardized_inputs_and_on_good_validation():
    assert umlaut.symptoms(sight(inputs=1.5)) == {V.INPUT_SCALE}
    assert umlaut.symptoms(sight(val_accuracy=[0.96])) == {V.LABELS, V.VAL_MISMATCH}
    assert umlaut.symptoms(sight(inputs=0.5, val_accuracy=[0.94])) == set()


@pytest.mark.parametrize(("rate", "named"), [(0.011, {V.LR_TOO_HIGH}), (0.01, set()), (9e-8, {V.LR_TOO_LOW})])
def test_umlaut_knows_a_learning_rate_by_its_number(rate, named):
    assert umlaut.symptoms(sight(learning_rate=rate)) == named


def test_bttackler_wants_gradients_between_its_limits():
    assert bttackler.symptoms(sight(gradients=[layer(size=2e4)])) == {V.LR_TOO_HIGH, V.BAD_INIT}
    assert bttackler.symptoms(sight(gradients=[layer(size=float("nan"))])) >= {V.LR_TOO_HIGH}
    assert bttackler.symptoms(sight(gradients=[layer(size=9e-6)])) == {V.VANISHING}
    assert bttackler.symptoms(sight(gradients=[layer(size=1e-3)])) == set()


def test_bttackler_calls_a_loss_that_stands_still_passive():
    assert bttackler.symptoms(sight(train_loss=[2.3] * 6)) == {V.LR_TOO_LOW, V.UNDERFIT}
    assert bttackler.symptoms(sight(train_loss=[2.3] * 5)) == set()


def test_losslint_sees_divergence_stagnation_and_overfitting():
    assert V.LR_TOO_HIGH in losslint.symptoms(sight(train_loss=[1.0, 0.5, 0.63]))
    assert losslint.symptoms(sight(loss=[1.0, float("nan")])) == {V.LR_TOO_HIGH}
    assert V.OVERFIT in losslint.symptoms(sight(val_loss=[0.5, 0.6, 0.7, 0.8]))
    assert V.PLATEAU_DECAY in losslint.symptoms(sight(train_loss=[1.0, 0.5, 0.4, 0.399]))
    assert losslint.symptoms(sight(train_loss=[1.0, 0.5, 0.4, 0.3])) == set()
