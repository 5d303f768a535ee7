"""The scoring suite's tasks: nothing of the judgement was tuned on them."""

from typing import ClassVar

import torch
from sklearn.datasets import make_blobs, make_friedman2
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.judge.generators import orders, tensors, tones, waves
from benchmarks.judge.models import Recurrent, cnn1d, mlp
from benchmarks.judge.real_data import diabetes, digits, wine
from benchmarks.judge.subject import Subject, globally_scaled
from hpsearch.space import Params
from hpsearch.training.losses import Loss


class DigitsTanh(Subject):
    """Digits, three hidden layers of tanh, a width and a dropout of their own names."""

    knobs = {
        "neurons": {"type": "int", "low": 1, "high": 1024, "log": True, "default": 96},
        "drop": {"type": "float", "low": 0.0, "high": 0.99, "default": 0.0},
    }
    train_size, validation_size = 900, 600
    features, outputs = 64, 10

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return digits()

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        width = int(params["neurons"])
        return mlp([64, width, width, width, 10], "tanh", float(params["drop"]))


class WineMlp(Subject):
    """Wine: 13 measurements in very different units, 118 training samples."""

    train_size, validation_size = 118, 60
    features, outputs = 13, 3

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return wine()

    def model(self, params: Params) -> nn.Module:
        return mlp([13, 32, 16, 3], dropout=float(params["dropout"]))


class BlobsMlp(Subject):
    """Twelve clusters of four classes, so that no plane parts them; GELU, width by the vocabulary's name."""

    train_size, validation_size = 1000, 500
    features, outputs = 5, 4
    spread: ClassVar[float] = 0.5

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        centers = torch.randn(12, 5, generator=torch.Generator().manual_seed(2)).numpy() * 1.6
        inputs, clusters = make_blobs(
            1500, centers=centers, cluster_std=self.spread, random_state=seed % 2**32
        )
        return tensors(inputs, clusters % 4)

    def model(self, params: Params) -> nn.Module:
        width = int(params["hidden_units"])
        return mlp([5, width, width, 4], "gelu")


class WavesCnn(Subject):
    """Noisy signals of four shapes, a 1-D CNN."""

    train_size, validation_size = 900, 300
    features, outputs = 48, 4
    noise: ClassVar[float] = 0.25

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return waves(1200, 48, self.noise, seed)

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return cnn1d(16, 4, length=48)


class OrdersLstm(Subject):
    """What came first? An LSTM with a width of its own name."""

    knobs = {"cells": {"type": "int", "low": 1, "high": 256, "log": True, "default": 24}}
    train_size, validation_size = 1000, 400
    features, outputs = 42, 4

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return orders(1400, 14, seed)

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return Recurrent(nn.LSTM, 3, int(params["cells"]), 4)


class TonesCnn(Subject):
    """Which of five tones sound? Several labels from a signal, a 1-D CNN."""

    metric = "multilabel_accuracy"
    train_size, validation_size = 900, 300
    features, outputs = 40, 5

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return tones(1200, 40, 0.2, seed)

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return cnn1d(16, 5, length=40)

    def loss(self, params: Params) -> Loss:
        return functional.binary_cross_entropy_with_logits


class ImpedanceMlp(Subject):
    """Friedman's second function, an impedance: four inputs in very different units; tanh, one output column."""

    metric = "mse"
    train_size, validation_size = 900, 400
    features, outputs = 4, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = tensors(*make_friedman2(1300, noise=20.0, random_state=seed % 2**32))
        return inputs, ((targets - 477) / 378).float()

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(mlp([4, 40, 40, 1], "tanh"), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()


class DiabetesMlp(Subject):
    """A year's progression of diabetes: half of its variance can't be explained by anyone."""

    metric = "mse"
    train_size, validation_size = 300, 142
    features, outputs = 10, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = diabetes()
        return inputs, ((targets - 152) / 77).float()

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(mlp([10, 6, 1]), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()
