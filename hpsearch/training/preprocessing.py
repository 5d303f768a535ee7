"""Preprocessing of inputs, with statistics from the training split alone."""

# B samples, F features

from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.errors import TrialError, unknown
from hpsearch.vocabulary import PREPROCESSINGS


@dataclass(frozen=True)
class Preprocessing:
    """(x - mean) / std, both of a shape that broadcasts over a batch."""

    mean: Tensor
    std: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean).div_(self.std)  # one copy: CIFAR takes 550 MB

    def undo(self, inputs: Tensor) -> Tensor:
        """What these inputs were before."""
        return torch.addcmul(self.mean, inputs, self.std)


def fit_preprocessing(name: str, inputs: Tensor) -> Preprocessing | None:
    """Statistics of `inputs` (B, F) per feature, of images (B, C, H, W) per channel; constant features keep
    std 1. None where there is nothing to do: `none`, or inputs that are not numbers to scale (token ids).
    """
    if name not in PREPROCESSINGS:
        raise TrialError(unknown("preprocessing", name, PREPROCESSINGS))
    if name == "none" or not inputs.is_floating_point():
        return None
    dims = [0, *range(2, inputs.ndim)]
    std, mean = torch.std_mean(inputs, dim=dims, correction=0, keepdim=True)
    std = torch.where(std > 1e-6 * (1 + mean.abs()), std, torch.ones_like(std))
    return Preprocessing(mean, std if name == "standardized" else torch.ones_like(std))
