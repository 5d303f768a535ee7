"""What hidden units do at initialization: the signal that arrives, dead and saturated units."""

# B batch, U units (channels of feature maps), P places within a channel

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.training.initialization import weight_layers

RECTIFIERS = (nn.ReLU, nn.ReLU6)
SATURATING = (nn.Sigmoid, nn.Tanh)
SATURATED = 0.01  # a sigmoid within this of 0 or 1, a tanh within twice this of -1 or 1


def activation_statistics(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Of one forward pass in the model's present mode.

    `signal_ratio`: std over the samples of what the last weight layer is given, over that of the inputs
    (root mean square over units); 1 for a model without hidden layers. `dead_fraction`: units that are 0
    for every sample, in the worst layer; seen behind ReLU modules and in front of weight layers, so that
    functional ReLUs count too. `saturated_fraction`: outputs of sigmoid and tanh modules within 1 % of an
    end of their range, in the worst layer; 0 without such modules.
    """
    seen = _Seen()
    with seen.watching(model), torch.no_grad():
        model(inputs)
    last = seen.last_input
    spread = _spread(inputs) if inputs.is_floating_point() else 1.0
    hidden = last is not None and len(list(weight_layers(model))) > 1
    return {
        "signal_ratio": _spread(last) / spread if hidden and last is not None and spread > 0 else 1.0,
        **seen.fractions(),
    }


def unit_fractions(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """`dead_fraction` and `saturated_fraction` of `activation_statistics` alone."""
    seen = _Seen()
    with seen.watching(model), torch.no_grad():
        model(inputs)
    return seen.fractions()


class _Seen:
    """Collects in forward hooks, which are removed when watching ends."""

    def __init__(self) -> None:
        self._dead: list[Tensor] = []  # on the device: all are read at once
        self._saturated: list[Tensor] = []
        self.last_input: Tensor | None = None

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        layers = list(weight_layers(model))
        handles = [
            m.register_forward_hook(self._rectified) for m in model.modules() if isinstance(m, RECTIFIERS)
        ]
        handles += [
            m.register_forward_hook(self._squashed) for m in model.modules() if isinstance(m, SATURATING)
        ]
        handles += [m.register_forward_pre_hook(self._given) for m in layers[1:]]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _rectified(self, module: nn.Module, given: Any, output: Tensor) -> None:
        self._dead.append(_dead_fraction(output))

    def _squashed(self, module: nn.Module, given: Any, output: Tensor) -> None:
        unit = output if isinstance(module, nn.Sigmoid) else (output + 1) / 2
        near_end = (unit < SATURATED) | (unit > 1 - SATURATED)
        self._saturated.append(near_end.float().mean())

    def _given(self, module: nn.Module, given: Any) -> None:
        self.last_input = given[0]
        self._dead.append(_dead_fraction(given[0]))

    def fractions(self) -> dict[str, float]:
        """Of the worst layers; 0 where nothing was seen."""
        found = {"dead_fraction": self._dead, "saturated_fraction": self._saturated}
        return {name: float(torch.stack(seen).max()) if seen else 0.0 for name, seen in found.items()}


def _units(values: Tensor) -> Tensor:
    """(B * P, U) of feature maps (B, U, ...); (B, U) stays."""
    if values.ndim == 1:
        return values[:, None]
    return values if values.ndim == 2 else values.movedim(1, -1).flatten(0, -2)


def _dead_fraction(values: Tensor) -> Tensor:
    return 1 - _units(values).any(0).float().mean()  # any: of what isn't 0


def _spread(values: Tensor) -> float:
    """Root mean square over units of the std over samples (and places)."""
    return math.sqrt(float(_units(values.float()).var(0, correction=0).mean()))
