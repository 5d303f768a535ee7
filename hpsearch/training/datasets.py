"""Data sets by name, in memory: scikit-learn's digits, and torchvision's through their own files."""

# B samples, C channels, H height, W width

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.errors import DataUnavailable, unknown
from hpsearch.training.seeds import derive
from hpsearch.training.splits import stratified
from hpsearch.vocabulary import DATASETS

DIGITS_TEST = 360  # a fifth of 1,797
DIGITS_VALIDATION = 287  # leaves 1,150 to train on


@dataclass(frozen=True)
class Source:
    """A data set as stored: what may be trained and validated on, and the fixed test set.

    Inputs are uint8 or float32 (B, C, H, W), divided by `scale` when used; targets int64 (B,).
    """

    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    validation: int
    scale: float


@dataclass(frozen=True)
class Parts:
    """One replicate's split: float32 inputs in [0, 1] of shape (B, C, H, W), int64 targets."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


# A pack trains many short trials of one study in one process: parse and split once.
@lru_cache(maxsize=2)
def load_parts(name: str, data_dir: Path, seed: int) -> Parts:
    """The split of data set `name` by `seed`. Raises DataUnavailable. Callers must not write into it."""
    source = load_source(name, data_dir)
    chosen, rest = stratified(source.targets.numpy(), source.validation, seed)
    return Parts(
        train=_scaled(source.inputs, source.targets, source.scale, torch.from_numpy(rest)),
        validation=_scaled(source.inputs, source.targets, source.scale, torch.from_numpy(chosen)),
        test=_scaled(source.test_inputs, source.test_targets, source.scale),
    )


@lru_cache(maxsize=2)
def load_source(name: str, data_dir: Path) -> Source:
    """The data set `name`, downloaded into `data_dir` where it is not there yet. Raises DataUnavailable."""
    if name not in DATASETS:
        raise DataUnavailable(unknown("data set", name, DATASETS))
    return _digits() if name == "digits" else _torchvision(name, data_dir)


def _scaled(
    inputs: Tensor, targets: Tensor, scale: float, indices: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    if indices is not None:
        inputs, targets = inputs[indices], targets[indices]
    return inputs.to(
        torch.float32
    ) / scale, targets  # never in place: the test set is shared by every replicate


def _digits() -> Source:
    """1,797 images of 8 x 8. The test set is the same for every seed."""
    table = _digits_table()
    inputs = torch.from_numpy(table[:, :-1].astype(np.float32)).reshape(-1, 1, 8, 8)
    labels = table[:, -1].astype(np.int64)
    test, rest = stratified(labels, DIGITS_TEST, derive(0, 0, "digits/test"))
    targets = torch.from_numpy(labels)
    return Source(
        inputs[rest], targets[rest], inputs[test], targets[test], validation=DIGITS_VALIDATION, scale=16.0
    )


def _digits_table() -> np.ndarray[Any, Any]:
    """Shape (1797, 65): 64 pixels of 0-16 and the label. Read from the wheel: importing sklearn takes 1 s."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataUnavailable(
            "data set digits is read from scikit-learn, which is not installed here",
            hint="pip install scikit-learn",
        )
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow, and only where the file has moved

    found = load_digits()
    return np.column_stack([found.data, found.target])


def _torchvision(name: str, data_dir: Path) -> Source:
    from torchvision import datasets  # noqa: PLC0415 - importing torchvision takes 1 s that digits needn't pay

    build: dict[str, Callable[..., Any]] = {
        "mnist": datasets.MNIST,
        "fashion_mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }
    try:
        train = build[name](data_dir, train=True, download=True)
        test = build[name](data_dir, train=False, download=True)
    # torchvision raises RuntimeError for a failed download and anything at all for a damaged file.
    except Exception as error:
        raise DataUnavailable(
            f"data set {name} is not in {data_dir} and can't be downloaded: {_brief(error)}",
            hint=f"put torchvision's files of {name} into {data_dir}, or start the worker with --data FOLDER",
        ) from error
    inputs, targets = _arrays(train)
    return Source(inputs, targets, *_arrays(test), validation=len(targets) // 10, scale=255.0)


def _brief(error: Exception) -> str:
    """torchvision lists every mirror's error, line by line: the last says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _arrays(dataset: Any) -> tuple[Tensor, Tensor]:
    """uint8 (B, C, H, W) and int64 (B,). MNIST's files hold (B, H, W), CIFAR's (B, H, W, C)."""
    images = torch.as_tensor(dataset.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return images.contiguous(), torch.as_tensor(dataset.targets, dtype=torch.int64)
