"""torch.compile for the training pass, and the model as it is where there is no compiler."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

logger = logging.getLogger(__name__)


class CompiledForward:
    """A model's forward pass, compiled at its first use; parameters, hooks and modes are the model's own.

    Where compiling fails (no C++ compiler for a CPU, no Triton for a GPU, code that can't be traced) the model is
    run as it is, and the log says why. Compiled arithmetic is fused: its numbers are not those of the plain
    model to the last bit, but the same in each run.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        # In this process: a pool of compilers would outlive the trial.
        self._forward: Callable[[Tensor], Tensor] = torch.compile(model, options={"compile_threads": 1})

    def __call__(self, inputs: Tensor) -> Tensor:
        try:
            return self._forward(inputs)
        except TorchDynamoException as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            logger.warning("compile: true does nothing here, the model runs as it is: %s", reason)
            self._forward = self._model
            return self._model(inputs)  # type: ignore[no-any-return]
