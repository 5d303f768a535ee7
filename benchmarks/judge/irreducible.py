"""Tasks that nobody can fit: an error remains that is no fault."""

# N samples, C classes

from typing import ClassVar

import torch
from sklearn.datasets import make_blobs, make_classification
from torch import Tensor, nn

from benchmarks.judge.generators import tensors
from benchmarks.judge.models import mlp
from benchmarks.judge.subject import Subject
from hpsearch.space import Params


class FlippedLabels(Subject):
    """A part of a class: a share of all labels, validation's too, is drawn at random."""

    share: ClassVar[float] = 0.2

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = super().samples(seed)
        generator = torch.Generator().manual_seed(7)
        wrong_N = torch.rand(len(targets), generator=generator) < self.share
        drawn_N = torch.randint(0, self.outputs, (len(targets),), generator=generator)
        return inputs, torch.where(wrong_N, drawn_N.to(targets.dtype), targets)


class OverlappingBlobs(Subject):
    """Gaussian clusters that run into each other."""

    train_size, validation_size = 900, 500
    features, outputs = 2, 3
    spread: ClassVar[float] = 2.6

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        centers = [(-2.0, 0.0), (2.0, 0.0), (0.0, 3.0)]
        return tensors(*make_blobs(1400, centers=centers, cluster_std=self.spread, random_state=seed % 2**32))

    def model(self, params: Params) -> nn.Module:
        return mlp([2, 16, 3])


class RareClass(Subject):
    """Nineteen of twenty samples are of one class, and the classes overlap."""

    train_size, validation_size = 1500, 600
    features, outputs = 6, 2
    rare: ClassVar[float] = 0.05

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        inputs, targets = make_classification(
            2100, 6, n_informative=4, n_redundant=0, weights=[1 - self.rare], class_sep=1.2, flip_y=0.0,
            random_state=3,
        )  # fmt: skip
        return tensors(inputs, targets)

    def model(self, params: Params) -> nn.Module:
        return mlp([6, 16, 2])
