"""Step 6 as a pure procedure: which probe comes next, what it may cost, and what its result proves."""

from collections.abc import Callable
from typing import Any

import pytest

from hpsearch.recipe.case import Case, Probe, Result
from hpsearch.recipe.examination import examine
from hpsearch.records import Outcome, Verdict
from hpsearch.vocabulary import VerdictCode, hyperparameters
from tests.recipe.world import check_outcome, curves

EPOCHS = 20.0
Law = Callable[[Probe], Outcome]


def run(train: list[float], val: list[float], **features: float) -> Outcome:
    """A run by its accuracies; losses fall with them."""
    losses = [2.3 * (1 - share) for share in train]
    measured: dict[str, Any] = {
        **curves(train_loss=losses, val_loss=[2.3 * (1 - s) for s in val], train=train, val=val),
        "evaluations": float(len(val)), "val_size": 500.0, "objective_se": 0.001, "val_loss_rise": 1.0,
        "loss_spike": 1.0, "noise": 0.1, "update_ratio_median": 1e-3, "train_trend_p": 0.5, "best_position": 0.5,
    }  # fmt: skip
    return Outcome(state="completed", measurements={**measured, **features})


def steady(level: float, count: int = 20) -> list[float]:
    """Rises fast and stays."""
    return [level * min(1.0, (i + 2) / 3) for i in range(count)]


DIVERGED = Outcome(state="diverged", measurements={"diverged_at": 5.0})


def examined(
    outcome: Outcome, law: Law, *, check: Outcome | None = None, metric: str = "accuracy", **values: Any
) -> tuple[Verdict, list[Probe]]:
    """Ask until there is a verdict; every probe is answered by the law."""
    results: dict[tuple[object, ...], Result] = {}
    asked: list[Probe] = []
    while True:
        case = Case(
            values=hyperparameters({}, {"learning_rate": 0.1, **values}),
            epochs=EPOCHS,
            metric=metric,
            accuracy=metric == "accuracy",
            check=check or check_outcome(),
            run=Result(outcome.state, outcome),
            sizing={"extra_capacity": 4},
            results=results,
            allowance=EPOCHS,
        )
        answer = examine(case)
        if isinstance(answer, Verdict):
            return answer, asked
        assert answer, "neither a probe nor a verdict"
        for probe in answer:
            assert probe.key not in results, "the same probe twice"
            found = law(probe)
            results[probe.key] = Result(found.state, found, case.cost(probe))
            asked.append(probe)


def nothing_helps(probe: Probe) -> Outcome:
    return run(steady(0.7, round(probe.epochs)), steady(0.69, round(probe.epochs)))


def only(knob: str, value: Any = None, *, base: float = 0.7) -> Law:
    """A world in which one knob is what is wrong; all other probes do as well as `base`."""

    def law(probe: Probe) -> Outcome:
        helps = knob in probe.changes and value in (None, probe.changes[knob])
        level = 0.99 if helps else base
        return run(steady(level, round(probe.epochs)), steady(level - 0.01, round(probe.epochs)))

    return law


def test_a_fitted_run_with_a_small_gap_is_ok_without_a_probe() -> None:
    verdict, asked = examined(run(steady(1.0), steady(0.985)), nothing_helps)
    assert verdict.code is VerdictCode.OK
    assert asked == []


def test_a_bug_of_step_1_needs_no_probe() -> None:
    verdict, asked = examined(
        run(steady(0.7), steady(0.7)), nothing_helps, check=check_outcome(duplicate_ratio=2.0)
    )
    assert verdict.code is VerdictCode.LOSS_BUG
    assert asked == []


def test_an_unfitted_run_that_nothing_helps_is_at_its_floor() -> None:
    verdict, asked = examined(run(steady(0.7), steady(0.69)), nothing_helps)
    assert verdict.code is VerdictCode.OK
    assert "floor" in verdict.text
    assert len(asked) >= 3


