import pytest
import torch
from torch import Tensor, nn

from hpsearch.space import Params
from hpsearch.training.monitors import UpdateMonitor
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.regularization import add_l1, decay_in_update, parameter_groups, penalty
from hpsearch.vocabulary import OPTIMIZERS, hyperparameters


def trained(
    steps: int = 5, gradient_scale: float = 1.0, **params: float | str | bool
) -> tuple[Tensor, Params]:
    """A single weight matrix after some steps of an optimizer."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    values = hyperparameters({}, {"learning_rate": 0.1}, params)
    optimizer = build_optimizer(parameter_groups(model), values)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(torch.ones(1, 3)).square().sum() * gradient_scale).backward()
        optimizer.step()
    return model.weight.detach(), values


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_vocabulary_moves_weights(name: str) -> None:
    before, _ = trained(steps=0)
    after, _ = trained(optimizer=name)
    assert float((after - before).abs().max()) > 1e-4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_pulls_weights_when_gradients_are_zero(name: str) -> None:
    before, _ = trained(steps=0)
    after, _ = trained(steps=1, gradient_scale=0.0, optimizer=name, weight_decay=0.5)
    assert bool(((after - before) * before < 0).all())


def test_the_optimizers_differ() -> None:
    ends = [trained(steps=3, optimizer=name)[0] for name in OPTIMIZERS]
    alike = [(i, j) for i in range(len(ends)) for j in range(i) if torch.equal(ends[i], ends[j])]
    assert alike == [(6, 5)]  # adamw and adam without weight decay


def test_plain_sgd_has_no_momentum_unless_it_is_set() -> None:
    assert trained(optimizer="sgd")[1]["momentum"] == 0.0
    assert torch.equal(trained(optimizer="sgd", momentum=0.9)[0], trained(optimizer="momentum")[0])
    assert torch.equal(
        trained(optimizer="sgd", momentum=0.9, nesterov=True)[0], trained(optimizer="nesterov")[0]
    )


def test_biases_and_norm_scales_never_decay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.LayerNorm((4, 6, 6)), nn.Linear(6, 2))
    groups = parameter_groups(model)
    assert [tuple(p.shape) for p in groups.weights] == [(4, 1, 3, 3), (2, 6)]
    optimizer = build_optimizer(groups, hyperparameters({}, {"weight_decay": 0.5}))
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert {decays[id(p)] for p in groups.weights} == {0.5}
    assert {decays[id(p)] for p in groups.others} == {0.0}
    assert len(decays) == len(list(model.parameters()))


def test_adamw_without_weight_decay_has_none() -> None:
    before, _ = trained(steps=0)
    after, _ = trained(steps=1, gradient_scale=0.0, optimizer="adamw")
    assert torch.equal(before, after)


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(requires_grad=False)
    assert len(parameter_groups(model).all) == 2


def test_l1_adds_the_sign_of_weights_to_gradients() -> None:
    weight = nn.Parameter(torch.tensor([[1.0, -2.0, 0.0]]))
    weight.grad = torch.tensor([[0.5, 0.5, 0.5]])
    add_l1([weight], 0.1)
    assert weight.grad.tolist() == [[pytest.approx(0.6), pytest.approx(0.4), 0.5]]


def test_penalty_is_what_the_gradients_pull_towards() -> None:
    weight = nn.Parameter(torch.tensor([[1.0, -2.0]]))
    assert penalty([weight], {"weight_decay": 0.5, "l1": 0.1}) == pytest.approx(0.25 * 5 + 0.1 * 3)


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adamw"])
def test_update_ratio_leaves_decay_out(name: str) -> None:
    """A dead net moves by decay alone: its ratio must be (nearly) zero, while a living one's is not."""
    params = hyperparameters({}, {"learning_rate": 1e-3, "optimizer": name, "weight_decay": 0.1})
    torch.manual_seed(0)
    model = nn.Linear(30, 20)
    groups = parameter_groups(model)
    optimizer = build_optimizer(groups, params)
    monitor = UpdateMonitor(groups, params)
    for step in range(1, 21):
        optimizer.zero_grad()
        (model(torch.ones(1, 30)).sum() * 0.0).backward()
        before = monitor.before()
        optimizer.step()
        found = monitor.after(before, step, 1e-3).read()
        moved = 1e-3 * 0.1 * (decay_in_update(params, step) or 0.0)
        assert found["update_ratio"] < 0.02 * moved
        assert found["grad_norm"] == 0.0


def test_update_ratio_of_a_plain_step_is_rate_times_gradient_over_weight() -> None:
    params = hyperparameters({}, {"learning_rate": 0.01})
    model = nn.Linear(3, 2, bias=False)
    groups = parameter_groups(model)
    optimizer, monitor = build_optimizer(groups, params), UpdateMonitor(groups, params)
    size = float(model.weight.detach().norm())
    model(torch.ones(1, 3)).sum().backward()
    before = monitor.before()
    optimizer.step()
    found = monitor.after(before, 1, 0.01).read()
    assert found["grad_norm"] == pytest.approx(6**0.5)
    assert found["update_ratio"] == pytest.approx(0.01 * 6**0.5 / size, rel=1e-4)
