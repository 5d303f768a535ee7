"""The development suite's tasks. What the judgement is tuned on; the scoring tasks are in `holdout_tasks`."""

from typing import ClassVar

from sklearn.datasets import make_friedman1, make_moons
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.judge.generators import labels_of_planes, tensors, trends
from benchmarks.judge.models import Recurrent, cnn2d, mlp
from benchmarks.judge.real_data import breast_cancer, digits
from benchmarks.judge.subject import Subject, globally_scaled
from hpsearch.space import Params
from hpsearch.training.losses import Loss


class DigitsMlp(Subject):
    """Digits, ReLU; width and depth by the vocabulary's names, dropout where it is asked for."""

    train_size, validation_size = 1200, 500
    features, outputs = 64, 10

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return digits()

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        hidden = [int(params["hidden_units"])] * int(params["hidden_layers"])
        return mlp([64, *hidden, 10], dropout=float(params["dropout"]))


class DigitsCnn(Subject):
    """Digits as images; everything about the model is written down in it."""

    train_size, validation_size = 800, 400
    features, outputs = 64, 10

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = digits()
        return inputs.reshape(-1, 1, 8, 8), targets

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return cnn2d(8, 10)


class CancerMlp(Subject):
    """Breast cancer with one logit and binary cross-entropy; a small model with dropout."""

    train_size, validation_size = 380, 180
    features, outputs = 30, 1

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = breast_cancer()
        return inputs, targets.float()

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(mlp([30, 24, 12, 1], dropout=float(params["dropout"])), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.BCEWithLogitsLoss()


class MoonsMlp(Subject):
    """Two moons, tanh, a width of its own name."""

    knobs = {"units": {"type": "int", "low": 1, "high": 256, "log": True, "default": 24}}
    train_size, validation_size = 500, 300
    features, outputs = 2, 2

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return tensors(*make_moons(1000, noise=self.noise, random_state=seed % 2**32))

    noise: ClassVar[float] = 0.08

    def model(self, params: Params) -> nn.Module:
        units = int(params["units"])
        return mlp([2, units, units, 2], "tanh")


class FriedmanMlp(Subject):
    """Friedman's first function with little noise: a regression, targets standardized."""

    metric = "mse"
    knobs = {"width": {"type": "int", "low": 1, "high": 256, "log": True, "default": 32}}
    train_size, validation_size = 2000, 500
    features, outputs = 10, 1
    noise: ClassVar[float] = 0.3

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = tensors(*make_friedman1(2500, noise=self.noise, random_state=seed % 2**32))
        return inputs, ((targets - 14.4) / 5).float()

    def model(self, params: Params) -> nn.Module:
        width = int(params["width"])
        return nn.Sequential(mlp([10, width, width, 1]), nn.Flatten(0))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()


class TrendsGru(Subject):
    """Short noisy sequences of four shapes, a GRU."""

    train_size, validation_size = 640, 300
    features, outputs = 32, 4

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return trends(940, 16, 0.5, seed)

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        return globally_scaled(inputs, train)

    def model(self, params: Params) -> nn.Module:
        return Recurrent(nn.GRU, 2, 24, 4)


class LabelsMlp(Subject):
    """Several yes/no labels at once."""

    metric = "multilabel_accuracy"
    train_size, validation_size = 1500, 400
    features, outputs = 6, 4

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        return labels_of_planes(1900, 6, 4, seed)

    def model(self, params: Params) -> nn.Module:
        return mlp([6, 64, 64, 4])

    def loss(self, params: Params) -> Loss:
        return functional.binary_cross_entropy_with_logits
