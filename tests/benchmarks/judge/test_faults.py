"""Planted faults change what they say, and nothing of a healthy task beside it."""

import torch

from benchmarks.judge import faults
from benchmarks.judge.cases import Case
from benchmarks.judge.development import CANCER, DIGITS, FRIEDMAN, development
from benchmarks.judge.holdout import holdout
from benchmarks.judge.planted_model import layers_of
from benchmarks.judge.run import train
from hpsearch.vocabulary import Knob, hyperparameters

SHORT = {"epochs": 1}


def full(case):
    knobs = {name: Knob.parse(words) for name, words in case.task().knobs.items()}
    return hyperparameters(knobs, case.task().defaults, case.params)


def data_of(case, seed=1):
    return case.task().data(full(case), seed)


def test_shuffled_labels_keep_inputs_and_validation():
    healthy, faulty = data_of(Case(DIGITS, "easy")), data_of(Case(DIGITS, "fault", faults.shuffled_labels()))
    assert torch.equal(healthy.train[0], faulty.train[0])
    assert torch.equal(healthy.validation[1], faulty.validation[1])
    assert torch.equal(healthy.train[1].bincount(), faulty.train[1].bincount())
    assert (healthy.train[1] != faulty.train[1]).float().mean() > 0.8


def test_raw_validation_leaves_training_inputs_scaled():
    data = data_of(Case(CANCER, "fault", faults.RAW_VALIDATION))
    assert abs(float(data.train[0].mean())) < 0.01
    assert float(data.validation[0].mean()) > 10


def test_sum_reduction_doubles_with_the_batch_and_sign_flip_negates():
    outputs, targets = torch.randn(8), torch.rand(8).round()
    params = full(Case(CANCER, "easy"))
    mean = CANCER.kind().loss(params)(outputs, targets)
    summed = Case(CANCER, "fault", faults.SUM_REDUCTION).task().loss(params)(outputs, targets)
    flipped = Case(CANCER, "fault", faults.SIGN_FLIP).task().loss(params)(outputs, targets)
    assert torch.isclose(summed, 8 * mean)
    assert torch.isclose(flipped, -mean)


def test_a_hot_output_layer_is_the_only_one_that_changes():
    case = Case(FRIEDMAN, "fault", faults.last_layer(10))
    torch.manual_seed(0)
    healthy = layers_of(FRIEDMAN.kind().model(full(case)))
    torch.manual_seed(0)
    faulty = layers_of(case.task().model(full(case)))
    assert torch.equal(healthy[0].weight, faulty[0].weight)
    assert torch.allclose(10 * healthy[-1].weight, faulty[-1].weight)


def test_only_a_changed_loss_counts_as_another_loss():
    assert faults.DOUBLE_SOFTMAX.changes_loss
    assert faults.both(faults.RAW_VALIDATION, faults.SIGN_FLIP).changes_loss
    assert not faults.RAW_VALIDATION.changes_loss


def test_being_watched_changes_no_number():
    case = Case(DIGITS, "easy")
    first, again = (
        train(case.task(), {**case.params, **SHORT}, 3),
        train(case.task(), {**case.params, **SHORT}, 3),
    )
    assert first.curves["loss"] == again.curves["loss"]
    assert len(first.gradients) == 2
    assert len(first.gradients[0].norm) == 2  # 18 steps, a look at every tenth


def test_every_planted_class_builds_its_task():
    cases = (*development().cases, *holdout().cases)
    distinct = {(case.twin.kind, case.fault and case.fault.name): case for case in cases if parts_of(case)}
    for case in distinct.values():
        params = full(case)
        data, model = case.task().data(params, 1), case.task().model(params)
        inputs, targets = data.train[0][:4], data.train[1][:4]
        assert case.task().loss(params)(model(inputs), targets).ndim == 0
        assert len(data.validation[1]) == case.task().validation_size


def parts_of(case):
    return case.fault is None or case.fault.parts
