import math
from pathlib import Path

import pytest
import torch
from torch import nn

from hpsearch.records import Program
from hpsearch.training.monitors import UpdateMonitor, peak_memory, unit_statistics
from hpsearch.training.named import DatasetModel
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.prepared import prepare
from hpsearch.training.regularization import parameter_groups
from hpsearch.training.seeds import Seeds
from hpsearch.vocabulary import hyperparameters
from tests.training.bench import Bench, digits

MONITORS = {"grad_norm", "update_ratio", "gradient_ratio", "dead_fraction", "saturated_fraction"}


def test_the_gradient_ratio_is_the_first_weights_over_the_lasts() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 2))
    params = hyperparameters({}, {"learning_rate": 0.1})
    groups = parameter_groups(model)
    optimizer, monitor = build_optimizer(groups, params), UpdateMonitor(groups, params)
    model(torch.ones(3, 4)).square().sum().backward()
    before = monitor.before()
    optimizer.step()
    first, last = (float(model[i].weight.grad.norm()) for i in (0, 4))  # type: ignore[union-attr, operator]
    assert monitor.after(before, 1, 0.1).read()["gradient_ratio"] == pytest.approx(first / last)


@pytest.mark.parametrize(("activation", "name"), [("relu", "dead_fraction"), ("tanh", "saturated_fraction")])
def test_dead_and_saturated_units_are_counted(tmp_path: Path, activation: str, name: str) -> None:
    """Half of the units have biases that no input of digits outweighs."""
    task = DatasetModel("digits", "mlp", "accuracy", tmp_path)
    params = hyperparameters({}, {"activation": activation, "hidden_units": 20})
    prepared = prepare(task, params, Program(kind="train"), Seeds(0, 0), "cpu")
    model = prepared.new_model()
    nn.init.normal_(model[1].weight, std=1e-3)  # type: ignore[index, arg-type]
    before = unit_statistics(model, prepared)[name]
    with torch.no_grad():
        model[1].bias[:10] = -1e3  # type: ignore[index, union-attr, operator]
    assert (before, unit_statistics(model, prepared)[name]) == (0.0, pytest.approx(0.5))


def test_monitors_change_nothing_and_can_be_switched_off(bench: Bench) -> None:
    on, with_monitors = bench.run(digits(epochs=12, learning_rate=0.05, dropout=0.3))
    off, without = bench.run(digits(epochs=12, learning_rate=0.05, dropout=0.3, monitors=False))
    assert set(with_monitors) - set(without) == MONITORS
    assert {name: with_monitors[name] for name in without} == without
    assert on.value == off.value
    assert with_monitors["dead_fraction"].steps == (
        204,
    )  # the first epoch's end at which 200 steps lie behind


def test_speed_and_memory_are_measured(bench: Bench) -> None:
    found = bench.run(digits(epochs=1))[0].measurements
    seconds, speed = found["seconds"], found["samples_per_second"]
    assert isinstance(seconds, float)
    assert speed == pytest.approx(17 * 64 / seconds)
    assert found["peak_memory"] > 1e7  # type: ignore[operator]  # torch alone takes more
    assert math.isnan(peak_memory("mps"))
