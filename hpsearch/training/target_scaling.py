"""A regression's targets standardized for training, while outputs, losses and metrics keep their units.

With targets far from 0, or far wider than 1, a net spends its training on their mean and size, and the learning
rates that suit every other problem are wrong by the square of their spread.
"""

# B batch, K outputs

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.errors import TrialError
from hpsearch.training.losses import Loss
from hpsearch.training.targets import are_labels


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of the training targets, each of the shape of one target."""

    mean: Tensor
    std: Tensor

    def standardized(self, values: Tensor) -> Tensor:
        """Targets or outputs (B, ...) with as many numbers each as a target has."""
        shape = values.shape[1:]
        return (values - self.mean.reshape(shape)) / self.std.reshape(shape)


def fit_target_scale(targets: Tensor) -> TargetScale:
    """Of targets (B) or (B, K), one number for each of K; constant ones keep std 1. Raises TrialError for classes."""
    if are_labels(targets):
        raise TrialError(
            "target_scaling standardizes the targets of a regression, and this task's are classes; remove target_scaling"
        )
    std, mean = torch.std_mean(targets, dim=0, correction=0)
    return TargetScale(mean, torch.where(std > 1e-6 * (1 + mean.abs()), std, torch.ones_like(std)))


class Rescaled(nn.Module):
    """A model that answers in standardized targets, its outputs brought back to the targets' units."""

    def __init__(self, model: nn.Module, scale: TargetScale) -> None:
        super().__init__()
        self.model = model
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", scale.mean)
        self.register_buffer("std", scale.std)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.model(inputs)
        if not isinstance(outputs, Tensor) or outputs[0].numel() != self.mean.numel():
            return outputs  # type: ignore[no-any-return]  # the loss says what is wrong with it
        shape = outputs.shape[1:]
        return self.mean.reshape(shape) + self.std.reshape(shape) * outputs


class StandardizedLoss:
    """A loss whose value is in the targets' units and whose gradient is that of standardized targets."""

    def __init__(self, loss: Loss, scale: TargetScale) -> None:
        self._loss = loss
        self._scale = scale

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        followed = self._loss(self._scale.standardized(outputs), self._scale.standardized(targets))
        with torch.no_grad():
            shown = self._loss(outputs, targets)
        return followed + (shown - followed.detach())
