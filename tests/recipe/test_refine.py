"""Step 5: the box around each survivor, what happens where all of it diverges, paired seeds."""

from hpsearch.recipe.carry import Carry
from hpsearch.records import Outcome, StageState, TrialPlan
from tests.recipe.world import World, quadratic, spec


def test_learning_rates_a_quarter_decade_around_each_survivor() -> None:
    world = World(spec(), quadratic(best_rate=0.1)).play()
    survivors = Carry.model_validate(world.stage("coarse").carried).survivors
    refined = world.trials_of(world.stage("refine", 0))
    rates = {round(float(t.params["learning_rate"]), 6) for t in refined if t.replicate == 0}
    expected = {
        round(float(s["learning_rate"]) * 10**step, 6) for s in survivors for step in (-0.25, 0, 0.25)
    }
    assert rates == expected


def test_zero_weight_decay_refines_to_small_values_not_to_duplicates() -> None:
    world = World(spec(), quadratic(best_rate=0.1, best_decay=1e-6)).play()
    refined = [t for t in world.trials_of(world.stage("refine", 0)) if t.replicate == 0]
    assert {0.0, 1e-6, 1e-5} <= {t.params["weight_decay"] for t in refined}


def test_three_best_points_are_repeated_on_the_same_seeds() -> None:
    world = World(spec(), quadratic(best_rate=0.1)).play()
    repeated = [t for t in world.trials_of(world.stage("refine", 0)) if t.replicate > 0]
    assert sorted(t.replicate for t in repeated) == [1, 1, 1, 2, 2, 2]


def test_where_all_diverge_lower_rates_are_tried() -> None:
    law = quadratic(best_rate=0.1)

    def late_explosion(plan: TrialPlan) -> Outcome:
        long = plan.budget is not None and (plan.budget.epochs or 0) >= 15
        if long and float(plan.params["learning_rate"]) > 0.04:
            return Outcome(state="diverged", measurements={"diverged_at": 90.0})
        return law(plan)

    world = World(spec(), late_explosion).play()
    assert world.stage("refine", 0).state is StageState.PASSED
    winner = Carry.model_validate(world.stage("refine", 0).carried).winner
    assert winner is not None
    assert float(winner["learning_rate"]) < 0.04


def test_where_nothing_survives_the_gate_fails() -> None:
    law = quadratic()

    def explodes(plan: TrialPlan) -> Outcome:
        if plan.budget is not None and (plan.budget.epochs or 0) >= 15:
            return Outcome(state="diverged", measurements={"diverged_at": 90.0})
        return law(plan)

    world = World(spec(), explodes).play()
    assert world.stages[-1].state is StageState.FAILED
    assert world.finish is not None
    assert "lower the learning rate" in world.finish.reason
