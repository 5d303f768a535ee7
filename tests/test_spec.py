"""A study's spec: every mistake gets one sentence and a pointer; nothing else is accepted."""

from typing import Any

import pytest

from hpsearch.errors import InvalidInput
from hpsearch.spec import parse_spec
from hpsearch.spec_changes import changed_keys

GRID: dict[str, Any] = {
    "name": "grid",
    "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
    "method": "grid",
    "space": {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}, "weight_decay": [0, 1e-5, 1e-4]},
    "grid": {"learning_rate": 4},
}


def problems(**changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_spec({**GRID, **changes})
    return {p.pointer: p.detail for p in caught.value.problems}


def test_a_grid_of_twelve() -> None:
    assert parse_spec(GRID).points() == 12


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"spce": {}}, "/spce", ["unknown key 'spce'", "did you mean 'space'"]),
        ({"epochs": 5}, "/epochs", ["unknown key 'epochs'", "is set under 'fixed' or searched under 'space'"]),
        ({"task": {"kind": "named", "dataset": "digit", "model": "mlp"}}, "/task/dataset", ["unknown data set 'digit'", "'digits'"]),
        ({"task": {"kind": "named", "dataset": "digits", "model": "resnet19"}}, "/task/model", ["unknown model", "'resnet18'"]),
        ({"method": "gird"}, "/method", ["unknown method 'gird'", "'grid'"]),
        ({"space": {}}, "/space", ["space is empty"]),
        ({"space": {"learning_rat": [1, 2]}, "grid": {}}, "/space/learning_rat", ["unknown hyperparameter", "'learning_rate'"]),
        ({"space": {"learning_rate": {"low": 1, "high": 0.1}}}, "/space/learning_rate", ["low (1) must be less than high (0.1)"]),
        ({"space": {"learning_rate": {"low": 0, "high": 1, "log": True}}}, "/space/learning_rate", ["can't reach zero"]),
        ({"space": {"learning_rate": {"low": 1, "hihg": 2}}}, "/space/learning_rate/hihg", ["'hihg'", "'high'"]),
        ({"grid": {"learning_rate": 10**9}}, "/grid", ["3,000,000,000 trials", "at most 1,000,000"]),
        ({"grid": {}}, "/grid/learning_rate", ["needs a number of grid points"]),
        ({"grid": {"learning_rate": 4, "weight_decay": 3}}, "/grid/weight_decay", ["already lists its points"]),
        ({"grid": {"learning_rate": 4, "momentun": 3}}, "/grid/momentun", ["unknown axis"]),
        ({"grid": {"learning_rate": 0}}, "/grid/learning_rate", ["at least 1 point"]),
        ({"fixed": {"momentum": 2}}, "/fixed/momentum", ["momentum = 2 is not between 0 and 0.9999"]),
        ({"fixed": {"activation": "rellu"}}, "/fixed/activation", ["unknown activation 'rellu'", "'relu'"]),
        ({"fixed": {"learning_rate": 0.1}}, "/fixed/learning_rate", ["both space and fixed"]),
        ({"fixed": {"batch_size": 2.5}}, "/fixed/batch_size", ["whole number"]),
        ({"method": "random"}, "/budget/trials", ["needs budget.trials"]),
        ({"objective": {"metric": "val_acuracy"}}, "/objective/metric", ["unknown metric", "'val_accuracy'"]),
        ({"name": "../etc"}, "/name", ["letters, digits"]),
        ({"seed": -1}, "/seed", ["greater than or equal to 0"]),
        ({"seed": "x"}, "/seed", ["integer"]),
        ({"task": {"kind": "file", "file": "../x.py", "class_name": "A", "sha256": "0" * 64}}, "/task/file", ["inside the study's folder"]),
        ({"task": {"kind": "file", "file": "/etc/x.py", "class_name": "A", "sha256": "0" * 64}}, "/task/file", ["inside the study's folder"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_where_it_stands(changes: dict[str, Any], pointer: str, words: list[str]) -> None:
    found = problems(**changes)
    assert pointer in found
    assert all(word in found[pointer] for word in words), found[pointer]
    assert "\n" not in found[pointer]


def test_all_problems_are_listed_at_once() -> None:
    assert set(problems(fixed={"momentum": 2, "dropout": 3})) == {"/fixed/momentum", "/fixed/dropout"}


def test_the_recipe_sets_epochs_and_schedule_itself() -> None:
    found = problems(method="recipe", grid={}, space={"epochs": [1, 2]})
    assert "the recipe sets epochs itself" in found["/space/epochs"]


def test_whole_number_knobs_are_int_axes_without_saying_so() -> None:
    spec = parse_spec(
        {**GRID, "space": {"hidden_units": {"low": 32, "high": 64}}, "grid": {"hidden_units": 2}}
    )
    assert spec.space["hidden_units"].grid(2) == [32, 64]


def test_a_tasks_own_knobs_may_be_searched() -> None:
    task = {
        "kind": "file", "file": "task.py", "class_name": "Mine", "sha256": "a" * 64,
        "knobs": {"width": {"axis": {"low": 1, "high": 8, "type": "int"}, "default": 4}},
    }  # fmt: skip
    spec = parse_spec(
        {**GRID, "task": task, "space": {"width": {"low": 1, "high": 8, "type": "int"}}, "grid": {"width": 2}}
    )
    assert spec.hyperparameters()["width"] == 4
    assert "width" in problems(task=task, space={"widht": [1]}, grid={})["/space/widht"]


def test_a_description_does_not_make_another_study() -> None:
    assert parse_spec(GRID).digest == parse_spec({**GRID, "description": "second thoughts"}).digest


def test_changed_keys_are_named_to_the_leaf() -> None:
    old, new = parse_spec(GRID), parse_spec({**GRID, "seed": 1, "grid": {"learning_rate": 5}})
    assert changed_keys(old, new) == ["grid.learning_rate", "seed"]


def test_plain_sgd_has_no_momentum_unless_asked() -> None:
    assert parse_spec({**GRID, "fixed": {"optimizer": "sgd"}}).hyperparameters()["momentum"] == 0.0
    assert (
        parse_spec({**GRID, "fixed": {"optimizer": "sgd", "momentum": 0.5}}).hyperparameters()["momentum"]
        == 0.5
    )
    assert parse_spec({**GRID, "fixed": {"optimizer": "momentum"}}).hyperparameters()["momentum"] == 0.9


def test_overrides_win_over_params_win_over_fixed() -> None:
    spec = parse_spec({**GRID, "fixed": {"dropout": 0.1}})
    assert spec.hyperparameters({"dropout": 0.2})["dropout"] == 0.2
    assert spec.hyperparameters({"dropout": 0.2}, {"dropout": 0.0})["dropout"] == 0.0
