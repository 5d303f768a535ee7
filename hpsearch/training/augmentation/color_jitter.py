"""Brightness, contrast, saturation and hue."""

# B batch, C channels, H height, W width

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import uniform

GRAY = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision's rgb_to_grayscale
BLENDS = ("brightness", "contrast", "saturation")
KINDS = (*BLENDS, "hue")


@dataclass(frozen=True)
class ColorJitter:
    """Factors of brightness, contrast and saturation, each uniform in [max(0, 1 - strength), 1 + strength], and a
    turn of the hue, uniform in [-hue, hue] of the whole circle, applied in an order of its own for each image:
    torchvision's `ColorJitter`. Images in [0, 1].
    """

    strength: float
    hue: float = 0.0

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count = len(images_BCHW)
        kinds: tuple[str, ...] = ()
        drawn = []
        if self.strength > 0:
            kinds = BLENDS
            low, high = max(0.0, 1 - self.strength), 1 + self.strength
            drawn.append(uniform(generator, (count, len(BLENDS)), low, high))
        if self.hue > 0:
            kinds = (*kinds, "hue")
            drawn.append(uniform(generator, (count, 1), -self.hue, self.hue))
        orders_BK = torch.rand((count, len(kinds)), generator=generator).argsort(1)
        return jittered(images_BCHW, torch.cat(drawn, 1), orders_BK, kinds)


def jittered(
    images_BCHW: Tensor, factors_BK: Tensor, orders_BK: Tensor, kinds: tuple[str, ...] = KINDS
) -> Tensor:
    """`factors_BK` of the kinds; `orders_BK` lists, for each image, the kinds as they are applied."""
    images_BCHW = images_BCHW.clone()
    for kinds_B in orders_BK.unbind(1):
        for kind, name in enumerate(kinds):
            chosen = (kinds_B == kind).nonzero()[:, 0]
            factors = factors_BK[chosen, kind].to(images_BCHW)
            chosen = chosen.to(images_BCHW.device)
            images_BCHW[chosen] = adjusted(name, images_BCHW[chosen], factors)
    return images_BCHW


def adjusted(kind: str, images_BCHW: Tensor, factors_B: Tensor) -> Tensor:
    """Blends each image with black, with its mean grey, or with its grey image, or turns its hue, as
    torchvision's `adjust_*`.
    """
    match kind:
        case "hue":
            return turned(images_BCHW, factors_B)
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


def turned(images_BCHW: Tensor, turns_B: Tensor) -> Tensor:
    """Each image with its hue moved by so many whole turns of the colour circle (Smith 1978); grey ones stay.

    Hue in sixths h: a channel is V - C clamp(min(k, 4 - k), 0, 1) with k = (n + h) mod 6 and n = 5, 3, 1 for red,
    green, blue.
    """
    if images_BCHW.shape[1] == 1:
        return images_BCHW
    red, green, blue = images_BCHW.unbind(1)
    value_BHW = images_BCHW.amax(1)
    chroma_BHW = value_BHW - images_BCHW.amin(1)
    divisor_BHW = chroma_BHW.where(chroma_BHW > 0, 1.0)
    behind_red = (2 + (blue - red) / divisor_BHW).where(value_BHW == green, 4 + (red - green) / divisor_BHW)
    sixths_BHW = ((green - blue) / divisor_BHW).where(value_BHW == red, behind_red)
    shift_3 = images_BCHW.new_tensor((5.0, 3.0, 1.0))[:, None, None]
    places = (sixths_BHW + 6 * turns_B[:, None, None])[:, None] + shift_3
    places = places.remainder(6)
    return value_BHW[:, None] - chroma_BHW[:, None] * places.minimum(4 - places).clamp(0, 1)


def gray(images_BCHW: Tensor) -> Tensor:
    """Shape (B, 1, H, W)."""
    if images_BCHW.shape[1] == 1:
        return images_BCHW
    return (images_BCHW * images_BCHW.new_tensor(GRAY)[:, None, None]).sum(1, keepdim=True)
