from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpsearch.records import FailureReason
from hpsearch.space import Params
from hpsearch.training.models import build_model
from tests.training.bench import Bench, digits


class Limited(nn.Module):
    """A model for which memory runs out above so many samples in training."""

    def __init__(self, model: nn.Module, limit: int) -> None:
        super().__init__()
        self.model = model
        self.limit = limit

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and len(inputs) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB\nmore lines")
        outputs: Tensor = self.model(inputs)
        return outputs


def limit_to(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    def limited(name: str, shape: Any, classes: int, params: Params) -> nn.Module:
        return Limited(build_model(name, shape, classes, params), limit)

    monkeypatch.setattr("hpsearch.training.named.build_model", limited)


def test_out_of_memory_names_the_batch_that_fits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_to(monkeypatch, 20)
    outcome, _ = bench.run(digits(epochs=1))
    assert (outcome.state, outcome.reason) == ("failed", FailureReason.OOM)
    assert "batches of 64 ran out of memory: CUDA out of memory" in outcome.message
    assert "batch_size = 16, or accumulate = 4" in outcome.message
    assert bench.run(digits(epochs=1, accumulate=4))[0].state == "completed"
    assert bench.run(digits(epochs=1, batch_size=16))[0].state == "completed"


def test_out_of_memory_says_when_nothing_fits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_to(monkeypatch, 0)
    outcome, _ = bench.run(digits(epochs=1))
    assert outcome.reason == FailureReason.OOM
    assert "not even one sample fits" in outcome.message
