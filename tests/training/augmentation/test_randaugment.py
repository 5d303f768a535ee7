"""RandAugment beside torchvision's own table and operations."""

import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode, autoaugment

from hpsearch.training.augmentation.randaugment import (
    NAMES,
    SIGNED,
    RandAugment,
    operated,
    operation,
    strength_of,
)

NEAREST = InterpolationMode.NEAREST


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def pixels(count: int, channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, channels, 20, 16), generator=generator(9)).to(torch.uint8)


@pytest.mark.parametrize("size", [(20, 16), (8, 8), (32, 32)])
def test_operations_and_magnitudes_are_torchvisions(size: tuple[int, int]) -> None:
    table = autoaugment.RandAugment()._augmentation_space(31, size)
    assert tuple(table) == NAMES
    assert {name for name, (_, signed) in table.items() if signed} == SIGNED
    for name, (magnitudes, _) in table.items():
        for magnitude in range(31):
            expected = float(magnitudes[magnitude]) if magnitudes.ndim else 0.0
            assert strength_of(name, magnitude, size) == pytest.approx(expected, rel=1e-6), (name, magnitude)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_on_a_batch_is_torchvisions_on_each_image(name: str, channels: int) -> None:
    images = pixels(4, channels)
    for sign in (1, -1) if name in SIGNED else (1,):
        for magnitude in (0, 9, 17, 30):
            strength = sign * strength_of(name, magnitude, (20, 16))
            expected = [autoaugment._apply_op(x, name, strength, NEAREST, None) for x in images]
            assert torch.equal(operation(name, images, strength), torch.stack(expected))


def test_each_image_gets_its_own_operation_and_sign() -> None:
    images = pixels(28)
    kinds = torch.arange(28) % 14
    negative = torch.arange(28) >= 14
    found = operated(images, kinds, negative, 12)
    for i, image in enumerate(images):
        name = NAMES[int(kinds[i])]
        sign = -1 if name in SIGNED and negative[i] else 1
        expected = autoaugment._apply_op(image, name, sign * strength_of(name, 12, (20, 16)), NEAREST, None)
        assert torch.equal(found[i], expected), name


def test_equal_images_are_changed_differently_and_seeded() -> None:
    image = pixels(1)[0] / 255
    batch = image.repeat(200, 1, 1, 1)
    once = RandAugment(1, 15)(batch, generator())
    # 14 operations, 9 of them with two signs.
    assert 15 <= len(once.unique(dim=0)) <= 23
    assert len(RandAugment(2, 15)(batch, generator()).unique(dim=0)) > 60
    assert torch.equal(once, RandAugment(1, 15)(batch, generator()))


def test_no_operation_changes_nothing_but_8_bits() -> None:
    batch = pixels(3) / 255
    assert torch.equal(RandAugment(0, 9)(batch, generator()), batch)
