from typing import Any

from hpsearch.records import Budget
from hpsearch.samplers import grid
from hpsearch.spec import StudySpec, parse_spec


def spec(**changes: Any) -> StudySpec:
    raw = {
        "name": "grid",
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "method": "grid",
        "space": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "weight_decay": [0, 1e-5, 1e-4]},
        "grid": {"learning_rate": 4},
    }
    return parse_spec({**raw, **changes})


def test_every_combination_is_planned_with_exact_end_points() -> None:
    plans = list(grid.plan(spec()))
    assert [plan.params["learning_rate"] for plan in plans[::3]] == [1e-4, 1e-3, 1e-2, 1e-1]
    assert [plan.params["weight_decay"] for plan in plans[:3]] == [0, 1e-5, 1e-4]
    assert len({plan.digest for plan in plans}) == 12


def test_replicates_of_a_point_stand_side_by_side() -> None:
    plans = list(grid.plan(spec(replicates=3)))
    assert len(plans) == 36
    assert [plan.replicate for plan in plans[:4]] == [0, 1, 2, 0]
    assert plans[0].params == plans[2].params != plans[3].params


def test_the_budget_is_the_default_epochs_or_the_fixed_ones() -> None:
    assert next(grid.plan(spec())).budget == Budget(epochs=10)
    assert next(grid.plan(spec(fixed={"epochs": 3}))).budget == Budget(epochs=3)


def test_epochs_as_an_axis_are_each_points_own_budget() -> None:
    space = {"learning_rate": [0.1], "epochs": [1, 5]}
    plans = list(grid.plan(spec(space=space, grid={})))
    assert [plan.budget for plan in plans] == [Budget(epochs=1), Budget(epochs=5)]
