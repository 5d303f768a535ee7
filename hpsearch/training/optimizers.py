"""Optimizers by name."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.training.regularization import Groups
from hpsearch.vocabulary import LR_SCALINGS, OPTIMIZERS


def build_optimizer(groups: Groups, params: Params) -> Optimizer:
    """The optimizer named by `optimizer`. Weight decay acts on `groups.decaying` alone. Each of its groups keeps
    the `factor` by which its learning rate differs from the others'.

    It is an L2 pull added to the gradient, except for adamw, where each step also takes lr * weight_decay * w.
    `momentum` acts on sgd, momentum and nesterov.
    """
    name, rate = str(params["optimizer"]), float(params["learning_rate"])
    parameter_groups = _parameter_groups(groups, float(params["weight_decay"]), rate)
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
            return torch.optim.AdamW(parameter_groups, rate, weight_decay=0.0, fused=fused)
    raise TrialError(unknown("optimizer", name, OPTIMIZERS))


def _parameter_groups(groups: Groups, decay: float, rate: float) -> list[dict[str, Any]]:
    """As few groups as decays and factors need: each costs a launch of its own."""
    if not groups.all:
        raise TrialError("the model has no trainable parameters")
    pulled = {id(parameter) for parameter in groups.decaying} if decay > 0 else set()
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in groups.all:
        key = (groups.factors.get(parameter, 1.0), decay if id(parameter) in pulled else 0.0)
        found.setdefault(key, []).append(parameter)
    return [
        {"params": some, "lr": rate * factor, "factor": factor, "weight_decay": share}
        for (factor, share), some in found.items()
    ]


def scaled_rate(params: Params, batch_size: int) -> float:
    """`learning_rate` for batches of this size: times B / base (linear: Goyal et al. 2017) or its square root
    (Krizhevsky 2014), where base is `base_batch_size`. Raises TrialError for an unknown `lr_scaling`.
    """
    rate, ratio = float(params["learning_rate"]), batch_size / int(params["base_batch_size"])
    match str(params["lr_scaling"]):
        case "none":
            return rate
        case "linear":
            return rate * ratio
        case "sqrt":
            return rate * math.sqrt(ratio)
        case name:
            raise TrialError(unknown("lr_scaling", name, LR_SCALINGS))


def _can_fuse(groups: Groups) -> bool:
    """Fused updates make a small step on a CPU a quarter faster; they take floating-point tensors only."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in groups.all)
