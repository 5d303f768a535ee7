"""Models by name: mlp, cnn, and torchvision's classification models."""

# B batch, C channels, H height, W width, K classes

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from hpsearch.errors import TrialError, unknown
from hpsearch.space import Params
from hpsearch.training.layers import convolution, linear, normalization, pooled_size, pooling
from hpsearch.vocabulary import ACTIVATIONS, MODELS

ACTIVATION_MODULES: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}
NATIVE_SIZE = {"inception_v3": 299}  # pixels a model was made for, where that isn't 224


def build_model(name: str, shape: tuple[int, ...], classes: int, params: Params) -> nn.Module:
    """A model from inputs (B, *shape) to outputs (B, K). Raises TrialError for an unknown name."""
    if name not in MODELS:
        raise TrialError(unknown("model", name, MODELS))
    if name == "mlp":
        return mlp(math.prod(shape), classes, params)
    if name == "cnn":
        return cnn(shape, classes, params)
    return torchvision_model(name, shape, classes, params)


def activation(params: Params) -> nn.Module:
    name = str(params["activation"])
    if name not in ACTIVATION_MODULES:
        raise TrialError(unknown("activation", name, ACTIVATIONS))
    return ACTIVATION_MODULES[name]()


def mlp(features: int, classes: int, params: Params) -> nn.Module:
    """`hidden_layers` of `hidden_units`, each followed by normalization, activation and dropout, then a linear
    layer.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    widths = [features] + [int(params["hidden_units"])] * int(params["hidden_layers"])
    for wide, narrow in pairwise(widths):
        layers += [linear(wide, narrow, params), *normalization(narrow, params, images=False)]
        layers += [activation(params), *_dropout(params)]
    return nn.Sequential(*layers, linear(widths[-1], classes, params))


def cnn(shape: tuple[int, ...], classes: int, params: Params) -> nn.Module:
    """Blocks of 3 x 3 convolution, normalization, activation and pooling (max: 2 x 2), `channels` doubling, then a
    linear layer.

    Two blocks for images smaller than 16 pixels, three otherwise; images need at least 4 x 4 pixels.
    """
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise TrialError(f"model cnn needs images of at least 4 x 4 pixels, not inputs of shape {shape}")
    blocks = 2 if min(shape[1:]) < 16 else 3
    channels = [shape[0]] + [int(params["channels"]) * 2**i for i in range(blocks)]
    layers: list[nn.Module] = []
    height, width = shape[1:]
    for fewer, more in pairwise(channels):
        layers += [convolution(fewer, more, params), *normalization(more, params, images=True)]
        layers += [activation(params), pooling(params)]
        height, width = pooled_size(height, params), pooled_size(width, params)
    features = channels[-1] * height * width
    return nn.Sequential(*layers, nn.Flatten(), *_dropout(params), linear(features, classes, params))


def _dropout(params: Params) -> list[nn.Module]:
    share = float(params["dropout"])
    return [nn.Dropout(share)] if share > 0 else []


def torchvision_model(name: str, shape: tuple[int, ...], classes: int, params: Params) -> nn.Module:
    """torchvision's model without pretrained weights, its first convolution fitted to the channels, its residual
    branches skipped as `stochastic_depth` says.

    Where the model can't take images this small, they are enlarged to the size it was made for.
    """
    from torchvision.models import get_model  # noqa: PLC0415 - importing torchvision takes 1 s

    from hpsearch.training.stochastic_depth import apply_stochastic_depth  # noqa: PLC0415 - so does this

    # Their auxiliary heads would make training return a tuple.
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    if name in ("googlenet", "inception_v3"):
        extra["init_weights"] = True
    model: nn.Module = get_model(name, weights=None, num_classes=classes, **extra)
    _fit_channels(model, shape[0])
    apply_stochastic_depth(model, float(params["stochastic_depth"]))
    if _accepts(model, shape):
        return model
    size = NATIVE_SIZE.get(name, 224)
    return nn.Sequential(nn.Upsample(size=(size, size), mode="nearest"), model)


def _fit_channels(model: nn.Module, channels: int) -> None:
    """Replace the first convolution where it expects another number of channels."""
    for path, module in model.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if module.in_channels != channels:
            parent, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, _like(module, channels))
        return


def _like(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]  # stored as tuple[int, ...], always two
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )


def _accepts(model: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the model takes images of this size in training: tried without memory or arithmetic, by weights
    on the meta device.
    """
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    with torch.device("meta"), torch.no_grad():
        try:
            torch.func.functional_call(model, shapes, (torch.zeros(2, *shape),))
        # Models refuse sizes in their own ways: RuntimeError, AssertionError, ValueError, ...
        except Exception:
            return False
    return True
