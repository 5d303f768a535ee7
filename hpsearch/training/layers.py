"""The layers that mlp and cnn are made of, as `dropconnect`, `normalization` and `pooling` want them."""

# B batch, C channels, H height, W width

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.vocabulary import NORMALIZATIONS, POOLINGS

FRACTION = math.sqrt(0.5)  # of its size that fractional pooling leaves (Graham 2014)


class DropConnectLinear(nn.Linear):
    """Each weight is 0 with probability `share` in training, the rest times 1 / (1 - share): y = (M * W) x + b.

    Wan et al. 2013, with one mask M for the whole batch, and the weights as they are in evaluation.
    """

    def __init__(self, wide: int, narrow: int, share: float) -> None:
        super().__init__(wide, narrow)
        self.share = share

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is nn.Linear's
        weight = functional.dropout(self.weight, self.share, self.training)
        return functional.linear(input, weight, self.bias)


class DropConnectConv2d(nn.Conv2d):
    """A 3 x 3 convolution whose weights are dropped as in `DropConnectLinear`."""

    def __init__(self, fewer: int, more: int, share: float) -> None:
        super().__init__(fewer, more, 3, padding=1)
        self.share = share

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        weight = functional.dropout(self.weight, self.share, self.training)
        return functional.conv2d(input, weight, self.bias, padding=1)


def linear(wide: int, narrow: int, params: Params) -> nn.Linear:
    share = float(params["dropconnect"])
    return DropConnectLinear(wide, narrow, share) if share > 0 else nn.Linear(wide, narrow)


def convolution(fewer: int, more: int, params: Params) -> nn.Conv2d:
    """3 x 3, the size of the image kept."""
    share = float(params["dropconnect"])
    return DropConnectConv2d(fewer, more, share) if share > 0 else nn.Conv2d(fewer, more, 3, padding=1)


def normalization(width: int, params: Params, *, images: bool) -> list[nn.Module]:
    """What goes between a layer of `width` outputs and its activation. Raises TrialError for an unknown name.

    `layer` on feature maps (B, C, H, W) is over C, H and W with one scale per channel: group norm with one
    group, which Wu and He 2018 identify with layer norm.
    """
    match str(params["normalization"]):
        case "none":
            return []
        case "batch":
            return [nn.BatchNorm2d(width) if images else nn.BatchNorm1d(width)]
        case "layer":
            return [nn.GroupNorm(1, width) if images else nn.LayerNorm(width)]
        case name:
            raise TrialError(unknown("normalization", name, NORMALIZATIONS))


class FractionalPooling(nn.FractionalMaxPool2d):
    """Maxima of 2 x 2 pixels in regions drawn at random, new for each sample and channel; in evaluation the
    regions are fixed ones, so that a snapshot has one value.
    """

    def __init__(self) -> None:
        super().__init__(2, output_ratio=FRACTION)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        samples = None if self.training else torch.full((*input.shape[:2], 2), 0.5, device=input.device)
        pooled: Tensor = functional.fractional_max_pool2d(
            input, 2, output_ratio=(FRACTION, FRACTION), _random_samples=samples
        )
        return pooled


def pooling(params: Params) -> nn.Module:
    """What ends a block of a cnn. Raises TrialError for an unknown name."""
    match str(params["pooling"]):
        case "max":
            return nn.MaxPool2d(2)
        case "fractional":
            return FractionalPooling()
        case name:
            raise TrialError(unknown("pooling", name, POOLINGS))


def pooled_size(size: int, params: Params) -> int:
    """How many pixels of a side `pooling` leaves."""
    return int(size * FRACTION) if params["pooling"] == "fractional" else size // 2
