"""Random, class-stratified splits as index arrays."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def stratified(labels: NDArray[np.generic], count: int, seed: int) -> tuple[Indices, Indices]:
    """(chosen, rest), both sorted: `count` samples with the classes' shares kept as well as whole samples can.

    Labels that are not one integer per sample (regression) are split at random.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    shuffled = rng.permutation(len(labels))
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        shuffled = shuffled[np.argsort(_quantile_in_class(labels[shuffled]), kind="stable")]
    return np.sort(shuffled[:count]), np.sort(shuffled[count:])


def _quantile_in_class(labels: NDArray[np.generic]) -> NDArray[np.float64]:
    """How far into its own class each sample lies, 0 to 1: any prefix in this order is stratified."""
    quantile = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        quantile[members] = (np.arange(len(members)) + 0.5) / len(members)
    return quantile
