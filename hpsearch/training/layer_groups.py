"""A model's layers in order: which are frozen, and at what share of the learning rate the others learn."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import nn

from hpsearch.errors import TrialError
from hpsearch.space import Params

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
NAMES_SHOWN = 30


@dataclass(frozen=True)
class LayerGroup:
    """A part of a model that is frozen or slowed as a whole. The last one of a model is its head."""

    name: str
    module: nn.Module
    parameters: tuple[nn.Parameter, ...]


def layer_groups(model: nn.Module) -> list[LayerGroup]:
    """The parts that hold parameters, in the order in which the model registers them. A part is opened while it
    is a Sequential, a list or the whole, or holds more than half of all parameters: a resnet's groups are its
    stem, its blocks and its head. Parameters of an opened part's own go with the group behind them.
    """
    half = _size(model) / 2
    groups: list[LayerGroup] = []
    waiting: list[nn.Parameter] = []
    seen: set[int] = set()
    for name, module, is_opened in _parts("", model, half):
        parameters = [p for p in module.parameters(recurse=not is_opened) if id(p) not in seen]
        seen.update(id(parameter) for parameter in parameters)
        if is_opened:
            waiting += parameters
        elif parameters:
            groups.append(LayerGroup(name, module, (*waiting, *parameters)))
            waiting = []
    if waiting and groups:
        last = groups[-1]
        groups[-1] = LayerGroup(last.name, last.module, (*last.parameters, *waiting))
    return groups


def _parts(name: str, module: nn.Module, half: float) -> Iterator[tuple[str, nn.Module, bool]]:
    has_parts = next(module.children(), None) is not None
    is_opened = has_parts and (not name or isinstance(module, _CONTAINERS) or _size(module) > half)
    yield name, module, is_opened
    if is_opened:
        for part, child in module.named_children():
            yield from _parts(f"{name}.{part}" if name else part, child, half)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def freeze(model: nn.Module, count: int) -> None:
    """The first `count` groups keep their weights, -1: all but the head; their norms and dropout behave as in
    evaluation, whatever mode the model is in. Raises TrialError where nothing would be left to train.
    """
    if count == 0:
        return
    groups = layer_groups(model)
    if count >= len(groups):
        names = ", ".join(group.name for group in islice(groups, NAMES_SHOWN))
        raise TrialError(
            f"freeze_layers = {count} leaves nothing to train: the model has {len(groups)} layers, {names}",
            hint=f"set freeze_layers to at most {len(groups) - 1}, or to -1 for all but the head",
        )
    for group in groups[:count]:  # -1 leaves the last one, as it should
        for parameter in group.parameters:
            parameter.requires_grad_(False)
        group.module.register_forward_pre_hook(_evaluating)


def _evaluating(module: nn.Module, given: Any) -> None:
    if module.training:
        module.eval()


def rate_factors(model: nn.Module, params: Params) -> dict[nn.Parameter, float]:
    """What each parameter's learning rate is multiplied by; empty where all rates are the same.

    `layer_lr_decay` once for each group that lies between a group and the head (Howard & Ruder 2018, who use
    1 / 2.6); `backbone_lr_factor` for every group but the head.
    """
    decay, backbone = float(params["layer_lr_decay"]), float(params["backbone_lr_factor"])
    if decay == backbone == 1.0:
        return {}
    groups = layer_groups(model)
    head = len(groups) - 1
    return {
        parameter: decay ** (head - depth) * (backbone if depth < head else 1.0)
        for depth, group in enumerate(groups)
        for parameter in group.parameters
    }
