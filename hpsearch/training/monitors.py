"""Gradient norms and update ratio of single steps; dead and saturated units; speed and memory."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.space import Params
from hpsearch.training.activations import unit_fractions
from hpsearch.training.prepared import Prepared
from hpsearch.training.regularization import Groups, decay_in_update

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Measured:
    """One step's norms, still on the device: reading them waits for it, so many steps are read at once.

    `norms` holds, tensor by tensor, the norms of all gradients, then of the weights, then of their changes.
    """

    norms: Tensor
    gradients: int
    weights: int
    decay: float  # of the gradient, where decay can't be taken out of the update; else 0

    def read(self) -> dict[str, float]:
        """`grad_norm`; `update_ratio`, NaN for a model without weights that decay could pull; and, with two
        weights or more, `gradient_ratio`: the norm of the first one's gradient over the last one's.
        """
        norms: list[float] = self.norms.tolist()
        end = self.gradients + self.weights
        gradient, size = math.hypot(*norms[: self.gradients]), math.hypot(*norms[self.gradients : end])
        found = {"grad_norm": gradient, "update_ratio": math.nan}
        # Gradients come weights first, in the model's order.
        if 1 < self.weights <= self.gradients:
            last = norms[self.weights - 1]
            found["gradient_ratio"] = norms[0] / last if last > 0 else math.nan
        if size == 0:
            return found
        ratio = math.hypot(*norms[end:]) / size
        if self.decay > 0:
            # Adam's own scaling mixes both; their shares of its input are the best that can be said.
            pulled = gradient + self.decay * size
            ratio = ratio * gradient / pulled if pulled > 0 else 0.0
        return {**found, "update_ratio": ratio}


class UpdateMonitor:
    """Measures one step: `before` the update, when the gradients of the loss alone are there, and `after`.

    update_ratio = ||part of the update that the gradient caused|| / ||w||, over weights (not biases or norm
    scales): decay's part is taken out, since a dead net still shows lr * weight_decay (recipe.md step 3).
    """

    def __init__(self, groups: Groups, params: Params) -> None:
        self._parameters = groups.all
        self._params = params
        self._weights = [w.detach() for w in groups.weights]
        self._before = [torch.empty_like(w) for w in self._weights]
        self._decay = float(params["weight_decay"])
        self._factors = [groups.factors.get(w, 1.0) for w in groups.weights] if groups.factors else None

    def before(self) -> tuple[Tensor, ...]:
        """Remember the weights; returns the norms of all gradients and of the weights."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if self._before:
            torch._foreach_copy_(self._before, self._weights)
        return _norms(gradients + self._before)

    def after(self, before: Sequence[Tensor], step: int, rate: float) -> Measured:
        """What update number `step` (from 1), made with learning rate `rate`, did."""
        moved = list(torch._foreach_sub(self._weights, self._before)) if self._before else []
        share = decay_in_update(self._params, step) if self._decay > 0 else 1.0
        if self._decay > 0 and share is not None and moved:
            before_decay = self._before
            if self._factors is not None:
                before_decay = list(torch._foreach_mul(self._before, self._factors))
            torch._foreach_add_(moved, before_decay, alpha=share * rate * self._decay)
        norms = [*before, *_norms(moved)]
        return Measured(
            norms=torch.stack(norms) if norms else torch.zeros(0),
            gradients=len(before) - len(moved),
            weights=len(moved),
            decay=self._decay if share is None else 0.0,
        )


def _norms(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    return tuple(torch._foreach_norm(tensors)) if tensors else ()


def unit_statistics(model: nn.Module, prepared: Prepared) -> dict[str, float]:
    """`dead_fraction` and `saturated_fraction` (see `activation_statistics`) in evaluation mode over a fixed
    part of the training set. Leaves the model in training mode.
    """
    inputs, _ = prepared.train.take(prepared.unit_indices)
    model.eval()
    try:
        return unit_fractions(model, inputs)
    finally:
        model.train()


def forget_peak_memory(device: str) -> None:
    """A GPU's peak is counted from here: a process trains several trials."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> float:
    """Bytes: the most that tensors held on a GPU, else the most that this process held. NaN where unknown."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    if resource is None or device != "cpu":
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)  # kilobytes, except on macOS
