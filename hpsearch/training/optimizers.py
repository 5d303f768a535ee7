"""Optimizers by name."""

from typing import Any

import torch
from torch.optim import Optimizer

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.training.regularization import Groups
from hpsearch.vocabulary import OPTIMIZERS


def build_optimizer(groups: Groups, params: Params) -> Optimizer:
    """The optimizer named by `optimizer`. Weight decay acts on `groups.weights` alone.

    It is an L2 pull added to the gradient, except for adamw, where each step also takes lr * weight_decay * w.
    `momentum` acts on sgd, momentum and nesterov.
    """
    parameter_groups: list[dict[str, Any]] = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((groups.weights, float(params["weight_decay"])), (groups.others, 0.0))
        if group
    ]
    if not parameter_groups:
        raise TrialError("the model has no trainable parameters")
    name, rate = str(params["optimizer"]), float(params["learning_rate"])
    fused = _can_fuse(groups)
    match name:
        case "sgd" | "momentum" | "nesterov":
            momentum = float(params["momentum"])
            nesterov = momentum > 0 and (name == "nesterov" or bool(params["nesterov"]))
            return torch.optim.SGD(parameter_groups, rate, momentum=momentum, nesterov=nesterov, fused=fused)
        case "adagrad":
            return torch.optim.Adagrad(parameter_groups, rate)
        case "rmsprop":
            return torch.optim.RMSprop(parameter_groups, rate)
        case "adam":
            return torch.optim.Adam(parameter_groups, rate, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameter_groups, rate, fused=fused)
    raise TrialError(unknown("optimizer", name, OPTIMIZERS))


def _can_fuse(groups: Groups) -> bool:
    """Fused updates make a small step on a CPU a quarter faster; they take floating-point tensors only."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in groups.all)
