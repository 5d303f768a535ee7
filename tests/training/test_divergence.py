import math
import random

import pytest

from hpsearch.training.divergence import DivergenceWatch


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_non_finite_loss_diverges(loss: float) -> None:
    watch = DivergenceWatch([2.3, 2.0])
    assert watch.sees(loss)


def test_a_falling_noisy_loss_does_not_diverge() -> None:
    watch = DivergenceWatch()
    assert not any(watch.sees(2.3 / (1 + i) * (1 + 0.9 * (-1) ** i)) for i in range(500))


def test_a_loss_that_stays_far_above_its_best_and_first_diverges() -> None:
    watch = DivergenceWatch([1.0] * 50)
    seen = [watch.sees(100.0) for _ in range(5)]
    assert seen[0] or seen[1]


def test_one_small_spike_is_forgiven() -> None:
    watch = DivergenceWatch([1.0] * 50)
    assert not watch.sees(20.0)
    assert not any(watch.sees(1.0) for _ in range(50))


def test_a_rise_from_near_zero_below_three_times_the_first_is_no_divergence() -> None:
    watch = DivergenceWatch([2.0] + [1e-4] * 200)
    assert not any(watch.sees(2.0) for _ in range(50))


def test_a_lucky_first_minibatch_is_no_measure() -> None:
    losses = random.Random(0).choices([0.01, 0.1, 0.3, 2.0, 6.0], k=400)
    watch = DivergenceWatch()
    assert not any(watch.sees(loss) for loss in [0.001, *losses])


def test_a_start_that_explodes_at_once_is_no_measure_either() -> None:
    watch = DivergenceWatch([2.3, 40.0])
    assert any(watch.sees(40.0 * 3**i) for i in range(30))


def test_negative_losses_have_no_ratio() -> None:
    watch = DivergenceWatch([-1.0, -5.0])
    assert not any(watch.sees(-0.5) for _ in range(50))
