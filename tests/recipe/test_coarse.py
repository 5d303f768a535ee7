"""Step 4: edges, divergence, ties, survivors."""

from hpsearch.recipe.carry import Carry
from hpsearch.records import Outcome, StageState, TrialPlan
from tests.recipe.world import World, check_outcome, quadratic, spec


def test_nine_points_around_the_found_rate() -> None:
    world = World(spec(), quadratic(best_rate=0.1)).play()
    coarse = world.trials_of(world.stage("coarse"))
    assert {t.params["learning_rate"] for t in coarse} == {0.0316227766017, 0.1, 0.316227766017}
    assert {t.params["weight_decay"] for t in coarse} == {0.0, 1e-5, 1e-4}
    assert {t.budget.epochs for t in coarse if t.budget} == {3.0}


def test_the_grid_grows_beyond_an_edge_that_wins() -> None:
    world = World(spec(), quadratic(best_rate=0.03)).play()
    coarse = world.stage("coarse")
    assert min(float(t.params["learning_rate"]) for t in world.trials_of(coarse)) < 0.0316
    assert "added learning_rate beyond low" in Carry.model_validate(coarse.carried).note


def test_the_grid_moves_down_where_most_of_it_diverges() -> None:
    law = quadratic(best_rate=0.1)

    def unstable(plan: TrialPlan) -> Outcome:
        epochs = plan.budget is not None and plan.budget.epochs is not None
        if epochs and float(plan.params["learning_rate"]) > 0.05:
            return Outcome(state="diverged", measurements={"diverged_at": 9.0})
        return law(plan)

    world = World(spec(), unstable).play()
    carry = Carry.model_validate(world.stage("coarse").carried)
    assert "shifted a decade down" in carry.note
    assert carry.stability_limit is not None
    assert carry.stability_limit <= 0.1


def test_at_most_three_survive_and_the_other_ties_are_reported() -> None:
    law = quadratic()

    def flat(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if "val_loss_tail" not in outcome.measurements:
            return outcome
        return outcome.model_copy(update={"measurements": {**outcome.measurements, "val_loss_tail": 0.3}})

    carry = Carry.model_validate(World(spec(), flat).play().stage("coarse").carried)
    assert len(carry.survivors) == 3
    assert len(carry.ties) == 9


def test_a_grid_that_diverges_everywhere_fails_the_gate() -> None:
    law = quadratic()

    def explodes(plan: TrialPlan) -> Outcome:
        if plan.budget is not None and plan.budget.epochs is not None:
            return Outcome(state="diverged", measurements={"diverged_at": 2.0})
        return law(plan)

    world = World(spec(), explodes).play()
    assert world.stages[-1].state is StageState.FAILED
    assert world.finish is not None
    assert "diverged" in world.finish.reason


def test_adamw_spans_the_product_of_rate_and_decay() -> None:
    space = {"learning_rate": {"low": 1e-5, "high": 1, "log": True}, "weight_decay": {"low": 0, "high": 1}}
    world = World(spec(space=space, fixed={"optimizer": "adamw"}), quadratic(best_rate=1e-3)).play()
    decays = {t.params["weight_decay"] for t in world.trials_of(world.stage("coarse"))}
    assert {0.0, 1e-3, 1e-2} <= decays


def test_a_small_set_is_trained_for_steps_not_for_epochs_of_three_steps() -> None:
    world = World(spec(), quadratic(check=check_outcome(steps_per_epoch=3.0))).play()
    coarse = {t.budget.epochs for t in world.trials_of(world.stage("coarse")) if t.budget}
    refined = {t.budget.epochs for t in world.trials_of(world.stage("refine")) if t.budget}
    assert coarse == {17.0}
    assert refined == {51.0}