@pytest.mark.parametrize(
    ("law", "code"),
    [
        (only("extra_capacity"), VerdictCode.UNDERFIT),
        (only("learning_rate"), VerdictCode.LR_TOO_HIGH),
        (only("schedule"), VerdictCode.PLATEAU_DECAY),
    ],
)
def test_the_verdict_is_the_change_that_helps(law: Law, code: VerdictCode) -> None:
    verdict, _ = examined(run(steady(0.7), steady(0.69)), law)
    assert verdict.code is code
    assert verdict.probe is not None
    assert verdict.remedy is not None


@pytest.mark.parametrize("outcome", [run(steady(0.7), steady(0.69)), run(steady(0.1), steady(0.1)), DIVERGED])
@pytest.mark.parametrize("law", [nothing_helps, only("learning_rate"), only("extra_capacity")])
def test_probes_cost_at_most_the_run(outcome: Outcome, law: Law) -> None:
    _, asked = examined(outcome, law)
    assert sum(p.epochs - (EPOCHS if p.continues else 0) for p in asked) <= EPOCHS


def test_what_can_not_be_paid_is_not_asked_for() -> None:
    suspect = {"dropout": 0.9, "momentum": 0.99, "schedule": "step", "step_epochs": 1.0, "step_factor": 0.01}
    check = check_outcome(weight_scale_min=0.01, weight_scale_max=1.0)
    _, asked = examined(run(steady(0.7), steady(0.69)), nothing_helps, check=check, **suspect)
    spent = sum(p.epochs - (EPOCHS if p.continues else 0) for p in asked)
    assert 0.7 * EPOCHS < spent <= EPOCHS


def test_a_diverged_run_tries_lower_rates_and_the_best_ones_neighbours() -> None:
    verdict, asked = examined(DIVERGED, only("learning_rate", 0.01))
    assert verdict.code is VerdictCode.LR_TOO_HIGH
    rates = [float(p.changes["learning_rate"]) for p in asked if "learning_rate" in p.changes]
    assert rates[:2] == pytest.approx([0.01, 0.001])
    assert all(rate < 0.1 for rate in rates)


def test_a_run_at_chance_is_never_ok() -> None:
    verdict, _ = examined(run(steady(0.0), steady(0.1)), lambda probe: run(steady(0.0, 5), steady(0.1, 5)))
    assert verdict.code is not VerdictCode.OK
    assert verdict.confidence <= 0.5


def test_more_capacity_beside_faded_gradients_does_not_hide_them() -> None:
    faded = check_outcome(gradient_ratio=1e-6)
    verdict, _ = examined(run(steady(0.1), steady(0.1)), only("extra_capacity", base=0.1), check=faded)
    assert verdict.code is VerdictCode.VANISHING
    assert verdict.probe is not None
    assert verdict.probe["changes"] == {"extra_capacity": 4}, "no size is the cause, but only size helped"


def test_more_capacity_does_not_hide_a_run_that_still_falls() -> None:
    rising = [0.03 * (i + 1) for i in range(20)]

    def law(probe: Probe) -> Outcome:
        level = 0.9 if "extra_capacity" in probe.changes else 0.75 if probe.continues else 0.3
        return run(steady(level, 5), steady(level, 5))

    verdict, _ = examined(run(rising, rising, train_trend_p=0.001, best_position=1.0), law)
    assert verdict.code is VerdictCode.TRAIN_LONGER


def test_a_lead_early_on_proves_only_where_it_is_decisive() -> None:
    """Ahead at the same epoch, not at the end: a quarter of all there is to gain decides."""

    def lead(level: float) -> VerdictCode:
        late = [*[0.3] * 10, *[0.8] * 10]
        verdict, _ = examined(run(late, late), lambda probe: run(steady(level, 5), steady(level, 5)))
        return verdict.code

    assert lead(0.79) is not VerdictCode.OK
    assert lead(0.45) is VerdictCode.OK


def test_a_wide_gap_is_overfitting_and_a_regularizer_that_helps_is_the_remedy() -> None:
    verdict, asked = examined(run(steady(1.0), steady(0.7), val_loss_rise=1.4), only("weight_decay"))
    assert verdict.code is VerdictCode.OVERFIT
    assert verdict.remedy is not None
    assert set(verdict.remedy.changes) == {"weight_decay"}
    assert all("learning_rate" not in probe.changes for probe in asked)


