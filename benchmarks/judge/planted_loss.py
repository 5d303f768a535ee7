"""Faults in a task's loss."""

from typing import ClassVar

from benchmarks.judge.subject import Subject
from hpsearch.space import Params
from hpsearch.training.losses import Loss


class Squashed(Subject):
    """Probabilities given to a loss that wants logits: softmax, or a sigmoid, twice."""

    def loss(self, params: Params) -> Loss:
        loss, several = super().loss(params), self.metric == "accuracy" and self.outputs > 1
        return lambda outputs, targets: loss(outputs.softmax(1) if several else outputs.sigmoid(), targets)


class SummedLoss(Subject):
    """Summed over the minibatch, where the learning rate is meant for a mean."""

    def loss(self, params: Params) -> Loss:
        loss = super().loss(params)
        return lambda outputs, targets: loss(outputs, targets) * len(outputs)


class FlippedSign(Subject):
    """The negative of the loss is minimized."""

    def loss(self, params: Params) -> Loss:
        loss = super().loss(params)
        return lambda outputs, targets: -loss(outputs, targets)


class ScaledLoss(Subject):
    """Multiplied by a constant that someone forgot."""

    factor: ClassVar[float] = 1e-3

    def loss(self, params: Params) -> Loss:
        loss = super().loss(params)
        return lambda outputs, targets: loss(outputs, targets) * self.factor
