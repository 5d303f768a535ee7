import math
from typing import Any

from scipy.stats import kstest

from hpsearch.samplers import random
from hpsearch.spec import StudySpec, parse_spec


def spec(trials: int, **changes: Any) -> StudySpec:
    raw = {
        "name": "random",
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "method": "random",
        "space": {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}},
        "budget": {"trials": trials},
    }
    return parse_spec({**raw, **changes})


def test_a_thousand_draws_are_log_uniform() -> None:
    rates = [float(plan.params["learning_rate"]) for plan in random.plan(spec(1000))]
    low, high = math.log(1e-5), math.log(1e-1)
    unit = [(math.log(rate) - low) / (high - low) for rate in rates]
    assert kstest(unit, "uniform").pvalue > 0.01


def test_one_seed_gives_one_list_and_another_another() -> None:
    first, again, other = (list(random.plan(spec(20, seed=seed))) for seed in (3, 3, 4))
    assert first == again
    assert not {plan.digest for plan in first} & {plan.digest for plan in other}


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    assert list(random.plan(spec(50)))[:20] == list(random.plan(spec(20)))


def test_a_point_is_not_drawn_twice() -> None:
    space = {"weight_decay": [0.0, 1e-5, 1e-4], "batch_size": [32, 64]}
    plans = list(random.plan(spec(5, space=space)))
    assert len({plan.digest for plan in plans}) == 5


def test_an_exhausted_space_gives_fewer_points() -> None:
    space = {"weight_decay": [0.0, 1e-5, 1e-4], "nesterov": [True, False]}
    plans = list(random.plan(spec(100, space=space, replicates=2)))
    assert len(plans) == 12
    assert {plan.replicate for plan in plans} == {0, 1}
