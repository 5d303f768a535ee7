"""Averaged weights against the recursion written by hand in NumPy."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hpsearch.training.averaging import Averaged
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE
from tests.training.bench import Bench, StopAt, digits


def test_the_average_follows_the_recursion() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    averaged = Averaged(model, 0.9)
    wanted = None
    for _ in range(20):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        averaged.update()
        weight = model.weight.detach().double().numpy()
        wanted = weight.copy() if wanted is None else 0.9 * wanted + 0.1 * weight
        assert averaged.model.weight.detach().numpy() == pytest.approx(wanted, abs=1e-5)  # type: ignore[union-attr, operator]
    assert not np.allclose(model.weight.detach().numpy(), wanted)


def test_batch_norms_statistics_are_the_models_own() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    averaged = Averaged(model, 0.5)
    for _ in range(3):
        model(torch.randn(8, 3))
        averaged.update()
    assert torch.equal(averaged.model[1].running_mean, model[1].running_mean)  # type: ignore[index, arg-type]


def test_averaging_leaves_training_as_it_is_and_is_what_is_evaluated_and_kept(bench: Bench) -> None:
    work = {"learning_rate": 0.3, "momentum": 0.9, "dropout": 0.2}
    _, plain = bench.run(digits(epochs=3, **work))
    weights = load_file(bench.place.work_dir / BEST_FILE)
    _, averaged = bench.run(digits(epochs=3, ema_decay=0.95, **work))
    kept = load_file(bench.place.work_dir / BEST_FILE)
    assert averaged["loss"] == plain["loss"]
    assert averaged["val_loss"] != plain["val_loss"]
    assert set(kept) == set(weights)
    assert not torch.equal(kept["1.weight"], weights["1.weight"])


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_a_stopped_run_resumes_its_average_bit_for_bit(bench: Bench, normalization: str) -> None:
    wanted = digits(
        epochs=4, learning_rate=0.05, ema_decay=0.98, dropconnect=0.2, normalization=normalization
    )
    straight, whole = bench.run(wanted)
    best = (bench.place.work_dir / BEST_FILE).read_bytes()
    bench.run(wanted, StopAt(4))
    resumed, after = bench.run(wanted, start=bench.place.work_dir / LAST_FILE)
    assert (resumed.value, resumed.metrics) == (straight.value, straight.metrics)
    assert after["loss"].values == whole["loss"].values[-len(after["loss"].values) :]
    assert (bench.place.work_dir / BEST_FILE).read_bytes() == best
