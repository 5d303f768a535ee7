"""Dropout's expectation and label smoothing's target, against the papers' formulas."""

import math

import numpy as np
import torch

from hpsearch.training.losses import build_loss


def test_inverted_dropout_keeps_the_expectation_and_scales_the_survivors() -> None:
    """Srivastava et al. 2014: E[mask * x / (1 - p)] = x; var = x**2 p / (1 - p)."""
    torch.manual_seed(0)
    p, draws = 0.3, 20_000
    layer = torch.nn.Dropout(p)
    seen = layer(torch.ones(draws, 5, dtype=torch.float64)).numpy()
    assert set(np.unique(seen.round(6))) == {0.0, round(1 / (1 - p), 6)}
    error = math.sqrt(p / (1 - p) / draws)
    assert np.abs(seen.mean(axis=0) - 1).max() < 4 * error
    layer.eval()
    assert torch.equal(layer(torch.ones(3)), torch.ones(3))


def test_label_smoothing_is_cross_entropy_against_the_smoothed_target() -> None:
    """Szegedy et al. 2016: q(k) = (1 - e) [k = y] + e / K, by hand in NumPy."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    share = 0.2
    loss = build_loss("cross_entropy", share)
    q = (1 - share) * np.eye(4)[labels.numpy()] + share / 4
    z = logits.numpy()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    assert math.isclose(float(loss(logits, labels)), float(-(q * log_p).sum(axis=1).mean()), rel_tol=1e-12)
