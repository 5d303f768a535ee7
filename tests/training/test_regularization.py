"""What decay and L1 do to gradients and weights, against NumPy and autograd; batches in parts; patience."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.training.optimizers import build_optimizer, scaled_rate
from hpsearch.training.regularization import add_l1, parameter_groups
from hpsearch.vocabulary import hyperparameters
from tests.training.bench import Bench, digits


def one_step(decay_biases: bool = False, **params: Any) -> tuple[nn.Linear, dict[str, Any]]:
    """A layer after one sgd step on its regularizers alone, and its parameters before."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    before = {name: p.detach().double().numpy().copy() for name, p in model.named_parameters()}
    groups = parameter_groups(model, decay_biases=decay_biases)
    values = hyperparameters({}, {"learning_rate": 0.1}, params)
    optimizer = build_optimizer(groups, values)
    (model(torch.zeros(1, 4)).sum() * 0.0).backward()
    add_l1(groups.decaying, float(values["l1"]))
    optimizer.step()
    return model, before


@pytest.mark.parametrize(
    ("decay", "l1"), [(0.5, 0.0), (0.0, 0.2), (0.5, 0.2)], ids=["L2", "L1", "elastic net"]
)
def test_a_step_follows_the_gradient_of_the_penalty(decay: float, l1: float) -> None:
    """d/dw (wd / 2 w^2 + l1 |w|) = wd w + l1 sign(w) (Zou and Hastie 2005); biases stay."""
    model, before = one_step(weight_decay=decay, l1=l1)
    w = before["weight"]
    wanted = w - 0.1 * (decay * w + l1 * np.sign(w))
    assert model.weight.detach().numpy() == pytest.approx(wanted, abs=1e-6)
    assert model.bias.detach().numpy() == pytest.approx(before["bias"], abs=0)


def test_elastic_nets_gradient_is_autograds() -> None:
    weight = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (0.3 / 2 * weight.square().sum() + 0.2 * weight.abs().sum()).backward()
    pulled = nn.Parameter(weight.detach().clone())
    pulled.grad = 0.3 * pulled.detach()
    add_l1([pulled], 0.2)
    assert torch.allclose(pulled.grad, weight.grad)  # type: ignore[arg-type]


def test_biases_are_pulled_when_asked() -> None:
    model, before = one_step(decay_biases=True, weight_decay=0.5, l1=0.2)
    b = before["bias"]
    assert model.bias.detach().numpy() == pytest.approx(b - 0.1 * (0.5 * b + 0.2 * np.sign(b)), abs=1e-6)


def test_decay_biases_reaches_training(bench: Bench) -> None:
    _, spared = bench.run(digits(steps=20, learning_rate=0.1, weight_decay=0.5))
    _, pulled = bench.run(digits(steps=20, learning_rate=0.1, weight_decay=0.5, decay_biases=True))
    assert spared["loss"] != pulled["loss"]


@pytest.mark.parametrize("parts", [2, 3, 64])
def test_a_batch_in_parts_is_the_batch(bench: Bench, parts: int) -> None:
    work = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    _, whole = bench.run(digits(epochs=2, **work))
    _, summed = bench.run(digits(epochs=2, accumulate=parts, **work))
    assert summed["loss"].steps == whole["loss"].steps
    assert summed["loss"].values == pytest.approx(whole["loss"].values, rel=1e-4)
    assert summed["grad_norm"].values == pytest.approx(whole["grad_norm"].values, rel=1e-3)


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("linear", 4), ("sqrt", 2)])
def test_the_rate_follows_the_batch_size(bench: Bench, scaling: str, factor: float) -> None:
    params = hyperparameters({}, {"learning_rate": 0.01, "lr_scaling": scaling, "base_batch_size": 32})
    assert scaled_rate(params, 128) == pytest.approx(0.01 * factor)
    assert scaled_rate(params, 32) == 0.01
    scaled = digits(
        steps=12, batch_size=128, learning_rate=0.01, lr_scaling=scaling, base_batch_size=32, momentum=0.9
    )
    _, curves = bench.run(scaled)
    _, plain = bench.run(digits(steps=12, batch_size=128, learning_rate=0.01 * factor, momentum=0.9))
    assert curves["loss"].values == pytest.approx(plain["loss"].values)
    assert curves["learning_rate"].values == pytest.approx([0.01 * factor] * 2)


def test_training_ends_when_patience_runs_out(bench: Bench) -> None:
    work = {"learning_rate": 0.3, "momentum": 0.9}
    _, whole = bench.run(digits(epochs=40, **work))
    outcome, curves = bench.run(digits(epochs=40, patience=3, **work))
    values = whole["val_accuracy"].values
    losses = whole["val_loss"].values
    ranks = [(a, -loss) for a, loss in zip(values, losses, strict=True)]
    best, wanted = 0, len(ranks)
    for i, rank in enumerate(ranks):
        if rank > ranks[best]:
            best = i
        if i - best == 3:
            wanted = i + 1
            break
    assert wanted < 40
    assert len(curves["val_accuracy"].values) == wanted
    assert curves["loss"].values == whole["loss"].values[: wanted * 17]
    assert outcome.state == "completed"
    assert outcome.measurements["stopped_early_at"] == outcome.steps == wanted * 17
    assert outcome.value == max(values[:wanted])


def test_a_share_of_the_training_set_keeps_the_classes_shares(bench: Bench) -> None:
    outcome, _ = bench.run(digits(epochs=1, train_fraction=0.08, batch_size=16))
    assert outcome.measurements["train_size"] == 92
    assert outcome.measurements["classes"] == 10
    assert outcome.measurements["steps_per_epoch"] == 5
    assert outcome.measurements["val_size"] == 287
