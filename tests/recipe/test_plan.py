"""The whole recipe on a law: order, gates, rounds, stop rules."""

import math
import random
from typing import Any

import pytest

from hpsearch.recipe.carry import Carry
from hpsearch.recipe.plan import decide, stop_reason
from hpsearch.records import Outcome, StageState, StudyState, TrialPlan, TrialState
from tests.recipe.world import Law, World, check_outcome, curves, quadratic, spec


def test_seven_steps_follow_each_other_and_the_study_completes() -> None:
    world = World(spec(), quadratic(best_rate=0.03)).play()
    assert world.kinds() == [
        "initial_loss/0", "overfit/0", "find_lr/0", "coarse/1", "refine/1", "curves/1", "refine/2", "curves/2", "final/2",
    ]  # fmt: skip
    assert world.finish is not None
    assert world.finish.state is StudyState.COMPLETED
    assert all(stage.verdict is not None and stage.verdict.text for stage in world.stages)


def test_the_winner_is_the_laws_best_point() -> None:
    world = World(spec(), quadratic(best_rate=0.03)).play()
    winner = Carry.model_validate(world.stages[-1].carried).winner
    assert winner is not None
    assert 0.02 < float(winner["learning_rate"]) < 0.045
    assert winner["weight_decay"] == 1e-5


def test_no_trial_is_planned_twice() -> None:
    world = World(spec(), quadratic()).play()
    digests = [trial.digest for trial in world.trials]
    assert len(digests) == len(set(digests))


def test_asking_again_while_trials_are_open_only_waits() -> None:
    world = World(spec(), quadratic())
    world.apply(decide(world.spec, world.stages, world.trials))
    world.apply(decide(world.spec, world.stages, world.trials))
    world.trials = [trial.model_copy(update={"state": TrialState.RUNNING}) for trial in world.trials]
    decision = decide(world.spec, world.stages, world.trials)
    assert (decision.close, decision.open, decision.trials, decision.finish) == (None, None, (), None)


def test_the_decision_does_not_depend_on_the_order_in_which_trials_ended() -> None:
    world = World(spec(), quadratic()).play()
    for cut in range(1, len(world.stages)):
        stages = [*world.stages[:cut], world.stages[cut].model_copy(update={"state": StageState.RUNNING})]
        trials = [t for t in world.trials if t.stage_id <= stages[-1].id]
        shuffled = random.Random(0).sample(trials, len(trials))
        assert decide(world.spec, stages, shuffled).close == decide(world.spec, stages, trials).close


def test_a_bug_found_in_step_1_stops_the_study_before_any_training() -> None:
    world = World(spec(), quadratic(check=check_outcome(duplicate_ratio=2.0))).play()
    assert world.finish is not None
    assert world.finish.state is StudyState.FAILED
    assert "average the loss over the batch" in world.finish.reason
    assert [trial.program.kind for trial in world.trials] == ["check"]


