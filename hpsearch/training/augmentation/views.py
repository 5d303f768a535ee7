"""Test time: outputs averaged over fixed views of each image."""

# B batch, C channels, H height, W width, K classes

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.space import Params


@dataclass(frozen=True)
class Views:
    """Fixed views of a batch of images, all of its own size.

    `flips`: each view mirrored too. `scales`: the image is enlarged this many times (bilinear, by a pixel at
    least) and cropped in its four corners and its centre, as the 224 of 256 pixels of Krizhevsky et al. 2012;
    none: the image itself.
    """

    flips: bool
    scales: tuple[float, ...] = ()

    def __call__(self, images_BCHW: Tensor) -> Iterator[Tensor]:
        if not self.scales:
            yield from self._with_flip(images_BCHW)
        height, width = images_BCHW.shape[-2:]
        for scale in self.scales:
            size = [max(round(scale * side), side + 1) for side in (height, width)]
            enlarged = functional.interpolate(images_BCHW, size, mode="bilinear", align_corners=False)
            # Mirrored before it is cropped, as torchvision's ten_crop: the centre may be off by half a pixel.
            for image in self._with_flip(enlarged):
                yield from five_crops(image, height, width)

    def _with_flip(self, images_BCHW: Tensor) -> Iterator[Tensor]:
        yield images_BCHW
        if self.flips:
            yield images_BCHW.flip(-1)


def five_crops(images_BCHW: Tensor, height: int, width: int) -> Iterator[Tensor]:
    """Top left, top right, bottom left, bottom right and centre."""
    spare_rows, spare_columns = images_BCHW.shape[-2] - height, images_BCHW.shape[-1] - width
    corners = [(top, left) for top in (0, spare_rows) for left in (0, spare_columns)]
    for top, left in [*corners, (round(spare_rows / 2), round(spare_columns / 2))]:
        yield images_BCHW[..., top : top + height, left : left + width]


class AveragedModel(nn.Module):
    """`model` with its outputs averaged over views. `probabilities`: outputs are logits, and their softmax is
    averaged; the result is its logarithm, so that it is logits again. Otherwise outputs are averaged as they are.
    """

    def __init__(self, model: nn.Module, views: Views, *, probabilities: bool) -> None:
        super().__init__()
        self.model = model
        self.views = views
        self.probabilities = probabilities

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = torch.stack([self.model(view) for view in self.views(inputs)])
        if not self.probabilities:
            return outputs.mean(0)
        return outputs.log_softmax(-1).logsumexp(0) - math.log(len(outputs))


def scales_up_to(largest: float, count: int) -> tuple[float, ...]:
    """`count` scales in equal steps above 1, the last one the largest."""
    return tuple(1 + (largest - 1) * step / count for step in range(1, count + 1))


def build_views(params: Params) -> Views | None:
    """The views of the hyperparameter `test_time`; None for the image alone."""
    name = params["test_time"]
    if name == "none":
        return None
    if name == "flip":
        return Views(flips=True)
    scales = scales_up_to(float(params["test_scale"]), int(params["test_scales"]))
    return Views(flips=name == "ten_crop", scales=scales)
