"""Mixup and CutMix: each sample mixed with another one of its batch, inputs and labels alike.

One share per batch, as in the papers' own code: any loss that is a mean over samples then mixes labels exactly,
share * loss(y) + (1 - share) * loss(y of the partner), where soft targets would need a loss that takes them.
"""

# B batch, C channels, H height, W width

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from hpsearch.errors import TrialError
from hpsearch.space import Params
from hpsearch.training.losses import Loss
from hpsearch.training.targets import are_labels
from hpsearch.vocabulary import MIXING_KNOBS, REGRESSION_LOSSES, is_on


@dataclass(frozen=True)
class MixedTargets:
    """Targets of the samples and of their partners; `share` is the weight of the former."""

    own: Tensor
    partners: Tensor
    share: float

    def __len__(self) -> int:
        return len(self.own)

    @property
    def device(self) -> torch.device:
        return self.own.device

    def chunk(self, parts: int) -> "tuple[MixedTargets, ...]":
        """Like a tensor's: consecutive samples, with the same share."""
        pairs = zip(self.own.chunk(parts), self.partners.chunk(parts), strict=True)
        return tuple(MixedTargets(own, partners, self.share) for own, partners in pairs)


Targets = Tensor | MixedTargets


class MixedLoss:
    """A task's loss for mixed targets too."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, outputs: Tensor, targets: Targets) -> Tensor:
        if isinstance(targets, Tensor):
            return self.loss(outputs, targets)
        own, partners = self.loss(outputs, targets.own), self.loss(outputs, targets.partners)
        return targets.share * own + (1 - targets.share) * partners


class Mixing(Protocol):
    def __call__(
        self, inputs: Tensor, targets: Tensor, generator: Generator
    ) -> tuple[Tensor, MixedTargets]: ...


@dataclass(frozen=True)
class Mixup:
    """share * x + (1 - share) * x of the partner, share ~ Beta(alpha, alpha) (Zhang et al. 2018)."""

    alpha: float

    def __call__(self, inputs: Tensor, targets: Tensor, generator: Generator) -> tuple[Tensor, MixedTargets]:
        share = beta(self.alpha, generator)
        partners = partners_of(inputs, generator)
        mixed = torch.lerp(inputs[partners], inputs, share)
        return mixed, MixedTargets(targets, targets[partners], share)


@dataclass(frozen=True)
class CutMix:
    """A box of the partner pasted in: 1 - share of the area, share ~ Beta(alpha, alpha), around a random pixel
    and clipped at the border. The labels' share is that of the pixels left (Yun et al. 2019).
    """

    alpha: float

    def __call__(self, inputs: Tensor, targets: Tensor, generator: Generator) -> tuple[Tensor, MixedTargets]:
        height, width = inputs.shape[-2:]
        share = beta(self.alpha, generator)
        row, column = (int(torch.randint(size, (), generator=generator)) for size in (height, width))
        rows, columns = _box(row, height, share), _box(column, width, share)
        partners = partners_of(inputs, generator)
        mixed = inputs.clone()
        mixed[..., rows, columns] = inputs[partners][..., rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, MixedTargets(targets, targets[partners], 1 - pasted / (height * width))


def _box(centre: int, size: int, share: float) -> slice:
    half = int(0.5 * math.sqrt(1 - share) * size)
    return slice(max(centre - half, 0), min(centre + half, size))


def beta(alpha: float, generator: Generator) -> float:
    """A draw of Beta(alpha, alpha). NumPy's, since torch's takes no generator; exact for small alpha."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def partners_of(inputs: Tensor, generator: Generator) -> Tensor:
    """A permutation of the batch on its device."""
    return torch.randperm(len(inputs), generator=generator).to(inputs.device)


def build_mixing(params: Params, inputs: Tensor, targets: Tensor, metric: str) -> Mixing:
    """What is asked for, one of the two, for training data like these. Raises TrialError where both are, or labels
    are no classes.
    """
    wanted = [name for name in MIXING_KNOBS if is_on(params, name)]
    if len(wanted) > 1:
        raise TrialError("mixup and cutmix can't both be on; remove one")
    (name,) = wanted
    if not (are_labels(targets) or metric.endswith("accuracy")) or params["loss"] in REGRESSION_LOSSES:
        raise TrialError(f"{name} mixes class labels, and this task is a regression; remove {name}")
    if not inputs.is_floating_point():
        raise TrialError(f"{name} mixes floating-point inputs, not {inputs.dtype}; remove {name}")
    alpha = float(params[name])
    return Mixup(alpha) if name == "mixup" else CutMix(alpha)
