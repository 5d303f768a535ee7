"""Ties, paired seeds and the study's answer."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.recipe.ranking import best, probability_better
from hpsearch.records import Outcome, TrialPlan
from tests.recipe.world import World, quadratic, spec


def test_better_on_every_seed_is_certain() -> None:
    assert probability_better([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]) == 1.0


def test_equal_losses_are_a_coin_toss() -> None:
    assert probability_better([0.1, 0.2], [0.1, 0.2]) == 0.5


def test_three_pairs_by_hand() -> None:
    # Differences -2, -2, 3: of 27 resamples those with at most one 3 have a negative sum: 8 + 12 = 20;
    # two 3s: 3 + 3 - 2 > 0. Nothing sums to zero.
    assert probability_better([0, 0, 5], [2, 2, 2]) == pytest.approx(20 / 27)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_the_two_directions_add_up_to_one(a: list[float], b: list[float]) -> None:
    pair = b[: len(a)]
    assert probability_better(a, pair) + probability_better(pair, a) == pytest.approx(1.0)


def test_many_pairs_agree_with_the_normal_approximation() -> None:
    a = [0.1 * (i % 3) for i in range(12)]
    b = [x + 0.05 * (-1) ** i + 0.01 for i, x in enumerate(a)]
    assert 0.5 < probability_better(a, b) < 0.95


def test_the_answer_of_a_finished_study_is_the_mean_over_fresh_seeds() -> None:
    world = World(spec(), quadratic()).play()
    answer = best(world.spec, world.stages, world.trials, 1)[0]
    final = world.trials_of(world.stage("final"))
    assert answer.replicates == 3
    assert answer.value == pytest.approx(sum(t.value or 0 for t in final) / 3)
    assert answer.standard_error is not None
    assert answer.params["optimizer"] == "sgd"
    assert "test_accuracy" in answer.metrics


def test_before_the_end_the_answer_is_the_best_point_so_far_with_its_ties() -> None:
    world = World(spec(), quadratic())
    while not any(stage.kind == "curves" for stage in world.stages):
        from hpsearch.recipe.plan import decide  # noqa: PLC0415

        world.apply(decide(world.spec, world.stages, world.trials))
    answers = best(world.spec, world.stages, world.trials, 3)
    assert [a.value for a in answers] == sorted((a.value for a in answers), reverse=True)
    assert answers[0].replicates in (1, 3)


def test_a_study_without_a_value_has_no_answer() -> None:
    assert best(spec(), [], [], 5) == ()


def test_a_minimized_objective_ranks_the_other_way() -> None:
    law = quadratic()

    def loss(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        value = outcome.metrics.get("val_loss", math.nan)
        return outcome.model_copy(update={"value": value}) if "val_loss" in outcome.metrics else outcome

    study = spec(objective={"metric": "val_loss", "direction": "minimize"})
    world = World(study, loss).play()
    answers = best(study, world.stages, world.trials, 4)[1:]
    assert [a.value for a in answers] == sorted(a.value for a in answers)
