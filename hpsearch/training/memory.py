"""What to say when memory ran out: which batch would have fitted."""

import torch

from hpsearch.errors import OutOfMemory
from hpsearch.training.averaging import Averaged
from hpsearch.training.gradients import Gradients
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.prepared import Prepared
from hpsearch.training.regularization import parameter_groups


def out_of_memory(prepared: Prepared, reason: str) -> OutOfMemory:
    """The error with the largest batch that training steps still fit, found by halving."""
    size = prepared.batch_size
    fitting = fitting_batch(prepared)
    first = (reason.strip().splitlines() or ["no message"])[0]
    if fitting is None:
        hint = "not even one sample fits; use a smaller model"
    else:
        parts = -(-size // fitting)
        hint = f"batches of {fitting} fit: set batch_size = {fitting}, or accumulate = {parts} for the same steps"
    return OutOfMemory(f"training with batches of {size} ran out of memory: {first}", hint=hint)


def fitting_batch(prepared: Prepared) -> int | None:
    """The largest of half the batch, a quarter, ... down to 1 that can be computed; None if none can."""
    size = prepared.batch_size // int(prepared.params["accumulate"]) // 2
    while size >= 1:
        if _fits(prepared, size):
            return size
        size //= 2
    return None


def _fits(prepared: Prepared, size: int) -> bool:
    if prepared.device == "cuda":
        torch.cuda.empty_cache()
    try:
        _step_twice(prepared, size)
    # Memory, or a model that can't take so small a batch (batch norm and 1): neither fits.
    except Exception:
        return False
    return True


def _step_twice(prepared: Prepared, size: int) -> None:
    """Once for the optimizer's own state to be there, and once beside it."""
    params = prepared.params
    model = prepared.new_model().train()
    optimizer = build_optimizer(parameter_groups(model), params)
    averaged = Averaged(model, float(params["ema_decay"])) if float(params["ema_decay"]) > 0 else None
    gradients = Gradients(model, prepared.followed_loss, str(params["precision"]), prepared.device, 1)
    inputs, targets = prepared.train.take(torch.arange(size))
    for _ in range(2):
        optimizer.zero_grad()
        gradients.add(inputs, targets)
        optimizer.step()
        if averaged is not None:
            averaged.update()
