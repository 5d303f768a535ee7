"""Fixed parts of a training set."""

import torch
from torch import Tensor

from hpsearch.training.batches import DatasetSamples, Samples, TensorSamples
from hpsearch.training.seeds import Seeds
from hpsearch.training.splits import stratified


def fraction_of(train: Samples, fraction: float, seeds: Seeds) -> Samples:
    """A share of the training set, at least one sample: class-stratified in memory, else drawn at random."""
    count = max(1, round(fraction * train.count))
    if count == train.count:
        return train
    if isinstance(train, TensorSamples):
        return subset_of(train, count, seeds, "train_fraction")
    assert isinstance(train, DatasetSamples)
    return train.subset(some_of(train, count, seeds, "train_fraction"))


def subset_of(train: Samples, count: int, seeds: Seeds, purpose: str = "subset") -> TensorSamples:
    """A fixed, class-stratified part of the training set, in memory."""
    count = min(count, train.count)
    # A Dataset says its labels only by being read: choose among four times as many as are wanted.
    candidates = (
        torch.arange(train.count)
        if isinstance(train, TensorSamples)
        else some_of(train, 4 * count, seeds, "subset_candidates")
    )
    inputs, targets = train.take(candidates)
    if isinstance(train, DatasetSamples):
        train.loader.close()
    labels = targets[:, 0].long() if targets.ndim == 2 and targets.shape[1] == 1 else targets
    chosen, _ = stratified(labels.cpu().numpy(), count, seeds.derive(purpose))
    index = torch.from_numpy(chosen).to(targets.device)
    return TensorSamples(inputs.index_select(0, index), targets.index_select(0, index))


def some_of(samples: Samples, count: int, seeds: Seeds, purpose: str) -> Tensor:
    """Indices of up to `count` samples, sorted."""
    if samples.count <= count:
        return torch.arange(samples.count)
    chosen = torch.randperm(samples.count, generator=seeds.generator(purpose))[:count]
    return chosen.sort().values
