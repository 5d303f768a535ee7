"""Generated data sets: each a function of a size and a seed, so that a seed is a new sample."""

# N samples, L length, T time, F features, K labels

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.float64] | NDArray[np.int64]


def tensors(inputs: Numbers, targets: Numbers) -> tuple[Tensor, Tensor]:
    """Inputs as float32; targets as they are: integers are classes, floats are values."""
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets)


def waves(count: int, length: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Signals (N, 1, L) of four shapes: sine, square, sawtooth, triangle, of any phase and 2 to 4 periods."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, 4, count)
    periods = rng.uniform(2, 4, (count, 1))
    phase_NL = rng.uniform(0, 1, (count, 1)) + periods * np.linspace(0, 1, length)
    angle, saw = 2 * math.pi * phase_NL, 2 * (phase_NL % 1) - 1
    shapes = np.stack([np.sin(angle), np.sign(np.sin(angle)), saw, 2 * np.abs(saw) - 1])
    signal_NL = shapes[label_N, np.arange(count)] + rng.normal(0, noise, (count, length))
    return tensors(signal_NL[:, None], label_N)


def trends(count: int, length: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences (N, T, 2): a level and its noise. Classes: rising, falling, a bump, a dip."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, 4, count)
    time_T = np.linspace(-1, 1, length)
    bump_T = np.exp(-8 * time_T**2) * 2 - 0.5
    level = np.stack([time_T, -time_T, bump_T, -bump_T])[label_N] * rng.uniform(0.7, 1.3, (count, 1))
    both_NTF = np.stack([level, rng.normal(0, 1, level.shape)], axis=2)
    return tensors(both_NTF + rng.normal(0, noise, both_NTF.shape), label_N)


def orders(count: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences (N, T, 3) of noise with two marks in two places: which of two kinds came first, and which
    last? Four classes; a model must remember (the temporal order problem, Hochreiter & Schmidhuber 1997).
    """
    rng = np.random.default_rng(seed)
    inputs_NTF = rng.normal(0, 0.3, (count, length, 3))
    kinds_N2 = rng.integers(0, 2, (count, 2))
    places_N2 = np.stack([rng.integers(0, length // 3, count), rng.integers(length // 2, length, count)], 1)
    for which in range(2):
        inputs_NTF[np.arange(count), places_N2[:, which], kinds_N2[:, which]] += 2.0
        inputs_NTF[np.arange(count), places_N2[:, which], 2] += 1.0
    return tensors(inputs_NTF, 2 * kinds_N2[:, 0] + kinds_N2[:, 1])


def tones(count: int, length: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Signals (N, 1, L) in which each of five tones sounds or not: targets (N, 5) of zeros and ones."""
    rng = np.random.default_rng(seed)
    sounds_NK = rng.random((count, 5)) < 0.4
    time_L = np.arange(length) / length
    phases_NK = rng.uniform(0, 2 * math.pi, (count, 5))
    waves_NKL = np.sin(2 * math.pi * (2.0 + 3 * np.arange(5))[:, None] * time_L + phases_NK[:, :, None])
    signal_NL = (sounds_NK[:, :, None] * waves_NKL).sum(1) + rng.normal(0, noise, (count, length))
    return tensors(signal_NL[:, None], sounds_NK.astype(float))


def labels_of_planes(count: int, features: int, labels: int, seed: int) -> tuple[Tensor, Tensor]:
    """Gaussian points and several yes/no labels, each whether a fixed quadratic form is positive."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    plane_FK = fixed.normal(0, 1, (features, labels))
    other_FK = fixed.normal(0, 1, (features, labels))
    points_NF = rng.normal(0, 1, (count, features))
    score_NK = points_NF @ plane_FK + 0.5 * ((points_NF @ other_FK) ** 2 - features)
    return tensors(points_NF, (score_NK > 0).astype(float))
