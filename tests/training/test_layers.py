"""DropConnect and normalization against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.training.layers import DropConnectConv2d, DropConnectLinear, FractionalPooling, normalization
from hpsearch.training.models import build_model
from hpsearch.vocabulary import hyperparameters

SHARE = 0.3


def spread_of_draws(layer: nn.Module, inputs: torch.Tensor, draws: int) -> tuple[Any, Any]:
    """(mean, standard deviation) of training outputs over draws of the mask."""
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = torch.stack([layer(inputs) for _ in range(draws)]).double().numpy()
    return outputs.mean(0), outputs.std(0)


def test_dropconnect_has_the_mean_and_variance_of_weights_dropped_one_by_one() -> None:
    """E[y] = W x + b and Var[y_i] = p / (1 - p) sum_j (w_ij x_j)^2 (Wan et al. 2013, inverted)."""
    torch.manual_seed(1)
    layer = DropConnectLinear(6, 4, SHARE)
    inputs = torch.randn(1, 6)
    draws = 20_000
    mean, std = spread_of_draws(layer, inputs, draws)
    weight, x = layer.weight.detach().double().numpy(), inputs.double().numpy()
    wanted_std = np.sqrt(SHARE / (1 - SHARE) * np.square(weight * x).sum(1))
    wanted_mean = x @ weight.T + layer.bias.detach().double().numpy()
    assert np.all(np.abs(mean - wanted_mean) < 5 * wanted_std / np.sqrt(draws))
    assert std[0] == pytest.approx(wanted_std, rel=0.05)


def test_dropconnect_drops_weights_and_dropout_inputs() -> None:
    """Dropout takes an input from all units at once, so that units err together; DropConnect does not."""
    torch.manual_seed(1)
    weight = torch.ones(2, 1)
    connect, dropped = DropConnectLinear(1, 2, 0.5), nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 2))
    for layer in (connect, dropped[1]):
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        layer.weight.data = weight.clone()
    ones = torch.ones(1, 1)
    with torch.no_grad():
        pairs = {
            name: {tuple(layer(ones)[0].tolist()) for _ in range(100)}
            for name, layer in (("connect", connect), ("dropout", dropped))
        }
    assert pairs["dropout"] == {(0.0, 0.0), (2.0, 2.0)}
    assert pairs["connect"] == {(0.0, 0.0), (2.0, 2.0), (0.0, 2.0), (2.0, 0.0)}


def test_dropconnect_of_a_convolution_keeps_the_expectation() -> None:
    torch.manual_seed(2)
    layer, inputs = DropConnectConv2d(2, 3, SHARE), torch.randn(1, 2, 4, 4)
    mean, std = spread_of_draws(layer, inputs, 5_000)
    wanted = nn.functional.conv2d(inputs, layer.weight, layer.bias, padding=1).detach().numpy()
    assert np.all(np.abs(mean - wanted) < 5 * std / np.sqrt(5_000) + 1e-6)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_evaluation_uses_all_weights(model: str) -> None:
    plain = build_model(model, (1, 8, 8), 10, hyperparameters({}))
    dropping = build_model(model, (1, 8, 8), 10, hyperparameters({}, {"dropconnect": 0.5}))
    dropping.load_state_dict(plain.state_dict())  # the same names
    inputs = torch.randn(3, 1, 8, 8)
    assert torch.equal(dropping.eval()(inputs), plain.eval()(inputs))
    assert not torch.equal(dropping.train()(inputs), plain(inputs))


@pytest.mark.parametrize(
    ("name", "images", "axes"),
    [("batch", False, (0,)), ("batch", True, (0, 2, 3)), ("layer", False, (1,)), ("layer", True, (1, 2, 3))],
)
def test_normalization_takes_mean_and_variance_over_its_axes(
    name: str, images: bool, axes: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, 5, 4, 4) * 3 + 2 if images else torch.randn(8, 5) * 3 + 2
    [layer] = normalization(5, hyperparameters({}, {"normalization": name}), images=images)
    x = inputs.double().numpy()
    wanted = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    assert layer(inputs).detach().numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("name", ["batch", "layer"])
def test_each_hidden_layer_is_normalized_before_its_activation(model: str, name: str) -> None:
    params = hyperparameters({}, {"normalization": name, "hidden_layers": 2})
    kinds = [type(m) for m in build_model(model, (1, 8, 8), 10, params).children()]
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
    places = [i for i, kind in enumerate(kinds) if kind in norms]
    assert len(places) == 2
    assert all(kinds[i - 1] in (nn.Linear, nn.Conv2d) and kinds[i + 1] is nn.ReLU for i in places)


def test_fractional_pooling_takes_maxima_of_regions_in_order() -> None:
    """On pixels that grow to the right and downwards each region's maximum is its lower right corner: the
    corners, 1 or 2 pixels apart (Graham 2014), must grow, and end at the last pixel.
    """
    rising = torch.arange(11.0)[:, None] + torch.arange(11.0)[None] * 100
    torch.manual_seed(0)
    pooling = FractionalPooling()
    drawn = pooling.train()(rising.expand(2, 50, 11, 11))
    assert drawn.shape == (2, 50, 7, 7)  # floor(11 / sqrt 2)
    corners = drawn[:, :, :, 0].numpy() % 100
    assert set(np.diff(corners, axis=-1).ravel()) == {1.0, 2.0}
    assert set(corners[:, :, -1].ravel()) == {10.0}
    assert len({tuple(row) for row in corners.reshape(100, 7)}) > 1  # drawn for each map by itself
    fixed = pooling.eval()(rising.expand(2, 50, 11, 11))
    assert torch.equal(fixed, pooling(rising.expand(2, 50, 11, 11)))
    assert torch.equal(fixed, fixed[:1, :1].expand_as(fixed))


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_a_cnn_with_fractional_pooling_takes_every_image_size(shape: tuple[int, ...]) -> None:
    model = build_model("cnn", shape, 7, hyperparameters({}, {"pooling": "fractional"}))
    assert model.train()(torch.randn(2, *shape)).shape == (2, 7)
