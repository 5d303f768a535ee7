"""Layers that are frozen, and layers that learn at a share of the rate."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from hpsearch.errors import TrialError
from hpsearch.training.layer_groups import freeze, layer_groups, rate_factors
from hpsearch.training.monitors import UpdateMonitor
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.regularization import parameter_groups
from hpsearch.vocabulary import OPTIMIZERS, hyperparameters
from tests.training.bench import Bench, digits
from tests.training.test_program import TASK, file_task, training


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, 4),
        nn.Linear(4, 2),
    )


def test_a_resnets_groups_are_its_stem_its_blocks_and_its_head() -> None:
    blocks = [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]
    with torch.device("meta"):
        resnet = get_model("resnet18", weights=None)
        wrapped = nn.Sequential(nn.Upsample(size=(224, 224)), resnet)
    assert [group.name for group in layer_groups(resnet)] == ["conv1", "bn1", *blocks, "fc"]
    assert [group.name for group in layer_groups(wrapped)] == [
        f"1.{n}" for n in ("conv1", "bn1", *blocks, "fc")
    ]


@pytest.mark.parametrize(
    "name", ["vit_b_32", "mobilenet_v3_small", "densenet121", "swin_t", "vgg11", "squeezenet1_1"]
)
def test_groups_hold_every_parameter_once(name: str) -> None:
    with torch.device("meta"):
        model = get_model(name, weights=None)
    groups = layer_groups(model)
    held = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    assert len(groups) >= 10 or name == "vgg11"
    assert groups[-1].name.startswith(("head", "classifier"))


def test_frozen_layers_keep_their_weights_and_their_statistics() -> None:
    model = small()
    freeze(model, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = build_optimizer(parameter_groups(model), hyperparameters({}, {"learning_rate": 0.1}))
    for _ in range(3):
        model.train()
        model(torch.rand(16, 6)).square().sum().backward()
        optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"5.weight", "5.bias", "6.weight", "6.bias"}


def test_all_but_the_head_can_be_frozen_and_the_head_cannot() -> None:
    model = small()
    freeze(model, -1)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["6.weight", "6.bias"]
    with pytest.raises(TrialError, match=r"freeze_layers = 4 .* has 4 layers, 1, 2, 5, 6") as refused:
        freeze(small(), 4)
    assert refused.value.hint is not None
    assert "at most 3" in refused.value.hint


def test_rates_fall_geometrically_from_the_head() -> None:
    model = small()
    params = hyperparameters({}, {"layer_lr_decay": 0.5, "backbone_lr_factor": 0.1})
    factors = rate_factors(model, params)
    found = [
        factors[dict(model.named_parameters())[name]] for name in ("1.weight", "2.bias", "5.weight", "6.bias")
    ]
    assert found == pytest.approx([0.1 * 0.5**3, 0.1 * 0.5**2, 0.1 * 0.5, 1.0])
    assert rate_factors(model, hyperparameters({})) == {}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_factor_scales_a_step_as_a_lower_learning_rate_would(name: str) -> None:
    def stepped(rate: float, **more: float) -> list[torch.Tensor]:
        model = small()
        params = hyperparameters({}, {"optimizer": name, "learning_rate": rate, "weight_decay": 0.1, **more})
        groups = parameter_groups(model, factors=rate_factors(model, params))
        optimizer = build_optimizer(groups, params)
        model.eval()(torch.ones(4, 6)).square().sum().backward()
        optimizer.step()
        return [p.detach() for p in model.parameters()]

    mixed, slow, fast = stepped(0.01, backbone_lr_factor=0.1), stepped(0.001), stepped(0.01)
    assert all(torch.allclose(a, b) for a, b in zip(mixed[:-2], slow[:-2], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(mixed[-2:], fast[-2:], strict=True))


def test_the_update_ratio_leaves_each_layers_own_decay_out() -> None:
    params = hyperparameters(
        {}, {"optimizer": "adamw", "learning_rate": 1e-2, "weight_decay": 0.1, "backbone_lr_factor": 0.01}
    )
    model = small().eval()
    groups = parameter_groups(model, factors=rate_factors(model, params))
    optimizer, monitor = build_optimizer(groups, params), UpdateMonitor(groups, params)
    (model(torch.ones(1, 6)).sum() * 0.0).backward()
    before = monitor.before()
    optimizer.step()
    assert monitor.after(before, 1, 1e-2).read()["update_ratio"] < 1e-6


def test_a_tasks_own_knobs_of_these_names_are_its_own_business(bench: Bench, tmp_path: Path) -> None:
    knobs = "{'freeze_layers': {'choices': ['stem', 'all'], 'default': 'stem'}, 'compile': {'choices': ['max']}, 'num_workers': {'choices': ['auto']}, "
    source = TASK.replace("knobs = {", f"knobs = {knobs}")
    outcome, _ = bench.run(training(file_task(tmp_path, source), learning_rate=0.1), tasks_dir=tmp_path)
    assert outcome.state == "completed", outcome.message


def test_the_schedules_rate_is_the_heads_and_factors_change_the_rest(bench: Bench) -> None:
    wanted = digits(
        epochs=2,
        learning_rate=0.05,
        schedule="cosine",
        layer_lr_decay=0.5,
        weight_decay=1e-4,
        hidden_layers=2,
    )
    outcome, curves = bench.run(wanted)
    _, other = bench.run(wanted.model_copy(update={"params": {**wanted.params, "layer_lr_decay": 1.0}}))
    assert outcome.state == "completed", outcome.message
    assert curves["learning_rate"] == other["learning_rate"]
    assert curves["loss"] != other["loss"]
