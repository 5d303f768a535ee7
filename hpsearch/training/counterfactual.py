"""Changes that a diagnosis makes to any model, whatever it is: more capacity, no dropout.

A user's module declares no width, and its dropout may be written into it; a probe needs both knobs.
"""

# B batch, K outputs, I inputs

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpsearch.errors import TrialError
from hpsearch.training.evaluation import checked
from hpsearch.training.initialization import weight_layers

SIDE_UNITS = 32  # hidden units of the side network for each unit of `extra_capacity`
_DROPOUTS = nn.modules.dropout._DropoutNd
_NORMS = nn.modules.batchnorm._NormBase


class Enlarged(nn.Module):
    """A model with silent partners: copies of it, and a network with one hidden layer from its inputs.

    All their output layers start at zero, so at first the function, and with it the loss, is the model's own;
    what the partners learn is added. The side network needs floating-point inputs of one size, and is left
    out elsewhere.
    """

    def __init__(self, model: nn.Module, copies: list[nn.Module], side_units: int) -> None:
        super().__init__()
        self.model = model
        self.copies = nn.ModuleList(copies)
        for copy in copies:
            _silence(list(weight_layers(copy))[-1:])
        self._side_units = side_units
        self.side: nn.Sequential | None = None

    def meet(self, inputs: Tensor) -> "Enlarged":
        """Build the side network for inputs like these (a batch of one or more)."""
        outputs = self.model(inputs)
        if inputs.is_floating_point() and self._side_units:
            hidden = nn.Linear(inputs[0].numel(), self._side_units)
            last = nn.Linear(self._side_units, outputs[0].numel())
            _silence([last])
            self.side = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), last)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs)
        for copy in self.copies:
            outputs = outputs + copy(inputs)
        if self.side is not None:
            outputs = outputs + self.side(inputs).reshape(outputs.shape)
        return outputs


def _silence(layers: Sequence[nn.Module]) -> None:
    with torch.no_grad():
        for layer in layers:
            for parameter in layer.parameters(recurse=False):
                parameter.zero_()


def without_dropout(model: nn.Module) -> nn.Module:
    """The model with its dropout switched off, in place: layers', recurrent layers' own, and what a module
    drops by its `training` flag. Norm layers train as they did.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.dropout = 0.0

    def train(mode: bool = True) -> nn.Module:
        nn.Module.train(model, mode)
        for module in model.modules():
            # A recurrent layer on a GPU can be trained in training mode only; its dropout is 0.
            if mode and not isinstance(module, _NORMS | nn.RNNBase):
                module.training = False
        return model

    model.train = train  # type: ignore[method-assign]
    return model.train(model.training)


def training_jitter(model: nn.Module, inputs: Tensor) -> float:
    """How much two passes in training mode differ, root mean square over the outputs' spread in evaluation:
    0 without dropout, about sqrt(2 p / (1 - p)) with dropout p in front of the output layer.
    """
    with torch.no_grad():
        spread = float(checked(model.eval()(inputs)).float().std(correction=0))
        model.train()
        difference = checked(model(inputs)).float() - checked(model(inputs)).float()
    return float(difference.square().mean().sqrt()) / spread if spread > 0 else 0.0


def largest_dropout(model: nn.Module) -> float:
    """The largest share that a dropout layer of the model drops; 0 without one."""
    return max((float(m.p) for m in model.modules() if isinstance(m, _DROPOUTS)), default=0.0)


def enlarged(model: nn.Module, copies: list[nn.Module], inputs: Tensor) -> nn.Module:
    """The model with partners; `inputs`: some of the training data. Raises TrialError for a model without weights."""
    if not any(True for _ in weight_layers(model)):
        raise TrialError("extra_capacity needs a model with linear or convolution layers")
    was_training = model.training
    with torch.no_grad():
        grown = Enlarged(model.eval(), copies, SIDE_UNITS * (len(copies) + 1)).meet(inputs)
    return grown.train(was_training)