def test_validation_at_chance_beside_learned_training_speaks_for_the_labels() -> None:
    verdict, _ = examined(run(steady(1.0), steady(0.11), val_loss_rise=2.0), nothing_helps)
    assert verdict.code is VerdictCode.LABELS
    assert VerdictCode.OVERFIT in verdict.alternatives


@pytest.mark.parametrize(("halved", "code"), [(0.8, VerdictCode.OVERFIT), (0.915, VerdictCode.OK)])
def test_a_small_gap_is_overfitting_where_half_the_data_cost_much(halved: float, code: VerdictCode) -> None:
    verdict, asked = examined(run(steady(1.0), steady(0.92)), lambda probe: run(steady(1.0), steady(halved)))
    assert [dict(probe.changes) for probe in asked] == [{"train_fraction": 0.5}]
    assert verdict.code is code


def test_a_run_that_lost_what_it_had_learned_had_too_large_steps() -> None:
    collapsed = [*steady(0.9, 10), *[0.1] * 10]
    verdict, _ = examined(run(collapsed, collapsed), only("learning_rate"))
    assert verdict.code is VerdictCode.LR_TOO_HIGH


def test_heavy_dropout_is_blamed_only_where_the_run_does_better_without() -> None:
    unfitted = run(steady(0.7), steady(0.69))
    verdict, _ = examined(unfitted, only("dropout"), dropout=0.9)
    assert verdict.code is VerdictCode.OVER_REGULARIZED
    verdict, _ = examined(unfitted, nothing_helps, dropout=0.9)
    assert verdict.code is VerdictCode.OK


def test_a_schedule_that_cut_early_is_blamed_where_a_later_cut_does_better() -> None:
    cut = {"schedule": "step", "step_epochs": 1.0, "step_factor": 0.01}
    verdict, asked = examined(run(steady(0.7), steady(0.69)), only("step_epochs"), **cut)
    assert verdict.code is VerdictCode.DECAY_TOO_EARLY
    assert verdict.remedy is not None
    changes = verdict.remedy.changes
    assert changes["step_epochs"] == [pytest.approx(0.7 * EPOCHS)], "of the run, not of the probe"
    assert changes["schedule"] == ["step", "cosine", "constant"]
    assert all(probe.changes.get("schedule_epochs") == EPOCHS for probe in asked), (
        "the cut stays where it was"
    )


def test_a_failed_probe_proves_nothing() -> None:
    failed = Outcome(state="failed", reason="oom")  # type: ignore[arg-type]
    verdict, _ = examined(run(steady(0.7), steady(0.69)), lambda probe: failed)
    assert verdict.code is VerdictCode.OK


@pytest.mark.parametrize(("later", "code"), [(0.95, VerdictCode.LR_TOO_LOW), (0.7, VerdictCode.OK)])
def test_a_higher_rate_that_gets_as_far_in_an_eighth_of_the_run_is_followed(
    later: float, code: VerdictCode
) -> None:
    slow = [*[0.2] * 4, *[0.5] * 4, *[0.7] * 12]

    def law(probe: Probe) -> Outcome:
        higher = probe.changes.get("learning_rate") == 1.0
        level = (later if probe.epochs > 5 else 0.7) if higher else 0.7 if probe.continues else 0.2
        return run([level] * 5, [level] * 5)

    verdict, asked = examined(run(slow, slow), law)
    assert verdict.code is code
    assert [p.epochs for p in asked if p.changes.get("learning_rate") == 1.0] == [2.0, 8.0]


@pytest.mark.parametrize(
    ("early", "code"), [(0.75, VerdictCode.LR_TOO_HIGH), (0.5, VerdictCode.PLATEAU_DECAY)]
)
def test_a_decay_that_helps_tells_of_too_high_a_rate_unless_that_rate_made_more_of_the_start(
    early: float, code: VerdictCode
) -> None:
    noisy = [*[0.6] * 5, *[0.8] * 15]

    def law(probe: Probe) -> Outcome:
        lower = probe.changes.get("learning_rate") == pytest.approx(0.01)
        level = early if lower else 0.9 if "schedule" in probe.changes else 0.8 if probe.continues else 0.4
        return run([level] * 5, [level] * 5)

    verdict, _ = examined(run(noisy, noisy), law)
    assert verdict.code is code


