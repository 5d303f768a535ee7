"""Brightness, contrast and saturation."""

# B batch, C channels, H height, W width

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import uniform

GRAY = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision's rgb_to_grayscale
KINDS = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class ColorJitter:
    """Factors of brightness, contrast and saturation, each uniform in [max(0, 1 - strength), 1 + strength],
    applied in an order of its own for each image: torchvision's `ColorJitter` without hue. Images in [0, 1].
    """

    strength: float

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        shape = (len(images_BCHW), len(KINDS))
        factors_BK = uniform(generator, shape, max(0.0, 1 - self.strength), 1 + self.strength)
        orders_BK = torch.rand(shape, generator=generator).argsort(1)
        return jittered(images_BCHW, factors_BK, orders_BK)


def jittered(images_BCHW: Tensor, factors_BK: Tensor, orders_BK: Tensor) -> Tensor:
    """`factors_BK` of the kinds; `orders_BK` lists, for each image, the kinds as they are applied."""
    images_BCHW = images_BCHW.clone()
    for kinds_B in orders_BK.unbind(1):
        for kind, name in enumerate(KINDS):
            chosen = (kinds_B == kind).nonzero()[:, 0]
            factors = factors_BK[chosen, kind].to(images_BCHW)
            chosen = chosen.to(images_BCHW.device)
            images_BCHW[chosen] = adjusted(name, images_BCHW[chosen], factors)
    return images_BCHW


def adjusted(kind: str, images_BCHW: Tensor, factors_B: Tensor) -> Tensor:
    """Blends each image with black, with its mean grey, or with its grey image, as torchvision's `adjust_*`."""
    match kind:
        case "brightness":
            other = torch.zeros_like(images_BCHW)
        case "contrast":
            other = gray(images_BCHW).mean((1, 2, 3), keepdim=True)
        case _:
            if images_BCHW.shape[1] == 1:
                return images_BCHW
            other = gray(images_BCHW)
    factors = factors_B[:, None, None, None]
    return (factors * images_BCHW + (1 - factors) * other).clamp(0, 1)


def gray(images_BCHW: Tensor) -> Tensor:
    """Shape (B, 1, H, W)."""
    if images_BCHW.shape[1] == 1:
        return images_BCHW
    return (images_BCHW * images_BCHW.new_tensor(GRAY)[:, None, None]).sum(1, keepdim=True)
