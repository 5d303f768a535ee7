"""Cutout and random erasing."""

import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import RandomErasing as TorchvisionErasing
from torchvision.transforms import functional

from hpsearch.training.augmentation.erasing import Cutout, RandomErasing, erased


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def holes(step: Cutout | RandomErasing, count: int, size: int = 32) -> Tensor:
    """Which pixels were erased, bool (B, H, W)."""
    return step(torch.ones(count, 2, size, size), generator())[:, 0] == 0


def test_a_box_is_torchvisions_erase() -> None:
    images = torch.rand(3, 3, 9, 7, generator=generator(1))
    tops, lefts = torch.tensor([0, 2, 8]), torch.tensor([1, 3, 0])
    heights, widths = torch.tensor([9, 0, 1]), torch.tensor([2, 4, 7])
    expected = [
        functional.erase(x, int(t), int(le), int(h), int(w), torch.zeros(1))
        for x, t, le, h, w in zip(images, tops, lefts, heights, widths, strict=True)
    ]
    assert torch.equal(erased(images, tops, lefts, tops + heights, lefts + widths), torch.stack(expected))


@pytest.mark.parametrize("side", [1, 2, 5, 16])
def test_cutout_erases_a_square_clipped_at_the_border(side: int) -> None:
    found = holes(Cutout(side), 2_000)
    rows, columns = found.any(2).sum(1), found.any(1).sum(1)
    assert torch.equal(found.sum((1, 2)), rows * columns)
    assert int(rows.max()) == int(columns.max()) == side
    # Centres are uniform over the image: the mean of the clipped side is known.
    exact = sum(min(c - side // 2 + side, 32) - max(c - side // 2, 0) for c in range(32)) / 32
    assert float(rows.double().mean()) == pytest.approx(exact, abs=0.35)
    assert len(found.flatten(1).unique(dim=0)) > 500


def test_random_erasing_takes_the_share_of_images_and_of_areas_that_torchvisions_takes() -> None:
    found = holes(RandomErasing(0.5), 6_000)
    areas = found.sum((1, 2)).double()
    assert float((areas > 0).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.equal(found.any(2).sum(1) * found.any(1).sum(1), found.sum((1, 2)))
    torch.manual_seed(0)
    image = torch.ones(1, 32, 32)
    boxes = [TorchvisionErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[2:4] for _ in range(3_000)]
    expected = sum(h * w for h, w in boxes) / len(boxes)
    assert float(areas[areas > 0].mean()) == pytest.approx(expected, rel=0.05)
    tall = sum(h > w for h, w in boxes) / len(boxes)
    taller = (found.any(2).sum(1) > found.any(1).sum(1))[areas > 0]
    assert float(taller.double().mean()) == pytest.approx(tall, abs=0.05)


def test_the_same_seed_erases_the_same() -> None:
    for step in (Cutout(4), RandomErasing(0.7)):
        assert torch.equal(holes(step, 50), holes(step, 50))