def test_validation_that_is_far_easier_than_training_speaks_for_the_labels() -> None:
    verdict, asked = examined(run(steady(0.7), steady(0.95)), nothing_helps)
    assert verdict.code is VerdictCode.LABELS
    assert asked == []


def test_a_regression_is_fit_only_where_next_to_nothing_of_its_loss_is_left() -> None:
    def judged(gained: float) -> VerdictCode:
        def law(probe: Probe) -> Outcome:
            level = 0.975 + gained if probe.continues and not probe.changes else 0.975
            return run([level] * 5, [level] * 5)

        verdict, _ = examined(run([0.975] * 20, [0.975] * 20), law, metric="mse")
        return verdict.code

    assert judged(0.022) is VerdictCode.TRAIN_LONGER
    assert judged(0.018) is VerdictCode.OK, "less than two hundredths is no fault"


def test_weights_that_no_initialization_draws_are_named_where_mending_them_gains_nothing_too() -> None:
    verdict, _ = examined(
        run(steady(0.7), steady(0.69)), nothing_helps, check=check_outcome(initial_losses=[14.1] * 5)
    )
    assert verdict.code is VerdictCode.BAD_INIT
    assert verdict.confidence <= 0.5
    verdict, _ = examined(
        run(steady(1.0), steady(0.97)), nothing_helps, check=check_outcome(initial_losses=[14.1] * 5)
    )
    assert verdict.code is VerdictCode.OK, "it cost nothing"


def test_a_run_without_its_heavy_regularization_is_followed_where_it_leads_early() -> None:
    slow = [*[0.3] * 6, *[0.7] * 14]

    def law(probe: Probe) -> Outcome:
        off = probe.changes.get("dropout") == 0.0
        level = (0.9 if probe.epochs > 6 else 0.45) if off else 0.7 if probe.continues else 0.3
        return run([level] * 5, [level] * 5)

    verdict, _ = examined(run(slow, slow), law, dropout=0.9)
    assert verdict.code is VerdictCode.OVER_REGULARIZED


def test_size_that_does_far_more_than_longer_training_is_the_cause_of_a_run_that_falls() -> None:
    rising = [0.03 * (i + 1) for i in range(20)]

    def law(probe: Probe) -> Outcome:
        level = 0.95 if "extra_capacity" in probe.changes else 0.64 if probe.continues else 0.3
        return run(steady(level, 5), steady(level, 5))

    verdict, _ = examined(run(rising, rising, train_trend_p=0.001, best_position=1.0), law)
    assert verdict.code is VerdictCode.UNDERFIT


@pytest.mark.parametrize(("first", "rates"), [(0.3, [0.01]), (0.65, [0.01, 0.001])])
def test_a_rate_far_lower_is_tried_only_where_a_lower_one_is_not_far_behind(
    first: float, rates: list[float]
) -> None:
    def law(probe: Probe) -> Outcome:
        lower = float(probe.changes.get("learning_rate", 1.0)) < 0.1
        return run([first if lower else 0.65] * 5, [first if lower else 0.65] * 5)

    _, asked = examined(run([0.7] * 20, [0.69] * 20, update_ratio_median=0.02), law)
    tried = [float(p.changes["learning_rate"]) for p in asked if "learning_rate" in p.changes]
    assert [rate for rate in tried if rate < 0.1] == pytest.approx(rates)


def test_a_mended_start_that_leads_decisively_proves_it_before_it_has_got_as_far_as_the_run() -> None:
    slow = [*[0.1] * 12, *[0.85] * 8]

    def law(probe: Probe) -> Outcome:
        level = 0.6 if "initialization" in probe.changes else 0.85 if probe.continues else 0.1
        return run([level] * 5, [level] * 5)

    verdict, _ = examined(run(slow, slow), law, check=check_outcome(weight_scale_min=0.07))
    assert verdict.code is VerdictCode.BAD_INIT
    assert verdict.probe is not None
