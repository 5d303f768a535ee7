"""Random crops of the padded image: random shifts."""

# B batch, C channels, H height, W width

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hpsearch.training.augmentation.draws import below


@dataclass(frozen=True)
class PaddedCrop:
    """Black pixels on every side, then a crop of the original size from a place of its own for each image
    (He et al. 2016, section 4.2, with 4 pixels for CIFAR).
    """

    padding: int

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count = len(images_BCHW)
        tops_B, lefts_B = (below(generator, count, 2 * self.padding + 1) for _ in range(2))
        return cropped(images_BCHW, self.padding, tops_B, lefts_B)


def cropped(images_BCHW: Tensor, padding: int, tops_B: Tensor, lefts_B: Tensor) -> Tensor:
    """Crops of the images' own size, from these places of the padded images."""
    height, width = images_BCHW.shape[-2:]
    device = images_BCHW.device
    padded = functional.pad(images_BCHW, [padding] * 4)
    rows_BH = (tops_B[:, None] + torch.arange(height)).to(device)
    columns_BW = (lefts_B[:, None] + torch.arange(width)).to(device)
    chosen = padded.gather(2, rows_BH[:, None, :, None].expand(-1, padded.shape[1], -1, padded.shape[3]))
    return chosen.gather(3, columns_BW[:, None, None, :].expand(-1, padded.shape[1], height, -1))
