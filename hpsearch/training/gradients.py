"""Loss and gradients of one batch, in the precision and the parts that are asked for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from hpsearch.errors import TrialError, unknown
from hpsearch.training.augmentation.mixing import MixedLoss, Targets
from hpsearch.training.evaluation import checked_scalar
from hpsearch.vocabulary import PRECISIONS


def arithmetic(precision: str, device: str) -> AbstractContextManager[object]:
    """Where a model is applied: `bfloat16` lets torch choose operations for it (autocast), weights, losses and
    gradients stay float32 (Micikevicius et al. 2018). Raises TrialError for an unknown name.
    """
    if precision == "float32":
        return nullcontext()
    if precision != "bfloat16":
        raise TrialError(unknown("precision", precision, PRECISIONS))
    return torch.autocast(device, dtype=torch.bfloat16)


class Gradients:
    """Computes batches in `parts`: less memory, and the same gradients up to rounding.

    Losses are means over samples, so a part counts by its share of the batch. Batch norm sees parts. `model` is
    one, or its compiled forward pass.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], loss: MixedLoss, precision: str, device: str, parts: int
    ) -> None:
        self._model = model
        self._loss = loss
        self._precision = precision
        self._device = device
        self._parts = parts

    def add(self, inputs: Tensor, targets: Targets) -> Tensor:
        """Add the batch's gradients to the parameters'; returns its loss."""
        if self._parts == 1:
            loss = self._loss_of(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        total = torch.zeros((), device=targets.device)
        parts: Sequence[Targets] = targets.chunk(self._parts)
        for some, wanted in zip(inputs.chunk(self._parts), parts, strict=True):
            loss = self._loss_of(some, wanted) * (len(wanted) / len(targets))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _loss_of(self, inputs: Tensor, targets: Targets) -> Tensor:
        if self._precision == "float32":
            return checked_scalar(self._loss(self._model(inputs), targets))
        with arithmetic(self._precision, self._device):
            outputs = self._model(inputs)
        return checked_scalar(self._loss(outputs.float(), targets))
