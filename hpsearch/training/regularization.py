"""Weight decay and L1. Biases and norm scales are not pulled unless `decay_biases` asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hpsearch.space import Params

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True)
class Groups:
    """A model's trainable parameters: `weights` decay, `others` (biases, norm scales) only where asked.

    `factors` multiply the learning rate, 1 for what they don't name.
    """

    weights: list[nn.Parameter]
    others: list[nn.Parameter]
    decay_others: bool = False
    factors: Mapping[nn.Parameter, float] = field(default_factory=dict)

    @property
    def decaying(self) -> list[nn.Parameter]:
        """What weight decay and L1 pull."""
        return self.all if self.decay_others else self.weights

    @property
    def all(self) -> list[nn.Parameter]:
        return self.weights + self.others


def parameter_groups(
    model: nn.Module, *, decay_biases: bool = False, factors: Mapping[nn.Parameter, float] | None = None
) -> Groups:
    """Weights are parameters of two or more dimensions that belong to no norm layer and are no bias."""
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    groups = Groups([], [], decay_biases, factors or {})
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_scale = "bias" in name.rpartition(".")[2] or "layer_scale" in name
        decays = parameter.ndim >= 2 and id(parameter) not in norm_parameters and not is_scale
        (groups.weights if decays else groups.others).append(parameter)
    return groups


def add_l1(weights: Sequence[nn.Parameter], strength: float) -> None:
    """Add the subgradient of strength * sum |w| to the gradients, in place."""
    pairs = [(parameter.grad, parameter.detach()) for parameter in weights if parameter.grad is not None]
    if pairs:
        gradients, values = zip(*pairs, strict=True)
        torch._foreach_add_(gradients, torch._foreach_sign(values), alpha=strength)


def penalty(weights: Sequence[Tensor], params: Params) -> float:
    """What weight decay and L1 would add to the loss: wd / 2 * sum w^2 + l1 * sum |w|."""
    decay, l1 = float(params["weight_decay"]), float(params["l1"])
    squares = sum(float(w.detach().double().square().sum()) for w in weights)
    absolutes = sum(float(w.detach().double().abs().sum()) for w in weights) if l1 else 0.0
    return decay / 2 * squares + l1 * absolutes


def decay_in_update(params: Params, step: int) -> float | None:
    """The factor c of the part c * lr * weight_decay * w of update number `step` that decay caused.

    Exact up to the drift of w: momentum m has summed decay's last pulls, (1 - m^t) / (1 - m) of them. None
    where the optimizer's own scaling (Adam and its relatives with L2) mixes decay and gradient.
    """
    optimizer, momentum = str(params["optimizer"]), float(params["momentum"])
    match optimizer:
        case "adamw":
            return 1.0
        case "sgd" | "momentum" | "nesterov":
            nesterov = optimizer == "nesterov" or bool(params["nesterov"])
            pulls = step + 1 if nesterov and momentum > 0 else step
            return (1 - momentum**pulls) / (1 - momentum)
        case _:
            return None
