"""Flips, crops and scales: torchvision's functionals with the same parameters; new ones for each sample."""

# B batch, C channels, H height, W width

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import functional

from hpsearch.training.augmentation.flip import Flip, flipped
from hpsearch.training.augmentation.padded_crop import PaddedCrop, cropped
from hpsearch.training.augmentation.resized_crop import ResizedCrop, resized_crops
from hpsearch.training.augmentation.scale_jitter import ScaleJitter, enlarged_crops

Step = Callable[[Tensor, Generator], Tensor]


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 12, 10, generator=generator(7))


def numbers(count: int, low: int, high: int, seed: int) -> Tensor:
    return torch.randint(low, high + 1, (count,), generator=generator(seed))


STEPS: dict[str, Step] = {
    "flip": Flip(0.5),
    "crop": PaddedCrop(3),
    "resized": ResizedCrop(0.1),
    "scale": ScaleJitter(1.0),
}


@pytest.mark.parametrize("name", STEPS)
def test_equal_images_are_changed_differently_and_the_same_with_the_same_seed(name: str) -> None:
    image = torch.rand(1, 3, 12, 10, generator=generator(3))
    batch = image.expand(64, -1, -1, -1)
    changed = STEPS[name](batch, generator(1))
    assert changed.shape == batch.shape
    assert len(changed.unique(dim=0)) >= (2 if name == "flip" else 20)
    assert torch.equal(changed, STEPS[name](batch, generator(1)))
    assert not torch.equal(changed, STEPS[name](batch, generator(2)))
    assert torch.equal(batch, image.expand(64, -1, -1, -1))


def test_flips_are_torchvisions(images: Tensor) -> None:
    which = torch.tensor([True, False, True, True, False, False])
    expected = [functional.hflip(x) if w else x for x, w in zip(images, which, strict=True)]
    assert torch.equal(flipped(images, which), torch.stack(expected))


def test_as_many_are_flipped_as_asked() -> None:
    ramp = torch.arange(2.0).expand(10_000, 1, 1, 2)
    share = (Flip(0.3)(ramp, generator())[:, 0, 0, 0] == 1).float().mean()
    assert float(share) == pytest.approx(0.3, abs=0.02)  # 4 standard errors


def test_padded_crops_are_torchvisions(images: Tensor) -> None:
    tops, lefts = numbers(6, 0, 8, 1), numbers(6, 0, 8, 2)
    expected = [
        functional.crop(functional.pad(x, [4]), int(top), int(left), 12, 10)
        for x, top, left in zip(images, tops, lefts, strict=True)
    ]
    assert torch.equal(cropped(images, 4, tops, lefts), torch.stack(expected))


def test_every_place_of_a_padded_crop_is_as_likely() -> None:
    places = torch.arange(25.0).reshape(1, 1, 5, 5).expand(20_000, -1, -1, -1)
    corner = PaddedCrop(1)(places, generator())[:, 0, 2, 2]  # the pixel that came to the centre
    counts = corner.long().bincount(minlength=25)
    assert set(counts.nonzero()[:, 0].tolist()) == {6, 7, 8, 11, 12, 13, 16, 17, 18}
    assert float((counts[counts > 0] - 20_000 / 9).abs().max()) < 5 * (20_000 / 9) ** 0.5


def test_resized_crops_are_torchvisions(images: Tensor) -> None:
    heights, widths = numbers(6, 2, 12, 1), numbers(6, 2, 10, 2)
    tops = torch.stack([numbers(1, 0, 12 - int(h), 3)[0] for h in heights])
    lefts = torch.stack([numbers(1, 0, 10 - int(w), 4)[0] for w in widths])
    expected = [
        functional.resized_crop(x, int(t), int(le), int(h), int(w), [12, 10], antialias=True)
        for x, t, le, h, w in zip(images, tops, lefts, heights, widths, strict=True)
    ]
    found = resized_crops(images, tops, lefts, heights, widths)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)


def test_scales_are_torchvisions_resize_and_crop(images: Tensor) -> None:
    heights, widths = numbers(6, 12, 30, 1), numbers(6, 10, 25, 2)
    tops, lefts = (heights - 12) // 2, (widths - 10) // 3
    expected = [
        functional.crop(functional.resize(x, [int(h), int(w)], antialias=True), int(t), int(le), 12, 10)
        for x, t, le, h, w in zip(images, tops, lefts, heights, widths, strict=True)
    ]
    found = enlarged_crops(images, heights, widths, tops, lefts)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)


def test_resized_crops_span_the_areas_asked_for() -> None:
    """On a ramp of columns the range of values tells the width: that of sqrt(area * ratio)."""
    size = 64
    ramp = torch.arange(float(size)).expand(4_000, 1, size, size)
    changed = ResizedCrop(0.25)(ramp, generator())[:, 0]
    widths = changed[:, 0, -1] - changed[:, 0, 0] + 1
    assert float(widths.min()) >= round(size * (0.25 * 3 / 4) ** 0.5)
    assert float(widths.max()) == size
    # Of a uniform area and log-uniform ratio, with boxes that don't fit drawn again.
    draws = torch.rand(400_000, 2, generator=generator(5))
    area, ratio = 0.25 + 0.75 * draws[:, 0], (draws[:, 1] * 2 - 1).mul(torch.tensor(4 / 3).log()).exp()
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()
    expected = float(width[(width <= 1) & (height <= 1)].mean()) * size
    assert float(widths.mean()) == pytest.approx(expected, abs=0.6)


def test_scales_and_their_places_are_uniform_and_independent() -> None:
    """A ramp's first and last values tell the enlargement and the place of the crop."""
    size, count = 64, 4_000
    line = torch.arange(float(size))
    ramps = torch.stack([line[:, None].expand(size, size), line.expand(size, size)]).expand(count, -1, -1, -1)
    changed = ScaleJitter(1.0)(ramps, generator())
    ends = torch.stack([changed[:, 0, [0, -1], 0], changed[:, 1, 0, [0, -1]]])  # rows, columns
    spans = ends[..., 1] - ends[..., 0]
    factors = (size - 1) / spans
    torch.testing.assert_close(factors[0], factors[1], atol=0.05, rtol=0)  # half a pixel at a border
    assert float(factors.mean()) == pytest.approx(1.5, abs=0.02)
    assert float(factors.std()) == pytest.approx(1 / 12**0.5, abs=0.02)
    far = factors[0] > 1.3
    places = (ends[..., 0] / (size - 1 - spans))[:, far]
    for place in places:
        assert float(place.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(place.std()) == pytest.approx(1 / 12**0.5, abs=0.03)
    assert abs(float(torch.corrcoef(places)[0, 1])) < 0.1
