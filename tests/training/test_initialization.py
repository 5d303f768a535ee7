import math

import pytest
import torch
from torch import nn

from hpsearch.training.initialization import initialize, weight_layers
from hpsearch.vocabulary import INITIALIZATIONS, hyperparameters


def wide(**params: float | str) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1000, 800), nn.ReLU(), nn.Linear(800, 500))
    initialize(model, hyperparameters({}, params))
    return [layer.weight.detach() for layer in weight_layers(model)]


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_every_initialization_of_the_vocabulary_works(name: str) -> None:
    assert all(bool(torch.isfinite(w).all()) for w in wide(initialization=name))


def test_kaiming_is_he_for_hidden_layers_and_gain_1_for_the_output() -> None:
    hidden, output = wide(initialization="kaiming")
    assert float(hidden.std()) == pytest.approx(math.sqrt(2 / 1000), rel=0.01)
    assert float(output.std()) == pytest.approx(math.sqrt(1 / 800), rel=0.01)


def test_normal_has_the_std_asked_for() -> None:
    assert float(wide(initialization="normal", initialization_std=0.3)[0].std()) == pytest.approx(
        0.3, rel=0.01
    )


def test_zeros_are_zeros() -> None:
    assert not any(bool(w.any()) for w in wide(initialization="zeros"))


def test_output_scale_touches_the_output_layer_alone() -> None:
    plain, scaled = wide(initialization="kaiming"), wide(initialization="kaiming", output_scale=10.0)
    assert torch.equal(plain[0], scaled[0])
    assert torch.allclose(10 * plain[1], scaled[1])


def test_framework_leaves_the_models_own_weights() -> None:
    torch.manual_seed(0)
    own = nn.Linear(1000, 800).weight
    assert torch.equal(wide(initialization="framework")[0], own)


def test_reset_draws_what_each_layer_draws_when_it_is_made() -> None:
    torch.manual_seed(0)
    fresh = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.GRU(3, 2))
    spoilt = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.GRU(3, 2))
    with torch.no_grad():
        for parameter in spoilt.parameters():
            parameter.mul_(0)
    torch.manual_seed(0)
    initialize(spoilt, hyperparameters({}, {"initialization": "reset"}))
    assert all(torch.equal(a, b) for a, b in zip(spoilt.parameters(), fresh.parameters(), strict=True))


@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_weights_are_orthogonal_and_biases_zero(cell: type[nn.RNNBase]) -> None:
    model = nn.ModuleList([cell(5, 8, num_layers=2), nn.Linear(8, 2)])
    initialize(model, hyperparameters({}, {"initialization": "kaiming"}))
    layer = model[0]
    assert isinstance(layer, nn.RNNBase)
    for gate in torch.split(layer.get_parameter("weight_hh_l1").detach(), 8):
        assert torch.allclose(gate @ gate.T, torch.eye(8), atol=1e-5)
    biases = layer.get_parameter("bias_ih_l0").detach()
    forget = biases[8:16] if cell is nn.LSTM else biases[:0]
    assert float(biases.sum()) == float(len(forget))
    assert bool((forget == 1).all())
