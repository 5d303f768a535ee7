"""The rehearsal suite's tasks: a second set that the judgement was tuned on, after the development suite's."""

# N samples, L length, F features, T time, K labels

import math
from functools import cache
from typing import ClassVar

import numpy as np
from sklearn.datasets import (
    load_sample_image,
    make_circles,
    make_classification,
    make_friedman3,
    make_gaussian_quantiles,
    make_hastie_10_2,
    make_swiss_roll,
)
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.judge.generators import Numbers, tensors
from benchmarks.judge.models import Recurrent, mlp
from benchmarks.judge.subject import Subject, globally_scaled
from hpsearch.space import Params
from hpsearch.training.losses import Loss

LIMIT = 2**32


class Planes(Subject):
    """Five classes in twenty dimensions, GELU; width by the vocabulary's name."""

    train_size, validation_size = 1400, 600
    features, outputs = 20, 5

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        found = make_classification(
            2000, 20, n_informative=10, n_redundant=4, n_classes=5, n_clusters_per_class=1, class_sep=2.0,
            flip_y=0.0, random_state=seed % LIMIT,
        )  # fmt: skip
        return tensors(*found)

    def model(self, params: Params) -> nn.Module:
        width = int(params["hidden_units"])
        return mlp([20, width, width, 5], "gelu")


class Spirals(Subject):
    """Three spirals in the plane, ELU; a width of its own name."""

    knobs = {"neurons": {"type": "int", "low": 1, "high": 512, "log": True, "default": 48}}
    train_size, validation_size = 900, 450
    features, outputs = 2, 3

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        label_N, radius_N = rng.integers(0, 3, 1350), rng.uniform(0.15, 1, 1350)
        angle_N = radius_N * 4.5 + label_N * 2 * math.pi / 3 + rng.normal(0, 0.12, 1350)
        return tensors(np.stack([radius_N * np.cos(angle_N), radius_N * np.sin(angle_N)], 1), label_N)

    def model(self, params: Params) -> nn.Module:
        width = int(params["neurons"])
        return mlp([2, width, width, 3], "elu")


class Hastie(Subject):
    """Whether ten normal variables are far from 0 together; one logit, batch norm."""

    train_size, validation_size = 2400, 800
    features, outputs = 10, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = make_hastie_10_2(3200, random_state=seed % LIMIT)
        return tensors(inputs, (targets > 0).astype(float))

    def model(self, params: Params) -> nn.Module:
        hidden = [
            nn.Linear(10, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),
        ]  # fmt: skip
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 1), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return lambda outputs, targets: functional.binary_cross_entropy_with_logits(
            outputs, targets.to(outputs.dtype)
        )


