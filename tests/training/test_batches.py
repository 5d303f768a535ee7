from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from hpsearch.errors import TrialError
from hpsearch.training.batches import TensorSamples, samples_of
from hpsearch.training.loading import Loading
from hpsearch.training.seeds import Seeds

LOADING = Loading(Seeds(0, 0))
INPUTS, TARGETS = torch.arange(14.0).reshape(7, 2), torch.arange(7)


@pytest.mark.parametrize("split", [(INPUTS, TARGETS), TensorDataset(INPUTS, TARGETS)])
def test_batches_come_in_the_order_of_their_indices(split: Any) -> None:
    samples = samples_of(split, "training", "cpu", LOADING)
    batches = list(samples.batches(torch.tensor([6, 0, 3, 5, 1]), 2))
    assert [targets.tolist() for _, targets in batches] == [[6, 0], [3, 5], [1]]
    assert all(torch.equal(inputs, INPUTS[targets]) for inputs, targets in batches)
    assert samples.take(torch.tensor([4, 2]))[1].tolist() == [4, 2]


def test_reading_a_dataset_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    samples = samples_of(TensorDataset(INPUTS, TARGETS), "training", "cpu", LOADING)
    list(samples.batches(torch.arange(7), 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_numpy_arrays_and_wide_types_become_what_models_take() -> None:
    samples = samples_of((np.zeros((3, 2)), np.array([0, 1, 2], dtype=np.int32)), "training", "cpu", LOADING)
    assert isinstance(samples, TensorSamples)
    assert (samples.inputs.dtype, samples.targets.dtype) == (torch.float32, torch.int64)


class Endless(Dataset[Any]):
    """Has no length."""


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ((INPUTS, TARGETS[:3]), "7 inputs and 3 targets"),
        ((INPUTS,), "pair of tensors"),
        ((INPUTS[:0], TARGETS[:0]), "no samples"),
        (Endless(), "with a length"),
        (TensorDataset(INPUTS[:0], TARGETS[:0]), "no samples"),
    ],
)
def test_what_is_no_split_is_named(split: Any, message: str) -> None:
    with pytest.raises(TrialError, match=message):
        samples_of(split, "validation", "cpu", LOADING)
