"""Which hyperparameter makes a task's model larger."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from hpsearch.space import Params, ParamValue
from hpsearch.training.task import Task
from hpsearch.vocabulary import Knob

WIDER, WIDE = 8, 32  # times as wide, and at least so wide
DEEPER = 2  # more layers
LARGER = 1.5  # times the parameters, from which a knob sizes the model


@dataclass(frozen=True)
class _Size:
    parameters: int
    tensors: int


def larger(task: Task, values: Params, knobs: Mapping[str, Knob]) -> Params:
    """A change that makes the model larger: the first whole-numbered knob that does, eight times as large and
    32 at least, or two more where it adds layers, within its range; empty where none does.

    `values`: every hyperparameter. `knobs`: those that may size it, by name. A knob is believed by what it
    does to the parameters, never by its name.
    """
    now = _size(task, values)
    for name, knob in knobs.items():
        value = values[name]
        if knob.axis.type != "int" or not isinstance(value, int) or isinstance(value, bool):
            continue
        high = int(knob.axis.bounds[1])
        wide, deep = min(max(value * WIDER, WIDE), high), min(value + DEEPER, high)
        raised = _size(task, {**values, name: wide})
        if raised.parameters > LARGER * now.parameters:
            better: ParamValue = deep if raised.tensors > now.tensors else wide
            return {name: better}
    return {}


def _size(task: Task, values: Params) -> _Size:
    """Of a model that can't be built with these values: nothing."""
    try:
        model: nn.Module = task.model(values)
    except Exception:  # a user's model may not bear every size
        return _Size(0, 0)
    tensors = list(model.parameters())
    return _Size(sum(tensor.numel() for tensor in tensors), len(tensors))
