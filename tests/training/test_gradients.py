import pytest
import torch
from torch import nn

from hpsearch.errors import TrialError
from hpsearch.training.gradients import Gradients, arithmetic
from hpsearch.training.losses import build_loss
from tests.training.bench import Bench, digits


@pytest.mark.parametrize("parts", [1, 2, 5, 7])
def test_gradients_of_parts_add_up_to_the_batchs(parts: int) -> None:
    torch.manual_seed(0)
    model, loss = nn.Linear(6, 3), build_loss("cross_entropy", 0.1)
    inputs, targets = torch.randn(16, 6), torch.randint(3, (16,))
    wanted = torch.autograd.grad(loss(model(inputs), targets), list(model.parameters()))
    value = Gradients(model, loss, "float32", "cpu", parts).add(inputs, targets)
    assert float(value) == pytest.approx(float(loss(model(inputs), targets).detach()))
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)  # type: ignore[arg-type]


def test_bfloat16_is_the_products_precision_and_not_the_weights() -> None:
    model = nn.Linear(6, 3)
    with arithmetic("bfloat16", "cpu"):
        assert model(torch.ones(2, 6)).dtype == torch.bfloat16
    Gradients(model, build_loss("mse"), "bfloat16", "cpu", 1).add(torch.ones(2, 6), torch.ones(2, 3))
    assert model.weight.dtype == model.weight.grad.dtype == torch.float32  # type: ignore[union-attr]
    with pytest.raises(TrialError, match="'float32'"):
        arithmetic("float23", "cpu")


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_bfloat16_trains_like_float32_up_to_its_rounding(bench: Bench, model: str) -> None:
    work = {"model": model, "learning_rate": 0.02, "channels": 4}
    _, exact = bench.run(digits(epochs=1, **work))
    _, coarse = bench.run(digits(epochs=1, precision="bfloat16", **work))
    assert coarse["loss"] != exact["loss"]
    assert coarse["loss"].values == pytest.approx(exact["loss"].values, rel=0.05)
    assert coarse["val_loss"].values == pytest.approx(exact["val_loss"].values, rel=0.05)


def test_channels_last_changes_the_layout_alone(bench: Bench) -> None:
    work = {"model": "cnn", "learning_rate": 0.02, "channels": 4}
    _, plain = bench.run(digits(epochs=1, **work))
    _, last = bench.run(digits(epochs=1, channels_last=True, **work))
    assert last["loss"].values == pytest.approx(plain["loss"].values, rel=1e-3)
