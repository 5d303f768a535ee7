"""Gradient norm and update ratio of single steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.space import Params
from hpsearch.training.regularization import Groups, decay_in_update


@dataclass(frozen=True)
class Measured:
    """Both are scalar tensors on the device: reading them would wait for it."""

    grad_norm: Tensor
    update_ratio: Tensor


class UpdateMonitor:
    """Measures one step: `before` the update, when the gradients of the loss alone are there, and `after`.

    update_ratio = ||part of the update that the gradient caused|| / ||w||, over weights (not biases or norm
    scales): decay's part is taken out, since a dead net still shows lr * weight_decay (recipe.md step 3).
    """

    def __init__(self, groups: Groups, params: Params) -> None:
        self._groups = groups
        self._params = params
        self._weights = [w.detach() for w in groups.weights]
        self._before = [torch.empty_like(w) for w in self._weights]
        self._decay = float(params["weight_decay"])

    def before(self) -> Tensor:
        """Remember the weights; returns the norm of the gradients of all parameters."""
        if self._before:
            torch._foreach_copy_(self._before, self._weights)
        return total_norm([p.grad for p in self._groups.all if p.grad is not None])

    def after(self, grad_norm: Tensor, step: int, rate: float) -> Measured:
        """What update number `step` (from 1), made with learning rate `rate`, did."""
        if not self._before:
            return Measured(grad_norm, torch.full_like(grad_norm, torch.nan))
        size = total_norm(self._before)
        moved = torch._foreach_sub(self._weights, self._before)
        ratio = total_norm(self._without_decay(list(moved), step, rate)) / size
        if self._decay > 0 and decay_in_update(self._params, step) is None:
            # Adam's own scaling mixes both; their shares of its input are the best that can be said.
            ratio = ratio * grad_norm / (grad_norm + self._decay * size).clamp_min(1e-38)
        return Measured(grad_norm, ratio)

    def _without_decay(self, moved: list[Tensor], step: int, rate: float) -> list[Tensor]:
        share = decay_in_update(self._params, step)
        if self._decay > 0 and share is not None:
            torch._foreach_add_(moved, self._before, alpha=share * rate * self._decay)
        return moved


def total_norm(tensors: list[Tensor]) -> Tensor:
    """The 2-norm of all entries together, a scalar tensor; 0 without tensors."""
    if not tensors:
        return torch.zeros(())
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm
