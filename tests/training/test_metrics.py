import pytest
import torch
from torch import Tensor

from hpsearch.errors import TrialError
from hpsearch.training.metrics import build_metric, own_metric
from hpsearch.training.task import Task
from hpsearch.vocabulary import METRICS


def test_every_metric_of_the_vocabulary_is_here() -> None:
    assert [build_metric(name).name for name in METRICS] == list(METRICS)


def test_accuracy_counts_right_classes() -> None:
    outputs = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    assert build_metric("accuracy").measure(outputs, torch.tensor([0, 1, 0, 1])) == 0.5


def test_accuracy_of_one_output_is_its_sign() -> None:
    outputs, targets = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([1.0, 0.0, 0.0])
    assert build_metric("accuracy").measure(outputs, targets) == pytest.approx(2 / 3)


def test_perfect_accuracy_is_exactly_one_on_large_splits() -> None:
    labels = torch.zeros(20_000_001, dtype=torch.int64)
    assert build_metric("accuracy").measure(torch.full((20_000_001, 1), -1.0), labels) == 1.0


def test_balanced_accuracy_weighs_classes_alike() -> None:
    targets = torch.tensor([0] * 9 + [1])
    outputs = torch.tensor([[1.0, 0.0]] * 10)
    assert build_metric("accuracy").measure(outputs, targets) == 0.9
    assert build_metric("balanced_accuracy").measure(outputs, targets) == 0.5


def test_multilabel_accuracy_counts_single_entries() -> None:
    outputs = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert build_metric("multilabel_accuracy").measure(outputs, targets) == pytest.approx(5 / 6)


def test_errors_are_means() -> None:
    outputs, targets = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0])
    assert build_metric("mse").measure(outputs, targets) == 5.0
    assert build_metric("mae").measure(outputs, targets) == 2.0


def share_above_half(outputs: Tensor, targets: Tensor) -> float:
    return float((outputs > 0.5).float().mean())


class WithFunction(Task):
    metric = share_above_half


class WithStaticMethod(Task):
    @staticmethod
    def metric(outputs: Tensor, targets: Tensor) -> float:
        return 1.5


def test_a_function_as_metric_keeps_its_name_and_is_not_bound() -> None:
    metric = own_metric(WithFunction())
    assert metric.name == "share_above_half"
    assert metric.measure(torch.tensor([0.0, 1.0]), torch.zeros(2)) == 0.5
    assert own_metric(WithStaticMethod()).measure(torch.zeros(1), torch.zeros(1)) == 1.5


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(TrialError, match="did you mean 'accuracy'"):
        build_metric("acuracy")
