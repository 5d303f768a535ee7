"""Loss and metric of a model over a split, in evaluation mode and without gradients."""

# B batch, K classes

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.errors import TrialError
from hpsearch.training.batches import IMAGES_AT_ONCE, VECTORS_AT_ONCE, Samples, TensorSamples
from hpsearch.training.losses import Loss
from hpsearch.training.metrics import Metric, accuracy


@dataclass(frozen=True)
class Evaluation:
    """`accuracy` is that of class labels and None where targets are no classes."""

    loss: float
    metric: float
    accuracy: float | None


def evaluate(
    model: nn.Module, samples: Samples, indices: Tensor, loss: Loss, metric: Metric, batch_size: int
) -> Evaluation:
    """Loss and metric over the samples at `indices`, taken as a whole. Leaves the model in training mode."""
    model.eval()
    try:
        outputs, targets = outputs_of(model, samples, indices, batch_size)
        with torch.no_grad():
            value = float(loss(outputs, targets))
            measured = float(metric.measure(outputs, targets))
            if metric.measure is accuracy:
                return Evaluation(value, measured, measured)
            right = None if targets.is_floating_point() else accuracy(outputs, targets)
            return Evaluation(value, measured, right)
    finally:
        model.train()


def outputs_of(model: nn.Module, samples: Samples, indices: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """(outputs, targets) of the samples at `indices`, in the model's present mode, without gradients."""
    size = _batch(samples, batch_size)
    outputs: list[Tensor] = []
    targets: list[Tensor] = []
    with torch.no_grad():
        if len(indices) <= size:
            inputs, wanted = samples.take(indices)
            return _widened(checked(model(inputs))), wanted
        for inputs, wanted in samples.batches(indices, size):
            outputs.append(_widened(checked(model(inputs))))
            targets.append(wanted)
    return torch.cat(outputs), torch.cat(targets)


def _batch(samples: Samples, batch_size: int) -> int:
    """How many to evaluate at once. Without gradients twice a training batch always fits; of images, where a
    small batch may be all that memory takes, at most eight training batches.
    """
    if isinstance(samples, TensorSamples) and samples.inputs.ndim <= 2:
        return max(2 * batch_size, VECTORS_AT_ONCE)
    return max(2 * batch_size, min(8 * batch_size, IMAGES_AT_ONCE))


def _widened(outputs: Tensor) -> Tensor:
    """bfloat16 outputs as float32: losses and metrics are taken there."""
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs


def checked(outputs: object) -> Tensor:
    """A model's outputs. Raises TrialError where they aren't one tensor."""
    if not isinstance(outputs, Tensor):
        raise TrialError(f"the model must return one tensor of outputs, not a {type(outputs).__name__}")
    return outputs


def checked_scalar(loss: object) -> Tensor:
    """A loss. Raises TrialError where it isn't a tensor with a single number."""
    if not isinstance(loss, Tensor):
        raise TrialError(f"the loss must return a tensor, not a {type(loss).__name__}")
    if loss.ndim != 0:
        raise TrialError(f"the loss must be a single number, not a tensor of shape {tuple(loss.shape)}")
    return loss


def zero_output_loss(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
    """The user's own loss where every output is zero: what a model that knows nothing scores."""
    with torch.no_grad():
        return float(loss(torch.zeros_like(checked(model(inputs))), targets))
