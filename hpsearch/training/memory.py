"""What to say when memory ran out: which batch would have fitted."""

import torch

from hpsearch.errors import OutOfMemory
from hpsearch.training.gradients import Gradients
from hpsearch.training.prepared import Prepared


def out_of_memory(prepared: Prepared, reason: str) -> OutOfMemory:
    """The error with the largest batch that a forward and backward pass still fits, found by halving."""
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
        model = prepared.new_model().train()
        inputs, targets = prepared.train.take(torch.arange(size))
        precision = str(prepared.params["precision"])
        Gradients(model, prepared.loss, precision, prepared.device, 1).add(inputs, targets)
    # Memory, or a model that can't take so small a batch (batch norm and 1): neither fits.
    except Exception:
        return False
    return True
