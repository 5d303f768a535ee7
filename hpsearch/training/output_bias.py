"""The output bias that knows the targets' frequencies or mean, and nothing of the inputs."""

# B batch, K outputs

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.training.initialization import weight_layers
from hpsearch.training.losses import Loss

RARE = 1e-6


def constant_outputs(outputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Outputs, of shape (1, ...), that are the same for every sample: zeros, the targets' mean, and where
    that is a share, its logarithm (for cross-entropy) and its log-odds (for binary cross-entropy).
    """
    found = [torch.zeros_like(outputs[:1])]
    mean = _mean_target(outputs, targets)
    if mean is None:
        return found
    found.append(mean)
    if bool(((mean >= 0) & (mean <= 1)).all()):
        share = mean.clamp(RARE, 1 - RARE)
        found += [share.log(), (share / (1 - share)).log()]
    return found


def _mean_target(outputs: Tensor, targets: Tensor) -> Tensor | None:
    """The mean target, in the shape of one output; class labels as shares. None where none fits."""
    if targets.is_floating_point() or outputs.shape == targets.shape or outputs[0].numel() == 1:
        if outputs.numel() != targets.numel():
            return None
        return targets.reshape(outputs.shape).to(outputs.dtype).mean(0, keepdim=True)
    if outputs.ndim != 2 or targets.ndim != 1 or int(targets.max()) >= outputs.shape[1]:
        return None
    return functional.one_hot(targets.long(), outputs.shape[1]).to(outputs.dtype).mean(0, keepdim=True)


def set_output_bias(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> None:
    """Set the output layer's bias to the constant output of the lowest loss on (inputs, targets), in place.

    Karpathy's recipe: a net that starts at the base rate need not learn it. A model whose last layer has no
    bias, or another number of outputs, is left as it is.
    """
    layers = list(weight_layers(model))
    bias = layers[-1].bias if layers else None
    was_training = model.training
    with torch.no_grad():
        outputs = model.eval()(inputs)
        model.train(was_training)
        if bias is None or bias.numel() != outputs[0].numel():
            return
        constants = constant_outputs(outputs, targets)
        best = min(constants, key=lambda c: float(loss(c.expand_as(outputs).contiguous(), targets)))
        bias.copy_(best.reshape(bias.shape))
