"""Samples on their device, batched by index."""

# B batch, N samples

from collections.abc import Iterator, Sized
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from hpsearch.errors import TrialError
from hpsearch.training.loading import BatchLoader, Loading
from hpsearch.training.preprocessing import Preprocessing
from hpsearch.training.task import Split

Batch = tuple[Tensor, Tensor]
VECTORS_AT_ONCE = 4096  # vectors in one evaluation batch
IMAGES_AT_ONCE = 256  # images, whose activations are larger


class Samples(Protocol):
    """One split. Indices are int64 tensors on the CPU; batches come on the split's device."""

    @property
    def count(self) -> int: ...

    def batches(
        self, indices: Tensor, batch_size: int, draws: str = "evaluation", first: int = 0
    ) -> Iterator[Batch]:
        """The samples at `indices`, in that order; the last batch may be smaller. What a Dataset draws for
        batch n, counted from `first`, follows from (`draws`, n).
        """
        ...

    def take(self, indices: Tensor) -> Batch:
        """The samples at `indices` as one batch."""
        ...


class TensorSamples:
    """Inputs and targets held on the device as a whole."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs = inputs
        self.targets = targets

    @property
    def count(self) -> int:
        return len(self.targets)

    def batches(
        self, indices: Tensor, batch_size: int, draws: str = "evaluation", first: int = 0
    ) -> Iterator[Batch]:
        inputs, targets = self.inputs, self.targets
        for chosen in torch.split(indices.to(targets.device), batch_size):
            yield inputs.index_select(0, chosen), targets.index_select(0, chosen)

    def take(self, indices: Tensor) -> Batch:
        if len(indices) == self.count and bool((indices == torch.arange(self.count)).all()):
            return self.inputs, self.targets
        chosen = indices.to(self.targets.device)
        return self.inputs.index_select(0, chosen), self.targets.index_select(0, chosen)


class DatasetSamples:
    """A torch Dataset of (input, target), read by a loader."""

    def __init__(self, loader: BatchLoader, device: str, preprocessing: Preprocessing | None = None) -> None:
        self.loader = loader
        self.device = device
        self.preprocessing = preprocessing

    @property
    def count(self) -> int:
        return len(cast(Sized, self.loader.dataset))

    def preprocessed(self, preprocessing: Preprocessing) -> "DatasetSamples":
        """The same samples, read by the same workers."""
        return DatasetSamples(self.loader, self.device, preprocessing)

    def subset(self, indices: Tensor) -> "DatasetSamples":
        return DatasetSamples(
            self.loader.of(Subset(self.loader.dataset, indices.tolist())), self.device, self.preprocessing
        )

    def batches(
        self, indices: Tensor, batch_size: int, draws: str = "evaluation", first: int = 0
    ) -> Iterator[Batch]:
        for batch in self.loader.read(indices, batch_size, draws, first):
            inputs, targets = (part.to(self.device, non_blocking=True) for part in _pair(batch))
            yield inputs if self.preprocessing is None else self.preprocessing(inputs), targets

    def take(self, indices: Tensor) -> Batch:
        parts = list(self.batches(indices, IMAGES_AT_ONCE))
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def samples_of(split: Split, name: str, device: str, loading: Loading) -> Samples:
    """A task's split on the device. Raises TrialError where it isn't what `Data` promises."""
    if not isinstance(split, tuple | list):
        if not (hasattr(split, "__getitem__") and isinstance(split, Sized)):
            raise TrialError(
                f"{name} data must be (inputs, targets) or a Dataset with a length, not {split!r}"
            )
        samples: Samples = DatasetSamples(BatchLoader(split, name, loading, pin=device == "cuda"), device)
    else:
        samples = _tensor_samples(split, name, device)
    if samples.count == 0:
        raise TrialError(f"{name} data hold no samples")
    return samples


def _tensor_samples(split: Any, name: str, device: str) -> TensorSamples:
    if len(split) != 2 or not all(isinstance(part, Tensor | np.ndarray) for part in split):
        raise TrialError(f"{name} data must be a pair of tensors, (inputs, targets)")
    inputs, targets = _plain(*(torch.as_tensor(part) for part in split))
    if len(inputs) != len(targets):
        raise TrialError(f"{name} data have {len(inputs)} inputs and {len(targets)} targets")
    return TensorSamples(inputs.to(device), targets.to(device))


def _pair(batch: Any) -> Batch:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TrialError(f"a Dataset must give pairs (input, target), not {type(batch).__name__} as here")
    return _plain(*batch)


def _plain(inputs: Any, targets: Any) -> Batch:
    """float64 as float32, the models' dtype; other integers as int64, what class losses take."""
    if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
        raise TrialError(
            f"a batch must be two tensors, not {type(inputs).__name__}, {type(targets).__name__}"
        )
    inputs = inputs.float() if inputs.dtype == torch.float64 else inputs
    if targets.is_floating_point():
        return inputs, targets.float()
    return inputs, targets.long()
