"""Is a loss a common one times a constant? With plain SGD the constant multiplies the learning rate."""

import math
import statistics
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.errors import TrialError
from hpsearch.training import losses
from hpsearch.training.losses import Loss

SPREADS = (0.5, 1.0, 3.0)  # of drawn outputs: two losses that agree on all of them are the same
SAME = 1e-3  # relative difference of their ratios
COMMON: tuple[Loss, ...] = (
    functional.cross_entropy,
    losses.binary_cross_entropy,
    losses.mse,
    losses.mae,
    losses.multiclass_hinge,
)


@torch.no_grad()
def loss_factor(loss: Loss, outputs: Tensor, targets: Tensor) -> float:
    """The constant c with loss = c * a common mean loss, on drawn outputs of the shape of `outputs`: 1 for the
    common losses themselves, NaN for any other loss.
    """
    drawn = list(_drawn(outputs))
    for common in COMMON:
        ratios = [_value(loss, guess, targets) / _value(common, guess, targets) for guess in drawn]
        if all(math.isfinite(ratio) for ratio in ratios) and _alike(ratios):
            # As it was written, without what float32 adds to its last digits.
            return float(f"{statistics.fmean(ratios):.6g}")
    return math.nan


def _drawn(outputs: Tensor) -> Iterator[Tensor]:
    """Log-probabilities where a row is one sample's classes: nll_loss wants them, cross-entropy takes them too."""
    generator = torch.Generator().manual_seed(0)
    for spread in SPREADS:
        guess = spread * torch.randn(outputs.shape, generator=generator).to(outputs)
        yield guess.log_softmax(1) if guess.ndim > 1 and guess.shape[1] > 1 else guess


def _value(loss: Loss, outputs: Tensor, targets: Tensor) -> float:
    """NaN where the loss doesn't take such outputs or targets, and where it is zero."""
    try:
        return float(loss(outputs, targets)) or math.nan
    except (TrialError, RuntimeError, IndexError, ValueError, AssertionError):
        return math.nan


def _alike(ratios: list[float]) -> bool:
    return max(ratios) - min(ratios) <= SAME * abs(ratios[0])
