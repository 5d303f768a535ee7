"""An axis in Optuna's words."""

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpsearch.space import Axis


def distribution(axis: Axis) -> BaseDistribution:
    """What Optuna's samplers and evaluators take the axis for."""
    if axis.choices is not None:
        return CategoricalDistribution(axis.choices)
    low, high = axis.bounds
    if axis.type == "int":
        return IntDistribution(int(low), int(high), log=axis.log, step=int(axis.step or 1))
    return FloatDistribution(low, high, log=axis.log, step=axis.step)