def test_a_model_that_fits_no_small_sample_stops_after_the_whole_ladder() -> None:
    law = quadratic()

    def stuck(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if plan.program.subset_batches is None:
            return outcome
        measured = {"loss_first": 2.5, "loss_best": 1.2, "loss_end": 1.2, "conflicts": 0.0}
        return outcome.model_copy(update={"measurements": measured, "metrics": {"train_accuracy": 0.6}})

    world = World(spec(), stuck).play()
    assert world.kinds()[-1] == "overfit/0"
    assert world.finish is not None
    assert world.finish.reason.startswith("overfit failed")
    roles = {trial.role for trial in world.trials_of(world.stages[-1])}
    assert roles >= {
        "learning rate",
        "learning rate, a decade beyond",
        "last layer x0.1",
        "hidden_units x2",
        "one layer more",
    }


@pytest.mark.parametrize(("share", "goes_on"), [(0.15, True), (0.6, False)])
def test_a_regression_that_nearly_fits_goes_on_with_a_warning(share: float, goes_on: bool) -> None:
    check = check_outcome(
        classes=math.nan, label_entropy=math.nan, expected_loss=1.0, initial_losses=[1.1] * 5
    )
    law = quadratic(check=check)

    def stubborn(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if plan.program.subset_batches is None:
            return outcome
        measured = {"loss_first": 1.1, "loss_best": share, "loss_end": share, "conflicts": 0.0}
        return outcome.model_copy(update={"measurements": measured, "metrics": {}})

    world = World(spec(), stubborn).play()
    overfit = world.stage("overfit", 0)
    assert overfit.state is (StageState.WARNED if goes_on else StageState.FAILED)
    assert overfit.verdict is not None
    assert overfit.verdict.code == "underfit"


def test_no_learning_rate_sends_the_study_back_to_step_2_once() -> None:
    law = quadratic()

    def never_drops(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if "last_losses" not in outcome.measurements:
            return outcome
        return outcome.model_copy(
            update={"measurements": {**outcome.measurements, "last_losses": [2.6] * 20}}
        )

    world = World(spec(), never_drops).play()
    assert world.kinds() == ["initial_loss/0", "overfit/0", "find_lr/0", "overfit/1", "find_lr/1"]
    assert world.finish is not None
    assert "no learning rate makes the loss drop" in world.finish.reason


def improving(plan: TrialPlan) -> dict[str, Any]:
    """A run whose losses fall by 5 % of their start an epoch, whatever is changed."""
    assert plan.budget is not None
    epochs = round(plan.budget.epochs or 3)
    losses = [2.3 * 0.95**epoch for epoch in range(1, epochs + 1)]
    shares = [1 - loss / 2.4 for loss in losses]
    return {**curves(train_loss=losses, val_loss=losses, train=shares, val=shares), "train_trend_p": 0.001, "best_position": 1.0}  # fmt: skip


def still_falling() -> Law:
    """Every training run improves to its end."""
    law = quadratic()

    def falls(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if "gap" not in outcome.measurements:
            return outcome
        return outcome.model_copy(update={"measurements": {**outcome.measurements, **improving(plan)}})

    return falls


def test_overfitting_turns_one_knob_family_a_round() -> None:
    law = quadratic()

    def overfits(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if "gap" not in outcome.measurements:
            return outcome
        lagging = curves(train_loss=[0.5, 0.05], val_loss=[0.8, 1.2], train=[0.9, 1.0], val=[0.72, 0.75])
        return outcome.model_copy(
            update={"measurements": {**outcome.measurements, **lagging, "val_loss_rise": 1.5}}
        )

    world = World(
        spec(
            space={
                "learning_rate": {"low": 1e-4, "high": 1, "log": True},
                "weight_decay": {"low": 0, "high": 1},
            }
        ),
        overfits,
    ).play()
    first = [t for t in world.trials_of(world.stage("refine", 1)) if t.replicate == 0]
    second = [t for t in world.trials_of(world.stage("refine", 2)) if t.replicate == 0]
    moved = {
        key
        for t in first
        for key in t.params
        if t.params[key] != Carry.model_validate(world.stage("refine", 0).carried).winner.get(key)
    }  # type: ignore[union-attr]
    assert moved == {"weight_decay"}
    assert {t.params.get("dropout") for t in second} >= {0.1, 0.3, 0.5}
    assert world.stage("curves", 0).verdict.code == "overfit"  # type: ignore[union-attr]


def test_longer_training_continues_the_points_already_trained() -> None:
    world = World(spec(recipe={"rounds": 2}), still_falling()).play()
    longer = world.trials_of(world.stage("refine", 1))
    assert {t.budget.epochs for t in longer if t.budget} == {30.0}
    by_id = {t.id: t for t in world.trials}
    for trial in longer:
        assert trial.continues is not None
        earlier = by_id[trial.continues]
        assert (earlier.params, earlier.replicate) == (trial.params, trial.replicate)
        assert earlier.budget is not None
        assert earlier.budget.epochs in (15, 19)  # 19: the probe that proved it


def test_labels_that_validation_contradicts_stop_the_search() -> None:
    law = quadratic()

    def shuffled(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if "objective_best" not in outcome.measurements:
            return outcome
        chance = curves(train_loss=[1.0, 0.1], val_loss=[2.4, 3.0], train=[0.7, 0.99], val=[0.1, 0.11])
        return outcome.model_copy(update={"measurements": {**outcome.measurements, **chance}})

    world = World(spec(), shuffled).play()
    assert world.finish is not None
    assert world.finish.state is StudyState.FAILED
    assert world.kinds()[-1] == "curves/1"


def test_final_uses_seeds_that_no_earlier_stage_has_seen() -> None:
    world = World(spec(), quadratic()).play()
    final = world.trials_of(world.stage("final"))
    earlier = {trial.replicate for trial in world.trials if trial.stage_id != final[0].stage_id}
    assert len(final) == 3
    assert not earlier & {trial.replicate for trial in final}
    assert all(trial.program.test and trial.params["schedule"] == "cosine" for trial in final)


def test_only_final_opens_the_test_set() -> None:
    world = World(spec(), quadratic()).play()
    final = world.stage("final").id
    assert {trial.stage_id for trial in world.trials if trial.program.test} == {final}


def test_random_search_draws_as_many_points_in_the_same_box() -> None:
    grid = World(spec(), quadratic(best_rate=0.1)).play()
    drawn = World(spec(recipe={"search": "random"}), quadratic(best_rate=0.1)).play()
    points = drawn.trials_of(drawn.stage("coarse"))
    assert len(points) == 9 <= len(grid.trials_of(grid.stage("coarse")))
    rates = [float(trial.params["learning_rate"]) for trial in points]
    assert len(set(rates)) == 9
    assert all(0.1 / 10**0.5 <= rate <= 0.1 * 10**0.5 for rate in rates)
    again = World(spec(recipe={"search": "random"}), quadratic(best_rate=0.1)).play()
    assert [t.params for t in again.trials_of(again.stage("coarse"))] == [t.params for t in points]


@pytest.mark.parametrize(
    ("carry", "reason"),
    [
        (Carry(), None),
        (Carry(verdicts=("ok",), losses=(0.3,), errors=(0.01,)), None),
        (Carry(verdicts=("ok", "ok"), losses=(0.3, 0.29), errors=(0.02, 0.02)), "half the spacing"),
        (Carry(verdicts=("ok", "ok"), losses=(0.3, 0.2), errors=(0.02, 0.02), winner_on_edge=True), None),
        (Carry(verdicts=("underfit",) * 3, losses=(0.3,) * 3, errors=(0.1,) * 3), "did not help"),
        (Carry(verdicts=("overfit", "ok", "overfit", "ok", "underfit")), "all 5 rounds"),
    ],
)
def test_rounds_stop_when_they_should(carry: Carry, reason: str | None) -> None:
    answer = stop_reason(spec(recipe={"rounds": 5}), carry)
    assert (answer is None) if reason is None else (answer is not None and reason in answer)


def test_a_winner_that_still_improves_keeps_its_learning_rate_in_final() -> None:
    world = World(spec(recipe={"rounds": 2}), still_falling()).play()
    final = world.trials_of(world.stage("final"))
    assert {trial.params.get("schedule") for trial in final} == {None}


def test_the_most_promising_of_the_whole_ladder_gets_a_thousand_steps_before_the_gate_fails() -> None:
    law = quadratic()

    def slow(plan: TrialPlan) -> Outcome:
        outcome = law(plan)
        if plan.program.subset_batches is None:
            return outcome
        assert plan.budget is not None
        best = plan.params["learning_rate"] == 1.0
        measured = {
            "loss_first": 2.5,
            "loss_best": 0.1 if best else 0.5,
            "loss_end": 0.1 if best else 0.5,
            "conflicts": 0.0,
        }
        if best and plan.budget.steps == 1000:
            measured["fit_at"] = 864.0
        return outcome.model_copy(
            update={"measurements": measured, "metrics": {"train_accuracy": 0.99}, "steps": plan.budget.steps}
        )

    world = World(spec(), slow).play()
    assert world.stage("overfit", 0).state is StageState.PASSED
    assert "after 864 steps" in world.stage("overfit", 0).verdict.text  # type: ignore[union-attr]
