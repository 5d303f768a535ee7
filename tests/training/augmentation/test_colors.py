"""Colour jitter and PCA colour: torchvision's functionals, and the paper's equation in NumPy."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Generator, Tensor
from torchvision.transforms import functional

from hpsearch.training.augmentation.color_jitter import ColorJitter, jittered, turned
from hpsearch.training.augmentation.pca_color import PcaColor, pixel_covariance


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


ADJUST = (
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_torchvisions_with_the_same_factors_and_order(channels: int) -> None:
    images = torch.rand(24, channels, 6, 5, generator=generator(1))
    factors = torch.rand(24, 4, generator=generator(2)) * torch.tensor([2.0, 2.0, 2.0, 1.0])
    factors[:, 3] -= 0.5
    orders = torch.rand(24, 4, generator=generator(3)).argsort(1)
    assert len(orders.unique(dim=0)) > 12
    expected = []
    for image, factor, order in zip(images, factors, orders, strict=True):
        for kind in order.tolist():
            image = ADJUST[kind](image, float(factor[kind]))  # noqa: PLW2901
        expected.append(image)
    torch.testing.assert_close(jittered(images, factors, orders), torch.stack(expected), atol=2e-5, rtol=1e-4)


def test_the_hue_turns_as_torchvisions_also_where_channels_are_equal() -> None:
    levels = torch.tensor([0.0, 0.25, 0.5, 1.0])
    images = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 8, 8).repeat(21, 1, 1, 1)
    turns = torch.linspace(-0.5, 0.5, 21)
    expected = [functional.adjust_hue(image, float(turn)) for image, turn in zip(images, turns, strict=True)]
    torch.testing.assert_close(turned(images, turns), torch.stack(expected), atol=1e-5, rtol=0)


def test_turns_are_uniform_and_hue_alone_leaves_the_rest() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).repeat(5_000, 1, 1, 1)
    changed = ColorJitter(0.0, 0.1)(red, generator())[:, :, 0, 0]
    turns = (changed[:, 1] - changed[:, 2]) / 6  # between red and yellow, green is the hue in sixths
    assert stats.kstest(turns.numpy(), stats.uniform(-0.1, 0.2).cdf).pvalue > 0.001
    assert bool((changed[:, 0] == 1).all())


def test_jitter_is_new_for_each_image_and_seeded() -> None:
    image = torch.rand(1, 3, 6, 5, generator=generator(1))
    batch = image.repeat(32, 1, 1, 1)
    changed = ColorJitter(0.4)(batch, generator())
    assert len(changed.unique(dim=0)) == 32
    assert torch.equal(changed, ColorJitter(0.4)(batch, generator()))
    assert torch.equal(batch, image.repeat(32, 1, 1, 1))


def test_brightness_factors_are_uniform() -> None:
    """A single grey pixel is its own mean and its own grey: contrast and saturation leave it."""
    batch = torch.full((5_000, 3, 1, 1), 0.25)
    factors = ColorJitter(0.4)(batch, generator())[:, 0, 0, 0] / 0.25
    assert stats.kstest(factors.numpy(), stats.uniform(0.6, 0.8).cdf).pvalue > 0.001


def colored() -> Tensor:
    mixing = torch.tensor([[0.5, 0.1, 0.0], [0.4, 0.2, 0.1], [0.3, 0.1, 0.2]])
    return torch.einsum("cd,bdhw->bchw", mixing, torch.rand(50, 3, 8, 8, generator=generator(4)))


def test_the_covariance_is_numpys() -> None:
    images = colored()
    pixels = images.permute(1, 0, 2, 3).reshape(3, -1).double().numpy()
    np.testing.assert_allclose(pixel_covariance(images).numpy(), np.cov(pixels, bias=True), rtol=1e-5)
    assert pixel_covariance(images[:, :1]).shape == (1, 1)


def test_offsets_have_the_covariance_of_the_papers_equation() -> None:
    """[p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T with a ~ N(0, 0.1): covariance 0.01 P L^2 P^T."""
    images = colored()
    pixels = images.permute(1, 0, 2, 3).reshape(3, -1).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    expected = 0.1**2 * vectors @ np.diag(values**2) @ vectors.T
    found = PcaColor(0.1, pixel_covariance(images)).offsets(200_000, generator()).double().numpy()
    np.testing.assert_allclose(np.cov(found.T), expected, rtol=0.02, atol=expected.max() * 1e-2)
    np.testing.assert_allclose(found.mean(0), 0, atol=5 * np.sqrt(expected.max() / 200_000))
    along = found @ vectors[:, -1] / (0.1 * values[-1])
    assert stats.kstest(along, "norm").pvalue > 0.001


def test_an_offset_is_one_for_all_pixels_of_an_image_and_new_for_each() -> None:
    images = colored()
    added = PcaColor(1.0, pixel_covariance(images))(images, generator()) - images
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), atol=1e-6, rtol=0)
    assert len(added[:, :, 0, 0].unique(dim=0)) == 50
