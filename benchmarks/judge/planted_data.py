"""Faults in a task's data. Each is a part of a class: `type(name, (TimesTooLarge, DigitsMlp), {})`."""

# N samples

from typing import ClassVar

import torch
from torch import Tensor

from benchmarks.judge.subject import Subject
from hpsearch.space import Params
from hpsearch.training import Data


class InputsTimes(Subject):
    """Scaled inputs multiplied, in training and validation alike: pixels that were never divided by 255."""

    factor: ClassVar[float] = 255.0

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return super().scaled(inputs, train) * self.factor


class InputsOffset(Subject):
    """A constant added to all scaled inputs: data that were never centered."""

    offset: ClassVar[float] = 30.0

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return super().scaled(inputs, train) + self.offset


class RawInputs(Subject):
    """Inputs as the file has them."""

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return inputs


class OneLargeFeature(Subject):
    """One feature in other units than the rest: metres among kilometres."""

    factor: ClassVar[float] = 1000.0

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        found = super().scaled(inputs, train).clone()
        found[..., 0] *= self.factor
        return found


class RawTargets(Subject):
    """A regression's targets in their own units, far from 0."""

    scale: ClassVar[float] = 50.0
    offset: ClassVar[float] = 300.0

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = super().samples(seed)
        return inputs, targets * self.scale + self.offset


class RawValidation(Subject):
    """Validation inputs without the scaling that training inputs get."""

    def scaled_validation(self, inputs: Tensor, train: Tensor) -> Tensor:
        return inputs


class ValidationScaledTwice(Subject):
    """Validation inputs that went through the scaling twice."""

    def scaled_validation(self, inputs: Tensor, train: Tensor) -> Tensor:
        return self.scaled(self.scaled(inputs, train), train)


class ValidationTimes(Subject):
    """Validation inputs in another range than training's: 0 to 255 beside 0 to 1."""

    factor: ClassVar[float] = 255.0

    def scaled_validation(self, inputs: Tensor, train: Tensor) -> Tensor:
        return self.scaled(inputs, train) * self.factor


class ShuffledLabels(Subject):
    """Training targets in another order than their inputs."""

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        inputs, targets = _tensors(data.train)
        order_N = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed + 1))
        return Data(train=(inputs, targets[order_N]), validation=data.validation)


class SomeLabelsWrong(Subject):
    """A share of the training targets exchanged among each other; validation is clean."""

    share: ClassVar[float] = 0.4

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        inputs, targets = _tensors(data.train)
        generator = torch.Generator().manual_seed(seed + 1)
        chosen = torch.randperm(len(targets), generator=generator)[: round(self.share * len(targets))]
        noisy = targets.clone()
        noisy[chosen] = targets[chosen[torch.randperm(len(chosen), generator=generator)]]
        return Data(train=(inputs, noisy), validation=data.validation)


class OtherClassNumbers(Subject):
    """Validation counts its classes from another one than training does."""

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        inputs, targets = _tensors(data.validation)
        return Data(train=data.train, validation=(inputs, (targets + 1) % self.outputs))


class FewSamples(Subject):
    """Only the first few training samples."""

    count: ClassVar[int] = 60

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        inputs, targets = _tensors(data.train)
        return Data(train=(inputs[: self.count], targets[: self.count]), validation=data.validation)


class SortedByTarget(Subject):
    """Training samples in the order of their targets; with `shuffle` off a minibatch holds one class."""

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        inputs, targets = _tensors(data.train)
        key_N = targets if targets.ndim == 1 else targets[:, 0]
        order_N = key_N.argsort(stable=True)
        return Data(train=(inputs[order_N], targets[order_N]), validation=data.validation)


def _tensors(split: object) -> tuple[Tensor, Tensor]:
    assert isinstance(split, tuple)
    return split
