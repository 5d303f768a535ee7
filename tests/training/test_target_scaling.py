"""Targets standardized for training, results in their own units."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.errors import TrialError
from hpsearch.training.target_scaling import Rescaled, StandardizedLoss, fit_target_scale

TARGETS_63 = (
    torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 0.1, 1.0]) + 40
)


def test_each_target_column_gets_mean_zero_and_deviation_one() -> None:
    scale = fit_target_scale(TARGETS_63)
    found = scale.standardized(TARGETS_63)
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_a_constant_target_keeps_its_scale() -> None:
    assert float(fit_target_scale(torch.full((5,), 3.0)).std) == 1


@pytest.mark.parametrize("targets", [torch.tensor([0, 1, 2]), torch.tensor([0.0, 1.0, 1.0])])
def test_classes_are_refused(targets: Tensor) -> None:
    with pytest.raises(TrialError, match="remove target_scaling"):
        fit_target_scale(targets)


def test_outputs_of_one_column_and_of_none_are_both_rescaled() -> None:
    scale = fit_target_scale(torch.tensor([1.0, 5.0]))
    flat = Rescaled(nn.Flatten(0), scale)
    column = Rescaled(nn.Identity(), scale)
    assert flat(torch.tensor([[0.0], [1.0]])).tolist() == [3, 5]
    assert column(torch.tensor([[0.0], [1.0]])).tolist() == [[3], [5]]


def test_the_loss_is_shown_in_the_targets_units_and_followed_in_standard_ones() -> None:
    scale = fit_target_scale(TARGETS_63)
    z_63 = torch.randn(6, 3, requires_grad=True)
    outputs = scale.mean + scale.std * z_63
    loss = StandardizedLoss(functional.huber_loss, scale)(outputs, TARGETS_63)
    assert loss.item() == pytest.approx(functional.huber_loss(outputs, TARGETS_63).item())
    loss.backward()  # type: ignore[no-untyped-call]
    again_63 = z_63.detach().clone().requires_grad_()
    functional.huber_loss(again_63, scale.standardized(TARGETS_63)).backward()  # type: ignore[no-untyped-call]
    assert again_63.grad is not None
    torch.testing.assert_close(z_63.grad, again_63.grad, atol=1e-4, rtol=1e-3)
