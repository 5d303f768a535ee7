"""A constant that someone forgot in a loss, told from losses that are no common one at all."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.training.loss_factor import loss_factor
from hpsearch.training.losses import Loss

CLASSES = torch.arange(64) % 10
YES_NO = (torch.arange(64) % 2).float()
VALUES = torch.linspace(-1, 1, 64)


def halved_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(outputs.flatten(), targets) / 2


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, targets, weight=torch.linspace(1, 3, 10))


def twice_soft(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs.softmax(1), targets)


def of_probabilities(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy(outputs, targets)  # raises for outputs beyond 0 and 1


@pytest.mark.parametrize("factor", [1.0, 1e-3, -1.0, 40.0])
@pytest.mark.parametrize(
    ("loss", "shape", "targets"),
    [
        (functional.cross_entropy, (64, 10), CLASSES),
        (functional.nll_loss, (64, 10), CLASSES),
        (functional.binary_cross_entropy_with_logits, (64,), YES_NO),
        (functional.mse_loss, (64,), VALUES),
        (functional.l1_loss, (64,), VALUES),
    ],
)
def test_the_constant_is_found(loss: Loss, shape: tuple[int, ...], targets: Tensor, factor: float) -> None:
    found = loss_factor(lambda outputs, wanted: factor * loss(outputs, wanted), torch.zeros(shape), targets)
    assert found == pytest.approx(factor, rel=1e-4)


def test_half_a_squared_error_is_half_of_one() -> None:
    assert loss_factor(halved_mse, torch.zeros(64, 1), VALUES) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "shape", "targets"),
    [
        (weighted, (64, 10), CLASSES),
        (twice_soft, (64, 10), CLASSES),
        (functional.huber_loss, (64,), VALUES),
        (of_probabilities, (64,), YES_NO),
        (lambda outputs, _: outputs.sum() * 0, (64,), VALUES),
    ],
)
def test_another_loss_has_none(loss: Loss, shape: tuple[int, ...], targets: Tensor) -> None:
    assert math.isnan(loss_factor(loss, torch.zeros(shape), targets))
