"""Random resized crops."""

# B batch, C channels, H height, W width, T tries

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import Proportions, first_fitting, whole
from hpsearch.training.augmentation.resampling import interpolation_places, resampled

RATIOS = (3 / 4, 4 / 3)  # width over height (Szegedy et al. 2015; torchvision's default)


@dataclass(frozen=True)
class ResizedCrop:
    """A box of `smallest` to all of the image's area, enlarged to the image's size (bilinear), as torchvision's
    `RandomResizedCrop`. Where ten boxes don't fit, the image stays whole.
    """

    smallest: float

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images_BCHW.shape
        proportions = Proportions((self.smallest, 1.0), RATIOS)
        widths_BT, heights_BT = proportions.draw(generator, count, height * width)
        fits_BT = (widths_BT > 0) & (widths_BT <= width) & (heights_BT > 0) & (heights_BT <= height)
        heights_B = first_fitting(heights_BT, fits_BT, height)
        widths_B = first_fitting(widths_BT, fits_BT, width)
        tops_B = whole(generator, height - heights_B + 1)
        lefts_B = whole(generator, width - widths_B + 1)
        return resized_crops(images_BCHW, tops_B, lefts_B, heights_B, widths_B)


def resized_crops(
    images_BCHW: Tensor, tops_B: Tensor, lefts_B: Tensor, heights_B: Tensor, widths_B: Tensor
) -> Tensor:
    """Each box enlarged to the image's size."""
    height, width = images_BCHW.shape[-2:]
    from_B = torch.zeros(len(images_BCHW))
    rows_BH = tops_B[:, None] + interpolation_places(heights_B, from_B, height, height / heights_B)
    columns_BW = lefts_B[:, None] + interpolation_places(widths_B, from_B, width, width / widths_B)
    return resampled(images_BCHW, rows_BH, columns_BW)
