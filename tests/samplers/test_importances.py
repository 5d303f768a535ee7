import random

import pytest

from hpsearch.samplers.importances import importances
from hpsearch.space import Axis, Params

AXES = {
    "learning_rate": Axis(low=1e-4, high=1.0, log=True),
    "weight_decay": Axis(type="categorical", choices=(0.0, 1e-4)),
    "hidden_units": Axis(type="int", low=8, high=64),
}


def drawn(count: int) -> list[Params]:
    rng = random.Random(0)
    return [
        {
            "learning_rate": 10 ** rng.uniform(-4, 0),
            "weight_decay": rng.choice([0.0, 1e-4]),
            "hidden_units": rng.randint(8, 64),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("maximize", [True, False])
def test_what_decides_the_value_is_what_mattered(maximize: bool) -> None:
    sign = 1.0 if maximize else -1.0
    results = [(params, sign * -abs(float(params["learning_rate"]) - 0.1)) for params in drawn(200)]
    shares = importances(AXES, results, maximize=maximize)
    assert next(iter(shares)) == "learning_rate"
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_too_few_results_or_none_that_differ_say_nothing() -> None:
    params = drawn(10)
    assert importances(AXES, [(p, float(i)) for i, p in enumerate(params[:3])], maximize=True) == {}
    assert importances(AXES, [(p, 1.0) for p in params], maximize=True) == {}
    assert importances(AXES, [(params[0], float(i)) for i in range(10)], maximize=True) == {}


def test_an_axis_that_some_lack_is_left_out() -> None:
    results = [(p, float(p["learning_rate"])) for p in drawn(20)]
    del results[3][0]["hidden_units"]
    assert set(importances(AXES, results, maximize=True)) == {"learning_rate", "weight_decay"}
