from typing import Any

from hpsearch.service.preview import preview


def test_a_grid_shows_its_exact_points_and_cost(make: Any) -> None:
    shown = preview(make.grid(fixed={"epochs": 3}, replicates=2))
    assert (shown.trials, shown.shown, shown.epochs) == (24, 12, 72.0)
    assert shown.points[0] == {"learning_rate": 1e-4, "weight_decay": 0.0}
    assert shown.points[-1] == {"learning_rate": 1e-1, "weight_decay": 1e-4}
    assert shown.steps == 24 * 3 * (1150 // 64)
    assert shown.text == "24 trials: 12 points × 2 replicates, 72 epochs in all"


def test_epochs_as_an_axis_are_summed(make: Any) -> None:
    shown = preview(make.grid(space={"epochs": [1, 5], "weight_decay": [0.0, 1e-4]}, grid={}))
    assert (shown.trials, shown.epochs) == (4, 12.0)


def test_a_huge_grid_shows_a_thousand_points_and_counts_all(make: Any) -> None:
    shown = preview(make.small(points=100_000))
    assert (shown.trials, shown.shown, len(shown.points)) == (100_000, 1000, 1000)


def test_a_random_study_shows_the_points_it_will_draw(make: Any) -> None:
    spec = make.grid("random", method="random", grid={}, budget={"trials": 7})
    shown = preview(spec)
    assert shown.trials == 7
    assert shown == preview(spec)


def test_a_recipe_shows_its_start_and_the_most_it_can_use(make: Any) -> None:
    shown = preview(make.grid("recipe", method="recipe", grid={}))
    assert [point["learning_rate"] for point in shown.points] == [0.1, 0.01, 0.001, 0.0001]
    assert shown.trials > 50
    limited = preview(make.grid("recipe", method="recipe", grid={}, budget={"trials": 20}))
    assert limited.trials == 20
