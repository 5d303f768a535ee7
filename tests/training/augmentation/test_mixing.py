"""Mixup and CutMix: the distribution of the share, the images, and the labels."""

import pytest
import torch
from scipy import stats
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, one_hot

from hpsearch.training.augmentation.mixing import CutMix, MixedLoss, MixedTargets, Mixup, beta
from hpsearch.training.losses import build_loss


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_the_share_of_mixup_is_beta_distributed(alpha: float) -> None:
    inputs, targets = torch.rand(2, 1), torch.arange(2)
    shares = [Mixup(alpha)(inputs, targets, generator(seed))[1].share for seed in range(3_000)]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_a_tiny_alpha_still_gives_shares_in_0_to_1() -> None:
    chance = generator()
    assert all(0 <= beta(1e-4, chance) <= 1 for _ in range(200))


def test_mixup_mixes_inputs_and_labels_with_one_partner() -> None:
    inputs = torch.rand(16, 3, 4, 4, generator=generator(1))
    mixed, labels = Mixup(1.0)(inputs, torch.arange(16), generator(2))
    assert torch.equal(labels.own, torch.arange(16))
    assert sorted(labels.partners.tolist()) == list(range(16))
    assert labels.partners.tolist() != list(range(16))
    expected = labels.share * inputs + (1 - labels.share) * inputs[labels.partners]
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize("size", [(8, 8), (11, 5)])
def test_cutmixs_labels_are_mixed_by_the_exact_area_of_the_box(size: tuple[int, int]) -> None:
    targets = torch.arange(6)
    inputs = targets.float()[:, None, None, None].expand(-1, 2, *size)
    areas = set()
    for seed in range(200):
        mixed, labels = CutMix(1.0)(inputs, targets, generator(seed))
        for i in range(6):
            if labels.partners[i] == i:
                continue
            pasted = mixed[i, 0] == labels.partners[i]
            assert torch.equal(pasted | (mixed[i, 0] == i), torch.ones(size, dtype=torch.bool))
            assert 1 - float(pasted.double().mean()) == pytest.approx(labels.share, abs=1e-12)
            assert int(pasted.sum()) == int(pasted.any(0).sum()) * int(pasted.any(1).sum())  # a box
        areas.add(labels.share)
    assert len(areas) > 10
    assert torch.equal(inputs, targets.float()[:, None, None, None].expand(-1, 2, *size))


def test_cutmixs_box_has_the_papers_sides_and_centres() -> None:
    """At share 1/2 sides are 2 * int(64 / 2 * sqrt(1/2)) = 44 of 64 pixels; a quarter of it is left in a corner."""
    inputs, targets = torch.zeros(2, 1, 64, 64), torch.arange(2)
    shares = [CutMix(1e8)(inputs, targets, generator(seed))[1].share for seed in range(600)]
    assert min(shares) == pytest.approx(1 - 44 * 44 / 64**2, abs=1e-12)
    assert max(shares) <= 1 - 22 * 22 / 64**2
    side = sum(min(c + 22, 64) - max(c - 22, 0) for c in range(64)) / 64
    assert sum(shares) / 600 == pytest.approx(1 - side**2 / 64**2, abs=0.01)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mixed_loss_is_that_of_soft_targets(smoothing: float) -> None:
    outputs = torch.randn(5, 4, generator=generator(3))
    own, partners = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([3, 3, 1, 0, 2])
    found = MixedLoss(build_loss("cross_entropy", smoothing))(outputs, MixedTargets(own, partners, 0.3))
    soft = 0.3 * one_hot(own, 4) + 0.7 * one_hot(partners, 4)
    torch.testing.assert_close(found, cross_entropy(outputs, soft, label_smoothing=smoothing))


def test_the_mixed_loss_of_plain_targets_is_the_loss() -> None:
    outputs, targets = torch.randn(5, 4, generator=generator(3)), torch.tensor([0, 1, 2, 3, 0])

    def exact(outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    assert torch.equal(MixedLoss(exact)(outputs, targets), cross_entropy(outputs, targets))