class Swiss(Subject):
    """Where along a rolled-up sheet a point lies: a regression, tanh."""

    metric = "mse"
    train_size, validation_size = 1200, 500
    features, outputs = 3, 1
    noise: ClassVar[float] = 0.1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = tensors(*make_swiss_roll(1700, noise=self.noise, random_state=seed % LIMIT))
        return inputs, ((targets - 9.4) / 2.7).float()

    def model(self, params: Params) -> nn.Module:
        width = int(params["hidden_units"])
        return nn.Sequential(mlp([3, width, width, 1], "tanh"), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()


class Friedman3(Subject):
    """Friedman's third function, targets with a long tail, Huber's loss."""

    metric = "mse"
    train_size, validation_size = 1000, 500
    features, outputs = 4, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = tensors(*make_friedman3(1500, noise=0.02, random_state=seed % LIMIT))
        return inputs, ((targets - 1.3) / 0.32).float()

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(mlp([4, 40, 20, 1]), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.SmoothL1Loss()


class Patches(Subject):
    """From which of two photographs a patch of 12 x 12 pixels is; convolutions with batch norm."""

    train_size, validation_size = 1200, 600
    features, outputs = 432, 2

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return _patches()

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
            nn.Flatten(), nn.Linear(96, 2),
        )  # fmt: skip


@cache
def _patches() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    patches, labels = [], []
    for label, name in enumerate(("china.jpg", "flower.jpg")):
        image = np.asarray(load_sample_image(name), float) / 255
        for _ in range(900):
            row, column = rng.integers(0, image.shape[0] - 12), rng.integers(0, image.shape[1] - 12)
            patches.append(image[row : row + 12, column : column + 12].transpose(2, 0, 1))
            labels.append(label)
    return tensors(np.stack(patches), np.array(labels))


class Adding(Subject):
    """The sum of the two marked numbers of a sequence (Hochreiter & Schmidhuber 1997): a regression, an LSTM."""

    metric = "mse"
    train_size, validation_size = 1500, 500
    features, outputs = 24, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        inputs_NTF = np.zeros((2000, 12, 2))
        inputs_NTF[..., 0] = rng.uniform(-1, 1, (2000, 12))
        for first in (0, 6):
            inputs_NTF[np.arange(2000), rng.integers(first, first + 6, 2000), 1] = 1
        sums_N = (inputs_NTF[..., 0] * inputs_NTF[..., 1]).sum(1)
        return tensors(inputs_NTF, (sums_N / 0.82).astype(np.float32))

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return inputs

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(Recurrent(nn.LSTM, 2, 32, 1), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()


class Autoregressive(Subject):
    """Which of three autoregressive processes made a sequence: a GRU."""

    train_size, validation_size = 900, 400
    features, outputs = 30, 3

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        label_N = rng.integers(0, 3, 1300)
        one_N, two_N = np.array([[0.9, -0.7, 0.6], [0.0, 0.0, -0.9]])[:, label_N]
        signal_NT, noise_NT = np.zeros((1300, 32)), rng.normal(0, 1, (1300, 32))
        for t in range(2, 32):
            signal_NT[:, t] = one_N * signal_NT[:, t - 1] + two_N * signal_NT[:, t - 2] + noise_NT[:, t]
        return tensors(signal_NT[:, 2:, None], label_N)

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return Recurrent(nn.GRU, 1, 20, 3)


class Shells(Subject):
    """Four shells around the origin in six dimensions: a residual net with layer norm."""

    train_size, validation_size = 4000, 1000
    features, outputs = 6, 4

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        found: tuple[Numbers, Numbers] = make_gaussian_quantiles(
            n_samples=5000, n_features=6, n_classes=4, random_state=seed % LIMIT
        )
        return tensors(*found)

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 48), _Block(48), _Block(48), nn.LayerNorm(48), nn.Linear(48, 4))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = inputs + self.branch(inputs)
        return outputs


class Labels(Subject):
    """Six yes/no labels of a plane and a wave each."""

    metric = "multilabel_accuracy"
    train_size, validation_size = 1200, 500
    features, outputs = 12, 6

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        fixed, rng = np.random.default_rng(5), np.random.default_rng(seed)
        plane_FK, wave_FK = fixed.normal(0, 1, (12, 6)), fixed.normal(0, 1, (12, 6))
        points_NF = rng.normal(0, 1, (1700, 12))
        score_NK = points_NF @ plane_FK + 1.5 * np.sin(points_NF @ wave_FK)
        return tensors(points_NF, (score_NK > 0.5).astype(np.float32))

    def model(self, params: Params) -> nn.Module:
        return mlp([12, int(params["hidden_units"]), 6])

    def loss(self, params: Params) -> Loss:
        return functional.binary_cross_entropy_with_logits


class Circles(Subject):
    """Two circles that run into each other."""

    train_size, validation_size = 800, 400
    features, outputs = 2, 2

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return tensors(*make_circles(1200, noise=0.25, factor=0.5, random_state=seed % LIMIT))

    def model(self, params: Params) -> nn.Module:
        return mlp([2, 16, 16, 2], "tanh")


class Crooked(Subject):
    """A small, noisy regression."""

    metric = "mse"
    train_size, validation_size = 300, 140
    features, outputs = 10, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(seed)
        points_NF = rng.normal(0, 1, (440, 10))
        line_N = points_NF[:, 0] + 0.6 * np.abs(points_NF[:, 1]) + 0.5 * points_NF[:, 2] * points_NF[:, 3]
        return tensors(points_NF, ((line_N + rng.normal(0, 0.6, 440) - 0.4) / 1.3).astype(np.float32))

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(mlp([10, 32, 1]), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()
