"""AlexNet's colour offset along the principal components of the training set's pixels."""

# B batch, C channels, H height, W width, P pixels

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class PcaColor:
    """Adds [p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T to every pixel of an image, with a ~ N(0, strength) drawn once per
    image, p and l the eigenvectors and eigenvalues of the pixels' covariance (Krizhevsky et al. 2012, section
    4.1, with strength 0.1).
    """

    strength: float
    covariance: Tensor  # (C, C)

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        return images_BCHW + self.offsets(len(images_BCHW), generator).to(images_BCHW)[:, :, None, None]

    def offsets(self, count: int, generator: Generator) -> Tensor:
        """Shape (count, C)."""
        # P L a has the covariance P L L P^T, and so has (P L P^T) a: no eigenvectors, whose signs and order
        # would be a library's choice.
        normal_BC = torch.randn(count, len(self.covariance), generator=generator)
        return self.strength * normal_BC @ self.covariance


def pixel_covariance(images_BCHW: Tensor) -> Tensor:
    """Covariance of the channels over all pixels, (C, C) on the CPU."""
    pixels_CP = images_BCHW.movedim(1, 0).flatten(1).cpu().double()
    return torch.cov(pixels_CP, correction=0).reshape(len(pixels_CP), len(pixels_CP)).float()
