"""Which hyperparameter makes a task's model larger."""

from collections.abc import Mapping

from torch import nn

from hpsearch.space import Params, ParamValue
from hpsearch.training.task import Task
from hpsearch.vocabulary import Knob

FACTOR = 8
LARGER = 1.5  # times the parameters, from which a knob sizes the model


def larger(task: Task, values: Params, knobs: Mapping[str, Knob]) -> Params:
    """A change that makes the model larger: the first whole-numbered knob that does, eight times as large
    within its range; empty where none does.

    `values`: every hyperparameter. `knobs`: those that may size it, by name. A knob is believed by what it
    does to the number of parameters, never by its name.
    """
    now = _parameters(task, values)
    for name, knob in knobs.items():
        value = _raised(values[name], knob)
        if value is not None and _parameters(task, {**values, name: value}) > LARGER * now:
            return {name: value}
    return {}


def _raised(value: ParamValue, knob: Knob) -> int | None:
    """The knob's value times FACTOR, within its range; None where it is no whole number or can't rise."""
    if knob.axis.type != "int" or not isinstance(value, int) or isinstance(value, bool):
        return None
    raised = min(max(value, 1) * FACTOR, int(knob.axis.bounds[1]))
    return raised if raised > value else None


def _parameters(task: Task, values: Params) -> int:
    """How many numbers the model learns; 0 where it can't be built with these values."""
    try:
        model: nn.Module = task.model(values)
    except Exception:  # a user's model may not bear every size
        return 0
    return sum(parameter.numel() for parameter in model.parameters())
