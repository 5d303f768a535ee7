"""Boxes set to zero: cutout and random erasing."""

# B batch, C channels, H height, W width, T tries

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import Proportions, below, first_fitting, happens, whole

# Of the image's area, and height over width (Zhong et al. 2020; torchvision's defaults).
PROPORTIONS = Proportions((0.02, 0.33), (0.3, 3.3))


@dataclass(frozen=True)
class Cutout:
    """A square around a random pixel of each image, clipped at the border (DeVries & Taylor 2017)."""

    side: int

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images_BCHW.shape
        tops_B = below(generator, count, height) - self.side // 2
        lefts_B = below(generator, count, width) - self.side // 2
        return erased(images_BCHW, tops_B, lefts_B, tops_B + self.side, lefts_B + self.side)


@dataclass(frozen=True)
class RandomErasing:
    """With this probability a box of each image, as torchvision's `RandomErasing` with value 0."""

    probability: float

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images_BCHW.shape
        heights_BT, widths_BT = PROPORTIONS.draw(generator, count, height * width)
        fits_BT = (heights_BT < height) & (widths_BT < width)
        happens_B = happens(generator, count, self.probability)
        heights_B = first_fitting(heights_BT, fits_BT, 0) * happens_B
        widths_B = first_fitting(widths_BT, fits_BT, 0) * happens_B
        tops_B, lefts_B = whole(generator, height - heights_B + 1), whole(generator, width - widths_B + 1)
        return erased(images_BCHW, tops_B, lefts_B, tops_B + heights_B, lefts_B + widths_B)


def erased(
    images_BCHW: Tensor, tops_B: Tensor, lefts_B: Tensor, bottoms_B: Tensor, rights_B: Tensor
) -> Tensor:
    """Zero in rows top ... bottom - 1 and columns left ... right - 1 of each image."""
    height, width = images_BCHW.shape[-2:]
    rows_BH = _between(torch.arange(height), tops_B, bottoms_B)
    columns_BW = _between(torch.arange(width), lefts_B, rights_B)
    inside = (rows_BH[:, None, :, None] & columns_BW[:, None, None, :]).to(images_BCHW.device)
    return images_BCHW.masked_fill(inside, 0)


def _between(places: Tensor, first_B: Tensor, end_B: Tensor) -> Tensor:
    return (places >= first_B[:, None]) & (places < end_B[:, None])
