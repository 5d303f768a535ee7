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

    last = 0  # samples of the last training batch

    def __init__(self, model: nn.Module, limit: int) -> None:
        super().__init__()
        self.model = model
        self.limit = limit

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and len(inputs) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB\nmore lines")
        Limited.last = len(inputs) if self.training else Limited.last
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


class _Stuffed(torch.optim.Adam):
    """An optimizer whose state is too much beside a batch of more than 8."""

    room = 8

    def step(self, *args: Any) -> None:  # type: ignore[override]
        if self.room < Limited.last:
            raise torch.OutOfMemoryError("CUDA out of memory")
        super().step(*args)


def test_the_batch_that_fits_leaves_room_for_the_optimizers_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_to(monkeypatch, 64)
    monkeypatch.setattr("torch.optim.Adam", _Stuffed)
    outcome, _ = bench.run(digits(epochs=1, optimizer="adam"))
    assert outcome.reason == FailureReason.OOM
    assert "batch_size = 8, or accumulate = 8" in outcome.message


def test_out_of_memory_says_when_nothing_fits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_to(monkeypatch, 0)
    outcome, _ = bench.run(digits(epochs=1))
    assert outcome.reason == FailureReason.OOM
    assert "not even one sample fits" in outcome.message
