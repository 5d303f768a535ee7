"""Optuna draws from the axes that we draw from."""

import pytest

from hpsearch.samplers.distributions import distribution
from hpsearch.space import Axis


@pytest.mark.parametrize(
    "raw", [{"low": 1e-4, "high": 1, "log": True}, {"type": "int", "low": 1, "high": 9}, [1, "a"]]
)
def test_optuna_draws_from_the_same_axis(raw: object) -> None:
    axis = Axis.model_validate(raw)
    optunas = distribution(axis)
    assert all(optunas._contains(optunas.to_internal_repr(value)) for value in axis.grid(3))
