"""Axes: exact end points, honest draws, clear refusals."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpsearch.space import Axis, grid_points, grid_size, random_points

FLOATS = st.floats(1e-9, 1e6)


@given(FLOATS, FLOATS, st.booleans(), st.integers(2, 40))
def test_a_grid_has_exact_end_points_and_rises(a: float, b: float, log: bool, count: int) -> None:
    low, high = sorted((a, b))
    if high <= low * (1 + 1e-6):
        return
    points = Axis(low=low, high=high, log=log).grid(count)
    assert (points[0], points[-1], len(points)) == (low, high, count)
    assert points == sorted(points)


def test_decades_are_the_numbers_a_person_would_write() -> None:
    assert Axis(low=1e-4, high=1e-1, log=True).grid(4) == [1e-4, 1e-3, 1e-2, 1e-1]


def test_tenths_do_not_drift() -> None:
    assert Axis(low=0, high=0.3, step=0.1).grid() == [0.0, 0.1, 0.2, 0.3]


def test_an_int_grid_never_repeats_a_point() -> None:
    assert Axis(type="int", low=1, high=3).grid(10) == [1, 2, 3]
    assert Axis(type="int", low=32, high=512, log=True).grid(5) == [32, 64, 128, 256, 512]


@given(FLOATS, FLOATS, st.booleans(), st.integers(0, 2**32))
def test_draws_stay_inside(a: float, b: float, log: bool, seed: int) -> None:
    low, high = sorted((a, b))
    if low == high:
        return
    axis = Axis(low=low, high=high, log=log)
    assert all(axis.contains(axis.draw(np.random.default_rng(seed))) for _ in range(5))


def test_log_draws_are_log_uniform() -> None:
    axis, rng = Axis(low=1e-6, high=10, log=True), np.random.default_rng(3)
    logs = [math.log10(float(axis.draw(rng))) for _ in range(1000)]
    assert scipy.stats.kstest(logs, scipy.stats.uniform(-6, 7).cdf).pvalue > 0.01
    assert scipy.stats.kstest([10**x for x in logs], scipy.stats.uniform(0, 10).cdf).pvalue < 1e-6


def test_int_draws_reach_both_ends_evenly() -> None:
    axis, rng = Axis(type="int", low=1, high=4), np.random.default_rng(0)
    counts = np.bincount([int(axis.draw(rng)) for _ in range(4000)], minlength=5)[1:]
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_choices_keep_their_types() -> None:
    axis = Axis.model_validate([True, 1e-4, "cosine", 3])
    assert axis.grid() == [True, 1e-4, "cosine", 3]
    assert [type(value) for value in axis.grid()] == [bool, float, str, int]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"low": 1, "high": 0.1}, "low (1) must be less than high (0.1)"),
        ({"low": 1, "high": 1}, "must be less than"),
        ({"low": 0, "high": 1, "log": True}, "a log axis can't reach zero"),
        ({"low": -1, "high": 1, "log": True}, "a log axis can't reach zero"),
        ({"low": math.nan, "high": 1}, "finite"),
        ({"low": 0, "high": math.inf}, "finite"),
        ({"low": 0}, "needs low and high"),
        ({}, "needs low and high"),
        ([], "at least one choice"),
        ([1, 1], "stands twice"),
        ([1, math.nan], "finite"),
        ({"choices": [1, 2], "low": 0}, "not both"),
        ({"low": 0.5, "high": 2, "type": "int"}, "whole numbers"),
        ({"low": 1, "high": 2, "log": True, "step": 0.1}, "exclude each other"),
        ({"low": 1, "high": 2, "step": 3}, "larger than the range"),
    ],
)
def test_a_bad_axis_is_refused_with_its_reason(raw: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Axis.model_validate(raw)
    assert message in str(caught.value)


def test_the_grid_is_a_nested_loop() -> None:
    space = {"a": Axis(low=0, high=1), "b": Axis.model_validate([1, 2, 3])}
    points = list(grid_points(space, {"a": 2}))
    assert points[:3] == [{"a": 0.0, "b": 1}, {"a": 0.0, "b": 2}, {"a": 0.0, "b": 3}]
    assert len(points) == grid_size(space, {"a": 2}) == 6


def test_the_size_of_a_huge_grid_is_known_without_making_it() -> None:
    assert grid_size({"a": Axis(low=0, high=1), "b": Axis(low=0, high=1)}, {"a": 10**9, "b": 10**9}) == 10**18


def test_one_seed_gives_one_list_of_points() -> None:
    space = {"lr": Axis(low=1e-5, high=1, log=True), "opt": Axis.model_validate(["sgd", "adam"])}
    first, second = (list(random_points(space, 20, np.random.default_rng(7))) for _ in range(2))
    assert first == second
    assert first != list(random_points(space, 20, np.random.default_rng(8)))
