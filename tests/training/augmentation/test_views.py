"""Averages over fixed crops and flips, beside torchvision's FiveCrop and TenCrop."""

import pytest
import torch
from torch import Generator, Tensor, nn
from torchvision.transforms import FiveCrop, TenCrop, functional

from hpsearch.training.augmentation.views import AveragedModel, Views, five_crops, scales_up_to


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 14, 21, generator=generator(1))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 14 * 21, 5))


@pytest.mark.parametrize("size", [(14, 21), (12, 16), (11, 20), (7, 7)])
def test_five_crops_are_torchvisions(images: Tensor, size: tuple[int, int]) -> None:
    for found, expected in zip(five_crops(images, *size), FiveCrop(size)(images), strict=True):
        assert torch.equal(found, expected)


def test_the_ten_crop_average_is_torchvisions(images: Tensor, model: nn.Module) -> None:
    enlarged = functional.resize(images, [16, 24], antialias=True)
    crops = TenCrop((14, 21))(enlarged)
    probabilities = torch.stack([model(crop).softmax(1) for crop in crops]).mean(0)
    averaged = AveragedModel(model, Views(flips=True, scales=(256 / 224,)), probabilities=True)
    torch.testing.assert_close(averaged(images).softmax(1), probabilities)
    torch.testing.assert_close(averaged(images), probabilities.log())
    outputs = torch.stack([model(crop) for crop in crops]).mean(0)
    averaged = AveragedModel(model, Views(flips=True, scales=(256 / 224,)), probabilities=False)
    torch.testing.assert_close(averaged(images), outputs)


def test_five_crops_leave_flips_out_and_several_scales_are_averaged(images: Tensor, model: nn.Module) -> None:
    views = Views(flips=False, scales=scales_up_to(1.5, 2))
    crops = [
        crop
        for size in ([18, 26], [21, 32])  # 1.25 and 1.5 times, rounded half to even
        for crop in FiveCrop((14, 21))(functional.resize(images, size, antialias=True))
    ]
    expected = torch.stack([model(crop) for crop in crops]).mean(0)
    torch.testing.assert_close(AveragedModel(model, views, probabilities=False)(images), expected)


def test_a_flip_is_averaged_with_the_image(images: Tensor, model: nn.Module) -> None:
    expected = (model(images) + model(images.flip(-1))) / 2
    found = AveragedModel(model, Views(flips=True), probabilities=False)(images)
    torch.testing.assert_close(found, expected)


def test_small_images_are_enlarged_by_a_pixel_at_least() -> None:
    views = list(Views(flips=False, scales=(1.01,))(torch.rand(1, 1, 8, 8, generator=generator())))
    assert len({tuple(view.flatten().tolist()) for view in views}) >= 4
