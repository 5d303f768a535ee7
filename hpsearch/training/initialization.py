"""Initial weights. Biases become 0, recurrent layers orthogonal; embeddings and norm layers are left as the model
made them, but by `reset`.
"""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.vocabulary import INITIALIZATIONS

WeightLayer = nn.Linear | _ConvNd
# Gains that keep the forward variance: ReLU 2 (He et al. 2015), its smooth relatives about the same.
_GAINS = {"sigmoid": 1.0, "tanh": 5 / 3, "elu": 1.25}
# A 2 x 2 maximum of rectified, neighbouring values has about 1.5 times their mean square (measured on digits
# and on smooth noise of 28 and 32 pixels): three poolings would more than double the variance of the logits.
_POOLED = math.sqrt(1.5)


def initialize(model: nn.Module, params: Params) -> None:
    """Set weights in place by `initialization`, then multiply the output layer's by `output_scale`.

    Draws from torch's global generator. The output layer has no activation behind it, so kaiming gives it
    gain 1 (LeCun): with gain 2 the initial loss of a sound classifier would exceed log K by half. A layer
    behind max pooling gets a gain smaller by sqrt(1.5).
    """
    name = str(params["initialization"])
    if name not in INITIALIZATIONS:
        raise TrialError(unknown("initialization", name, INITIALIZATIONS))
    layers = list(weight_layers(model))
    if name == "reset":
        _reset(model)
    elif name != "framework":
        pooled = _behind_pooling(model)
        for layer in layers:
            gain = 1.0 if layer is layers[-1] else _GAINS.get(str(params["activation"]), math.sqrt(2))
            _initialize_layer(layer, name, params, gain / _POOLED if layer in pooled else gain)
        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                _initialize_recurrent(module, name, params)
    scale = float(params["output_scale"])
    if scale != 1.0 and layers:
        with torch.no_grad():
            layers[-1].weight.mul_(scale)


def _reset(model: nn.Module) -> None:
    """What each layer draws when it is made, norm layers and embeddings included."""
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()


def weight_layers(model: nn.Module) -> Iterator[WeightLayer]:
    """Linear and convolution layers in the order the model holds them; the last is the output layer."""
    return (module for module in model.modules() if isinstance(module, nn.Linear | _ConvNd))


def _initialize_recurrent(module: nn.RNNBase, name: str, params: Params) -> None:
    """Recurrent layers: inputs' weights by Glorot and Bengio (2010), recurrent ones orthogonal (Saxe et al.
    2014), biases 0, an LSTM's forget gate 1 (Jozefowicz et al. 2015); `normal` and `zeros` as they say.
    """
    size = module.hidden_size
    for key, parameter in module.named_parameters(recurse=False):
        values = parameter.detach()
        if key.startswith("bias"):
            values.zero_()
            if isinstance(module, nn.LSTM) and key.startswith("bias_ih") and name != "zeros":
                values[size : 2 * size] = 1.0
        elif name in ("normal", "zeros"):
            std = float(params["initialization_std"]) if name == "normal" else 0.0
            values.normal_(std=std) if std else values.zero_()
        else:
            spread = nn.init.orthogonal_ if key.startswith("weight_hh") else nn.init.xavier_uniform_
            for gate in torch.split(values, size):
                spread(gate)


def _behind_pooling(model: nn.Module) -> set[nn.Module]:
    """The weight layers that come next after a max pooling, in the order the model holds them."""
    found, pooled = set[nn.Module](), False
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d | nn.FractionalMaxPool2d):
            pooled = True
        elif isinstance(module, nn.Linear | _ConvNd):
            if pooled:
                found.add(module)
            pooled = False
    return found


def _initialize_layer(layer: WeightLayer, name: str, params: Params, gain: float) -> None:
    match name:
        case "xavier":
            nn.init.xavier_uniform_(layer.weight)
        case "kaiming":
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=gain / math.sqrt(max(fan_in, 1)))
        case "normal":
            nn.init.normal_(layer.weight, std=float(params["initialization_std"]))
        case "zeros":
            nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
