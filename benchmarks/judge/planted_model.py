"""Faults in a task's model: initial weights, units that can't learn, too little capacity, evaluation."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.judge.models import mlp
from benchmarks.judge.subject import Subject
from hpsearch.space import Params

ACTIVATION_MODULES = (nn.ReLU, nn.Tanh, nn.ELU, nn.GELU, nn.Sigmoid)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def layers_of(model: nn.Module) -> list[nn.Linear | nn.Conv1d | nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, LAYERS)]


class LastLayerTimes(Subject):
    """The output layer's initial weights multiplied."""

    factor: ClassVar[float] = 10.0

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        with torch.no_grad():
            layers_of(model)[-1].weight.mul_(self.factor)
        return model


class WeightsOfStd(Subject):
    """Every initial weight from one normal distribution, whatever the layer's size."""

    std: ClassVar[float] = 1.0

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=self.std)
        return model


class WeightsTimes(Subject):
    """Every initial parameter multiplied; by 0: a model of zeros."""

    factor: ClassVar[float] = 0.01

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(self.factor)
        return model


class HiddenBias(Subject):
    """Hidden units that start far below 0: none of a ReLU's ever fires."""

    bias: ClassVar[float] = -20.0

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        for layer in layers_of(model)[:-1]:
            assert layer.bias is not None
            nn.init.constant_(layer.bias, self.bias)
        return model


class DeepSigmoid(Subject):
    """A deep stack of sigmoids in the model's place."""

    depth: ClassVar[int] = 8

    def model(self, params: Params) -> nn.Module:
        return _shaped(self, mlp([self.features, *[32] * self.depth, self.outputs], "sigmoid"))


class Linear(Subject):
    """No hidden layer at all."""

    def model(self, params: Params) -> nn.Module:
        return _shaped(self, mlp([self.features, self.outputs]))


class NarrowHidden(Subject):
    """So few hidden units that the data can't get through, written down in the model."""

    units: ClassVar[int] = 2

    def model(self, params: Params) -> nn.Module:
        return _shaped(self, mlp([self.features, self.units, self.outputs], "tanh"))


class FrozenHidden(Subject):
    """Hidden layers that were shrunk and then left out of training: only the output layer learns."""

    factor: ClassVar[float] = 0.03

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        with torch.no_grad():
            for layer in layers_of(model)[:-1]:
                layer.weight.mul_(self.factor)
                layer.requires_grad_(False)
        return model


class AlwaysDropping(nn.Module):
    """`functional.dropout` as it is by default: on in evaluation too."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.dropout(inputs, self.share)


class DropoutInEvaluation(Subject):
    """Dropout behind every activation that never goes off."""

    share: ClassVar[float] = 0.5

    def model(self, params: Params) -> nn.Module:
        return _behind(super().model(params), ACTIVATION_MODULES, lambda _: AlwaysDropping(self.share))


class StaleStatistics(Subject):
    """Batch norm whose running statistics hardly move, so evaluation normalizes by those of the start."""

    momentum: ClassVar[float] = 1e-4

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        last = layers_of(model)[-1]
        return _behind(model, LAYERS, lambda layer: None if layer is last else self._norm(layer))

    def _norm(self, layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.Linear):
            return nn.BatchNorm1d(layer.out_features, momentum=self.momentum)
        assert isinstance(layer, nn.Conv1d | nn.Conv2d)
        kind = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
        return kind(layer.out_channels, momentum=self.momentum)


def _behind(
    model: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module | None]
) -> nn.Module:
    """The model with what `make` makes put behind each module of these kinds."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            added = make(child) if isinstance(child, kinds) else None
            if added is not None:
                setattr(parent, name, nn.Sequential(child, added))
    return model


def _shaped(subject: Subject, model: nn.Sequential) -> nn.Module:
    """Outputs as the subject's own model has them: a vector where it has one output."""
    return nn.Sequential(model, nn.Flatten(0)) if subject.outputs == 1 else model
