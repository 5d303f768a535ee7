"""The layers that mlp and cnn are made of, as `dropconnect` and `normalization` want them."""

# B batch, C channels, H height, W width

from torch import Tensor, nn
from torch.nn import functional

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.vocabulary import NORMALIZATIONS


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
