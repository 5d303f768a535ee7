"""Features against formulas and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.curves import detrended_sd, features, mann_kendall, smoothed, theil_sen, thinned

FLOATS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=30)


@given(FLOATS)
def test_theil_sen_agrees_with_scipy(values: list[float]) -> None:
    assert theil_sen(values) == pytest.approx(scipy.stats.theilslopes(values).slope, abs=1e-9)


def test_mann_kendall_tells_falling_from_rising() -> None:
    falling = [5.0, 4.0, 4.2, 3.0, 2.5, 2.0, 1.0]
    assert mann_kendall(falling) < 0.01
    assert mann_kendall(falling[::-1]) > 0.99
    assert mann_kendall([1.0] * 7) == pytest.approx(0.5)


def test_smoothing_of_a_constant_is_the_constant_from_the_first_value_on() -> None:
    assert smoothed([3.0] * 5) == pytest.approx([3.0] * 5)


def test_smoothing_follows_its_recursion() -> None:
    values, memory = [1.0, 2.0, 4.0], 0.5
    assert smoothed(values, memory) == pytest.approx(
        [1.0, (0.25 * 1 + 0.5 * 2) / 0.75, (0.125 + 0.25 * 2 + 0.5 * 4) / 0.875]
    )


def test_noise_around_a_line_is_its_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    values = 3.0 - 0.5 * np.arange(400) + rng.normal(0, 0.2, 400)
    assert detrended_sd(values) == pytest.approx(0.2, rel=0.1)


@given(st.integers(1, 5000), st.integers(2, 300))
def test_thinning_keeps_both_ends_and_no_more_than_asked(count: int, points: int) -> None:
    kept = thinned(count, points)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) <= max(points, 1) or count <= points
    assert kept == sorted(set(kept))


def curve(**series: list[float]) -> dict[str, tuple[list[int], list[float]]]:
    return {name: (list(range(1, len(values) + 1)), values) for name, values in series.items()}


def test_features_of_a_healthy_run() -> None:
    found = features(
        curve(
            loss=[2.3 * math.exp(-i / 20) for i in range(100)],
            train_loss=[1.0, 0.5, 0.25, 0.12],
            val_loss=[1.1, 0.6, 0.4, 0.5],
            train_accuracy=[0.5, 0.8, 0.9, 1.0],
            val_accuracy=[0.5, 0.7, 0.9, 0.85],
        ),
        "val_accuracy",
        "maximize",
    )
    assert found["val_loss_tail"] == pytest.approx(0.45)
    assert found["val_loss_best"] == pytest.approx(0.45)
    assert found["val_loss_rise"] == pytest.approx(1.25)
    assert found["objective_best"] == 0.9
    assert found["best_position"] == 0.75
    assert found["gap"] == pytest.approx(0.15)
    assert found["train_slope"] < 0
    assert found["flat_fraction"] < 0.1


def test_a_flat_start_is_measured() -> None:
    loss = [2.3] * 60 + [2.3 * math.exp(-i / 5) for i in range(40)]
    assert features(curve(loss=loss), "val_accuracy", "maximize")["flat_fraction"] > 0.5


def test_a_cut_learning_rate_is_found_with_the_slopes_around_it() -> None:
    found = features(
        curve(
            learning_rate=[0.1] * 4 + [0.01] * 4,
            train_loss=[1.0, 0.5, 0.25, 0.125, 0.12, 0.119, 0.118, 0.117],
        ),
        "val_loss",
        "minimize",
    )
    assert found["lr_drops"] == 1
    assert found["slope_before_drop"] < -0.5
    assert abs(found["slope_after_drop"]) < 0.02


def test_nothing_is_computed_from_nothing() -> None:
    assert features({}, "val_loss", "minimize") == {}


def test_no_feature_is_ever_non_finite() -> None:
    found = features(
        curve(loss=[1.0, math.nan, math.inf], val_loss=[math.nan, math.nan]), "val_loss", "minimize"
    )
    assert all(math.isfinite(value) for value in found.values())


def test_a_run_that_left_at_its_first_step_is_measured_without_a_warning() -> None:
    nothing = [math.nan, math.nan]
    seen = curve(update_ratio=nothing, grad_norm=[math.nan, 3.0])
    found = features(seen, "val_loss", "minimize")
    assert found == {"grad_norm_median": 3.0, "grad_norm_max": 3.0}
