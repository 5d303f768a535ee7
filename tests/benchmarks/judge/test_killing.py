"""A fault counts only where it hurts beside its healthy twin on the same seeds."""

import math

import pytest

from benchmarks.judge.killing import Ending, Yardstick, counted_seeds

SCORES = (0.96, 0.97, 0.98, 0.97, 0.96)


def endings(scores, losses=None):
    losses = losses or [0.1] * len(scores)
    pairs = enumerate(zip(scores, losses, strict=True))
    return {seed: Ending(score, loss, first_loss=2.0) for seed, (score, loss) in pairs}


@pytest.fixture
def twin():
    return Yardstick(endings(SCORES, (0.09, 0.10, 0.11, 0.10, 0.10)))


def test_a_fault_within_the_seeds_spread_counts_under_no_seed(twin):
    assert counted_seeds(twin, endings([score - 0.005 for score in SCORES]), same_loss=True) == frozenset()


def test_a_fault_that_costs_ten_points_counts_under_every_seed(twin):
    assert counted_seeds(twin, endings([score - 0.1 for score in SCORES]), same_loss=True) == set(range(5))


def test_a_seed_that_came_through_unharmed_is_left_out(twin):
    faulty = endings([0.96, 0.6, 0.6, 0.6, 0.6])
    assert counted_seeds(twin, faulty, same_loss=True) == {1, 2, 3, 4}


def test_a_loss_that_rose_counts_where_the_score_did_not_move(twin):
    faulty = endings(SCORES, [1.0] * 5)
    assert counted_seeds(twin, faulty, same_loss=True) == set(range(5))


def test_losses_of_two_different_functions_are_not_compared(twin):
    assert counted_seeds(twin, endings(SCORES, [1.0] * 5), same_loss=False) == frozenset()


def test_divergence_under_half_of_the_seeds_is_harm_enough(twin):
    faulty = endings([-math.inf, -math.inf, -math.inf, 0.97, 0.97])
    assert counted_seeds(twin, faulty, same_loss=True) == {0, 1, 2}


def test_shortfall_is_in_seed_spreads_of_what_was_hurt(twin):
    ending = Ending(0.96 - 2 * twin.score_sd, 0.09, 2.0)
    assert twin.shortfall(0, ending, by_score=True) == pytest.approx(2)
    assert twin.shortfall(0, ending, by_score=False) == 0
    assert twin.shortfall(0, Ending(-math.inf, math.nan, math.nan), by_score=False) == math.inf
