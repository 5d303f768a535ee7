"""Random scales."""

# B batch, C channels, H height, W width

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import uniform, whole
from hpsearch.training.augmentation.resampling import interpolation_places, resampled


@dataclass(frozen=True)
class ScaleJitter:
    """Each image enlarged 1 to 1 + `range` times (bilinear), then cropped to its size at a random place:
    crops of 224 from images of 256 to 480 (Simonyan & Zisserman 2015, He et al. 2016), relative to the size.
    """

    range: float

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images_BCHW.shape
        factors_B = uniform(generator, (count,), 1.0, 1.0 + self.range)
        heights_B, widths_B = ((size * factors_B).round().long() for size in (height, width))
        tops_B = whole(generator, heights_B - height + 1)
        lefts_B = whole(generator, widths_B - width + 1)
        return enlarged_crops(images_BCHW, heights_B, widths_B, tops_B, lefts_B)


def enlarged_crops(
    images_BCHW: Tensor, heights_B: Tensor, widths_B: Tensor, tops_B: Tensor, lefts_B: Tensor
) -> Tensor:
    """Each image resized to its height and width, then cropped to the original size from its place."""
    height, width = images_BCHW.shape[-2:]
    rows_B, columns_B = (torch.full((len(images_BCHW),), float(size)) for size in (height, width))
    rows_BH = interpolation_places(rows_B, tops_B, height, heights_B / height)
    columns_BW = interpolation_places(columns_B, lefts_B, width, widths_B / width)
    return resampled(images_BCHW, rows_BH, columns_BW)
