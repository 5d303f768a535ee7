"""Bilinear resampling of each image at coordinates of its own."""

# B batch, C channels, H height, W width

import torch
from torch import Tensor
from torch.nn import functional


def resampled(images_BCHW: Tensor, rows_BH: Tensor, columns_BW: Tensor) -> Tensor:
    """Values at these rows and columns, counted in pixels of the image from the centre of its first one."""
    height, width = images_BCHW.shape[-2:]
    y_BH = ((2 * rows_BH + 1) / height - 1).to(images_BCHW)
    x_BW = ((2 * columns_BW + 1) / width - 1).to(images_BCHW)
    shape = (len(images_BCHW), y_BH.shape[1], x_BW.shape[1])
    grid = torch.stack([x_BW[:, None, :].expand(shape), y_BH[:, :, None].expand(shape)], -1)
    return functional.grid_sample(images_BCHW, grid, "bilinear", "border", align_corners=False)


def interpolation_places(sizes_B: Tensor, starts_B: Tensor, count: int, scale_B: Tensor) -> Tensor:
    """Where resizing reads: `count` pixels from `starts_B` on in a line of `sizes_B` pixels that was
    enlarged `scale_B` times; shape (B, count), inside the line.
    """
    places = (starts_B[:, None] + torch.arange(count) + 0.5) / scale_B[:, None] - 0.5
    return places.clamp_min(0).minimum(sizes_B[:, None] - 1)
