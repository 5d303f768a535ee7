"""Horizontal flips."""

# B batch, C channels, H height, W width

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import happens


@dataclass(frozen=True)
class Flip:
    """Mirrors each image with this probability."""

    probability: float

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        return flipped(images_BCHW, happens(generator, len(images_BCHW), self.probability))


def flipped(images_BCHW: Tensor, which_B: Tensor) -> Tensor:
    """The images of `which_B` mirrored, as torchvision's `hflip`."""
    which_B = which_B.to(images_BCHW.device)
    return torch.where(which_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)
