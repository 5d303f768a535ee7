"""Draws from a CPU generator, one per sample: the same on every device."""

# B batch, T tries

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

TRIES = 10  # of a box that fits, as in torchvision


def uniform(generator: Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
    """float32 in [low, high)."""
    return torch.rand(shape, generator=generator) * (high - low) + low


def whole(generator: Generator, counts: Tensor) -> Tensor:
    """For each entry n >= 1 of `counts` a whole number of 0 ... n - 1, int64."""
    # float64: of float32's 2^24 values, the products with large counts would not be equally likely.
    shares = torch.rand(counts.shape, generator=generator, dtype=torch.float64)
    return (shares * counts).long().minimum(counts - 1)


def below(generator: Generator, count: int, bound: int) -> Tensor:
    """`count` whole numbers of 0 ... bound - 1, int64."""
    return whole(generator, torch.full((count,), bound))


def happens(generator: Generator, count: int, probability: float) -> Tensor:
    """Bool (count,), true with this probability."""
    return torch.rand(count, generator=generator) < probability


@dataclass(frozen=True)
class Proportions:
    """Boxes whose area is uniform in `areas` (shares of the image) and whose ratio of sides is log-uniform in
    `ratios`.
    """

    areas: tuple[float, float]
    ratios: tuple[float, float]

    def draw(self, generator: Generator, count: int, pixels: int) -> tuple[Tensor, Tensor]:
        """Two whole sides, int64 (count, T), of boxes in an image of `pixels`; first / second is the ratio."""
        areas_BT = uniform(generator, (count, TRIES), *self.areas) * pixels
        low, high = (math.log(ratio) for ratio in self.ratios)
        ratios_BT = uniform(generator, (count, TRIES), low, high).exp()
        return (areas_BT * ratios_BT).sqrt().round().long(), (areas_BT / ratios_BT).sqrt().round().long()


def first_fitting(sides_BT: Tensor, fits_BT: Tensor, otherwise: int) -> Tensor:
    """The side (B,) of each sample's first try that fits, `otherwise` where none does."""
    first_B = fits_BT.int().argmax(1)  # of equals, argmax takes the first
    sides_B = sides_BT.gather(1, first_B[:, None])[:, 0]
    return torch.where(fits_BT.any(1), sides_B, torch.full_like(sides_B, otherwise))
