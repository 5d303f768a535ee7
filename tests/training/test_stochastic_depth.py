"""Stochastic depth against Huang et al. 2016 (linear decay of survival, expectation) in every residual family."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import StochasticDepth

from hpsearch.training.models import build_model
from hpsearch.training.stochastic_depth import _Skipped, apply_stochastic_depth, residual_blocks
from hpsearch.vocabulary import hyperparameters, is_residual
from tests.training.bench import Bench, digits

BLOCKS = {
    "resnet18": 8, "resnet50": 16, "resnext50_32x4d": 16, "wide_resnet50_2": 16, "regnet_x_400mf": 22,
    "mobilenet_v2": 10, "mobilenet_v3_small": 6, "mnasnet0_5": 10, "vit_b_32": 12, "convnext_tiny": 18,
    "efficientnet_b0": 9, "efficientnet_v2_s": 35, "swin_t": 12, "swin_v2_t": 12,
}  # fmt: skip


def probabilities(model: nn.Module) -> list[float]:
    """Of each branch, by what it has been given."""
    found = []
    for branches in residual_blocks(model):
        hooks = [
            [h.probability for h in b._forward_hooks.values() if isinstance(h, _Skipped)] for b in branches
        ]
        own = [branch.p for branch in branches if isinstance(branch, StochasticDepth)]
        assert all(len(hook) <= 1 for hook in hooks)
        found.append(own[0] if own else hooks[0][0])
    return found


@pytest.mark.parametrize("name", BLOCKS)
def test_survival_decays_linearly_over_every_familys_residual_blocks(name: str) -> None:
    """1 - l / L (1 - p_L), the paper's equation 4."""
    # torchvision computes a regnet's widths with tensors, which must have values.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = get_model(name, weights=None)
    apply_stochastic_depth(model, 0.5)
    survival = [1 - place / BLOCKS[name] * (1 - 0.5) for place in range(1, BLOCKS[name] + 1)]
    assert [1 - p for p in probabilities(model)] == pytest.approx(survival)
    assert is_residual(name)


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg11", "densenet121", "googlenet", "shufflenet_v2_x1_0", "squeezenet1_1"]
)
def test_models_that_add_nothing_have_no_blocks(name: str) -> None:
    with torch.device("meta"):
        extra = {"init_weights": True} if name == "googlenet" else {}
        assert residual_blocks(get_model(name, weights=None, **extra)) == []
    assert not is_residual(name)


@pytest.mark.parametrize("block", [BasicBlock(4, 4), Bottleneck(16, 4)])
def test_a_skipped_branch_leaves_the_shortcut_and_a_kept_one_is_scaled(block: nn.Module) -> None:
    torch.manual_seed(0)
    inputs = torch.rand(2000, 16 if isinstance(block, Bottleneck) else 4, 2, 2)
    whole = block.train()(inputs).detach()
    apply_stochastic_depth(block, 0.25)
    outputs = block(inputs).detach()
    kept = torch.relu(inputs + (whole_branch := _branch(block, inputs)) / 0.75)
    is_skipped = (outputs == inputs).flatten(1).all(1)
    assert torch.allclose(outputs[~is_skipped], kept[~is_skipped], atol=1e-5)
    assert float(is_skipped.float().mean()) == pytest.approx(0.25, abs=0.04)  # 4 standard errors
    assert torch.allclose(torch.relu(inputs + whole_branch), whole, atol=1e-5)


def _branch(block: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """The residual branch alone, written out."""
    branch = torch.relu(block.bn1(block.conv1(inputs)))  # type: ignore[operator]
    if isinstance(block, Bottleneck):
        branch = torch.relu(block.bn2(block.conv2(branch)))
        normed, last = block.bn3, block.conv3
    else:
        normed, last = block.bn2, block.conv2  # type: ignore[assignment]
    found: torch.Tensor = normed.forward(last(branch))  # without its hook
    return found.detach()


def test_evaluation_uses_every_branch_and_names_stay_torchvisions() -> None:
    params = hyperparameters({}, {"stochastic_depth": 0.9})
    model = build_model("resnet18", (3, 32, 32), 10, params).eval()
    plain = get_model("resnet18", weights=None, num_classes=10).eval()
    plain.load_state_dict(model.state_dict())
    inputs = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(inputs), plain(inputs))


def test_zero_switches_off_what_a_model_brings() -> None:
    with torch.device("meta"):
        model = build_model("efficientnet_b0", (3, 224, 224), 10, hyperparameters({}))
    assert probabilities(model) == [0.0] * 9


def test_it_is_drawn_anew_each_step_and_the_same_in_each_run(bench: Bench) -> None:
    wanted = digits(model="resnet18", steps=3, learning_rate=1e-3, batch_size=8, train_fraction=0.05)
    dropped = wanted.model_copy(update={"params": {**wanted.params, "stochastic_depth": 0.8}})
    _, plain = bench.run(wanted)
    _, first = bench.run(dropped)
    assert bench.run(dropped)[1]["loss"] == first["loss"]
    assert first["loss"] != plain["loss"]
