"""The output bias that knows the targets' frequencies or mean."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.training.losses import mse
from hpsearch.training.output_bias import set_output_bias


def test_a_classifier_starts_at_the_labels_entropy() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    nn.init.zeros_(model.weight)
    targets = torch.tensor([0] * 7 + [1] * 2 + [2])
    inputs = torch.randn(10, 4)
    set_output_bias(model, inputs, targets, functional.cross_entropy)
    entropy = -sum(p * math.log(p) for p in (0.7, 0.2, 0.1))
    with torch.no_grad():
        loss = float(functional.cross_entropy(model(inputs), targets))
    assert loss == pytest.approx(entropy, rel=1e-5)


def test_yes_no_labels_start_at_their_log_odds() -> None:
    model = nn.Linear(4, 2)
    targets = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 0.0]])
    set_output_bias(model, torch.zeros(4, 4), targets, functional.binary_cross_entropy_with_logits)
    assert model.bias[0].item() == pytest.approx(math.log(3), rel=1e-5)
    assert model.bias[1].item() < -10


def test_a_regression_starts_at_the_mean() -> None:
    model = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    set_output_bias(model, torch.zeros(3, 4), torch.tensor([1.0, 2.0, 6.0]), mse)
    assert model[0].bias.item() == 3.0


def test_a_layer_without_bias_is_left_alone() -> None:
    model = nn.Linear(4, 3, bias=False)
    set_output_bias(model, torch.zeros(3, 4), torch.tensor([0, 1, 2]), functional.cross_entropy)
    assert model.bias is None
