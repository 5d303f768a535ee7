"""Labels held against inputs by nearest neighbours: shuffled, renumbered, sorted, noisy."""

import math

import pytest
import torch
from torch import Tensor, nn

from hpsearch.records import Program
from hpsearch.space import Params
from hpsearch.training import Data, Task
from hpsearch.training.label_signal import label_signal
from hpsearch.training.prepared import prepare
from hpsearch.training.seeds import Seeds
from hpsearch.vocabulary import hyperparameters

Split = tuple[Tensor, Tensor]


def clusters(count: int, seed: int) -> Split:
    y = torch.arange(count) % 3
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) * 0.4
    return x + nn.functional.one_hot(y, 4) * 2, y


def measured(train: Split, validation: Split, metric: str = "accuracy") -> dict[str, float]:
    class Given(Task):
        def data(self, params: Params, seed: int) -> Data:
            return Data(train, validation)

        def model(self, params: Params) -> nn.Module:
            return nn.Linear(4, 3)

    Given.metric = metric
    params = hyperparameters({}, {"preprocessing": "none", "batch_size": 8})
    return label_signal(prepare(Given(), params, Program(kind="check"), Seeds(0, 0), "cpu"))


def test_clean_labels_agree_within_and_across_the_splits() -> None:
    found = measured(clusters(600, 1), clusters(200, 2))
    assert min(found["train_signal"], found["val_signal"], found["cross_signal"]) > 0.9


def test_shuffled_training_labels_agree_with_nothing() -> None:
    x, y = clusters(600, 1)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    found = measured((x, y[order]), clusters(200, 2))
    assert abs(found["train_signal"]) < 0.2
    assert found["val_signal"] > 0.9


def test_a_few_training_labels_are_held_against_validation_neighbours() -> None:
    x, y = clusters(40, 1)
    x[:, :3] += torch.randn(40, 3, generator=torch.Generator().manual_seed(2)) * 0.6
    clean, wrong = y.clone(), y.clone()
    wrong[:16] = (wrong[:16] + 1) % 3
    assert measured((x, clean), clusters(400, 2))["train_signal"] > 0.7
    assert measured((x, wrong), clusters(400, 2))["train_signal"] < 0.5


def test_other_class_numbers_in_validation_agree_only_within() -> None:
    x, y = clusters(200, 2)
    found = measured(clusters(600, 1), (x, (y + 1) % 3))
    assert found["cross_signal"] < 0
    assert min(found["train_signal"], found["val_signal"]) > 0.9


def test_a_regression_and_yes_no_labels_are_measured_alike() -> None:
    (x, _), (u, _) = clusters(600, 1), clusters(200, 2)
    assert measured((x, x[:, :1]), (u, u[:, :1]), "mse")["val_signal"] > 0.8
    yes, no = (x[:, :2] > 1).float(), (u[:, :2] > 1).float()
    assert measured((x, yes), (u, no), "multilabel_accuracy")["train_signal"] > 0.8


def test_sorted_labels_follow_each_other() -> None:
    x, y = clusters(600, 1)
    order = y.argsort(stable=True)
    assert measured((x[order], y[order]), clusters(200, 2))["label_order"] > 0.9
    mixed = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    assert abs(measured((x[mixed], y[mixed]), clusters(200, 2))["label_order"]) < 0.2


def test_too_few_samples_say_nothing() -> None:
    found = measured(clusters(30, 1), clusters(9, 2))
    assert math.isnan(found["val_signal"])


@pytest.mark.parametrize("width", [1, 5_000])
def test_inputs_of_any_width_are_compared(width: int) -> None:
    x, y = clusters(100, 1)
    wide = x[:, :1].repeat(1, width) if width > 1 else x[:, 0]
    assert math.isfinite(measured((wide, y), (wide, y))["cross_signal"])


def test_the_rest_of_a_split_counts_no_set_of_its_own() -> None:
    """320 training samples beside 150: two whole sets and 20 samples, whose neighbours lie far away."""
    found = measured(noisy_values(320, 1), noisy_values(150, 2), "mse")
    assert found["train_signal"] == pytest.approx(found["val_signal"], abs=0.12)


def noisy_values(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return x, (x[:, 0] + x[:, 1].abs() + 0.5 * torch.randn(count, generator=generator))[:, None]
