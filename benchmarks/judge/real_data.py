"""Real data sets that scikit-learn's wheel ships, read once in a process. Nobody changes them in place."""

from functools import cache

from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from torch import Tensor

from benchmarks.judge.generators import tensors


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1,797 images of 8 x 8 pixels from 0 to 16, flat; ten classes."""
    return tensors(*load_digits(return_X_y=True))


@cache
def breast_cancer() -> tuple[Tensor, Tensor]:
    """569 samples of 30 measurements; two classes."""
    return tensors(*load_breast_cancer(return_X_y=True))


@cache
def wine() -> tuple[Tensor, Tensor]:
    """178 samples of 13 measurements; three classes."""
    return tensors(*load_wine(return_X_y=True))


@cache
def diabetes() -> tuple[Tensor, Tensor]:
    """442 samples of 10 measurements; a target from 25 to 346."""
    return tensors(*load_diabetes(return_X_y=True))
