"""Whether a model that is asked to evaluate does."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.training.evaluation_mode import evaluation_mode

INPUTS = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))


class Dropping(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5)


class BatchStatistics(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)) / x.std(0)


def test_layers_that_obey_eval_answer_the_same_twice_and_alone() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    found = evaluation_mode(model, INPUTS)
    assert max(found.values()) < 1e-5
    assert model.training


def test_dropout_that_never_goes_off_jitters() -> None:
    assert evaluation_mode(nn.Sequential(Dropping(), nn.Linear(6, 2)), INPUTS)["evaluation_jitter"] > 0.1


def test_statistics_of_the_batch_make_samples_depend_on_each_other() -> None:
    found = evaluation_mode(nn.Sequential(BatchStatistics(), nn.Linear(6, 2)), INPUTS)
    assert found["evaluation_jitter"] == 0
    assert found["batch_dependence"] > 0.02
