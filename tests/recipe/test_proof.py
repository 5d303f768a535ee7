"""What a probe proves: bars that a change must clear before it is a cause."""

from dataclasses import replace
from math import nan

import pytest

from hpsearch.recipe.case import Case, Level, Probe, Result
from hpsearch.recipe.effects import Effect
from hpsearch.recipe.examination import overfits
from hpsearch.recipe.probing import followed, probes_of
from hpsearch.recipe.proof import helps
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.records import Outcome
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode, hyperparameters
from tests.recipe.world import check_outcome, curves

CUT: Params = {"schedule": "step", "schedule_epochs": 0.0, "step_epochs": 20.0, "step_factor": 0.1}


def measured(loss: float, share: float, count: int) -> Outcome:
    """A run that stands still at this loss and this share, on both splits."""
    shown = curves(
        train_loss=[loss] * count, val_loss=[loss] * count, train=[share] * count, val=[share] * count
    )
    features = {"evaluations": float(count), "val_size": 2000.0, "objective_se": 0.001, "train_trend_p": 0.9}
    return Outcome(state="completed", measurements={**shown, **features})


def case_of(outcome: Outcome, **values: float | str) -> Case:
    known = hyperparameters({}, dict(values))
    return Case(known, 20.0, "accuracy", True, check_outcome(), Result("completed", outcome))


@pytest.mark.parametrize(("gained", "proves"), [(0.012, False), (0.02, True)])
def test_a_decay_must_gain_more_than_one_gains_any_run_at_a_constant_rate(
    gained: float, proves: bool
) -> None:
    case = case_of(measured(0.2, 0.9, 20))
    end = Level(0.9, 0.9, 0.98, 0.98)
    after = Level(0.9 + gained, 0.9 + gained, 0.98 + gained, 0.98 + gained)
    effect = Effect(Probe(CUT, 24, continues=True), end, after, end, noise=0.005, accuracy=True)
    plateau = Suspicion(VerdictCode.PLATEAU_DECAY, "why", (CUT,), continues=True)
    assert helps(case, plateau, effect, None) is proves


@pytest.mark.parametrize(("gained", "proves"), [(0.017, False), (0.022, True)])
def test_a_decay_that_only_the_loss_tells_of_must_gain_more(gained: float, proves: bool) -> None:
    case = case_of(measured(0.2, 0.9, 20))
    end = Level(0.9, 0.9, 0.98, 0.98)
    after = Level(0.9 + 2 * gained, 0.9 + 2 * gained, 0.98, 0.98)
    effect = Effect(Probe(CUT, 24, continues=True), end, after, end, noise=0.005, accuracy=True)
    plateau = Suspicion(VerdictCode.PLATEAU_DECAY, "why", (CUT,), continues=True)
    assert helps(case, plateau, effect, None) is proves


@pytest.mark.parametrize(("val_loss", "found"), [(2.1, True), (0.5, False)])
def test_a_gap_of_some_points_is_overfitting_where_validation_losses_explain_nothing(
    val_loss: float, found: bool
) -> None:
    outcome = measured(0.01, 1.0, 20)
    lagging = curves(train_loss=[0.01] * 20, val_loss=[val_loss] * 20, train=[1.0] * 20, val=[0.92] * 20)
    outcome = replace_measured(outcome, lagging)
    assert overfits(case_of(outcome)) is found


def replace_measured(outcome: Outcome, changed: dict[str, object]) -> Outcome:
    return outcome.model_copy(
        update={"measurements": {**outcome.measurements, **changed, "val_loss_rise": 1.0}}
    )


def test_a_run_without_its_regularization_is_followed_to_the_end_of_its_own_schedule() -> None:
    case = case_of(measured(1.5, 0.5, 20), schedule="cosine", weight_decay=0.1)
    suspicion = Suspicion(VerdictCode.OVER_REGULARIZED, "heavy", ({"weight_decay": 0.0},))
    (first,) = probes_of(case, suspicion)
    assert (first.changes["schedule_epochs"], first.epochs) == (20.0, 5)
    better = Result("completed", measured(1.2, 0.6, 5))
    _, longer = followed(replace(case, results={first.key: better}), [suspicion])
    (second,) = probes_of(case, longer)
    assert (second.changes.get("schedule_epochs", 0.0), second.epochs) == (0.0, 14)


def ended_at(level: float, loss_noise: float = 0.0, share: float | None = None) -> Effect:
    """What a change did to a run that ended at 0.9 of everything; `share`: its validation share apart."""
    end = Level(0.9, 0.9, 0.98, 0.98)
    after = Level(level, level, 0.98 + (level - 0.9), share or 0.98 + (level - 0.9))
    probe = Probe({"learning_rate": 0.1}, 10)
    return Effect(probe, end, after, end, noise=0.005, accuracy=True, loss_noise=loss_noise)


@pytest.mark.parametrize(("level", "proves"), [(0.92, False), (0.93, True)])
def test_a_rate_must_gain_a_run_that_learned_more_than_a_well_chosen_one_gains(
    level: float, proves: bool
) -> None:
    case = case_of(measured(0.2, 0.9, 20))
    low = Suspicion(VerdictCode.LR_TOO_LOW, "why", ({"learning_rate": 0.1},))
    assert helps(case, low, ended_at(level), None) is proves


def test_a_later_cut_has_shown_enough_where_half_the_run_is_ahead_of_all_of_it() -> None:
    case = case_of(measured(0.2, 0.9, 20))
    early = Suspicion(VerdictCode.DECAY_TOO_EARLY, "why", ({"step_epochs": 7.0},))
    assert helps(case, early, ended_at(0.92), None)


@pytest.mark.parametrize(
    ("noise", "share", "better"),
    [(0.1, 0.98, True), (0.45, 0.98, False), (0.1, 0.974, True), (0.25, 0.974, False)],
)
def test_less_loss_on_few_samples_may_be_chance(noise: float, share: float, better: bool) -> None:
    assert ended_at(0.94, loss_noise=noise, share=share).helps_validation is better


@pytest.mark.parametrize(("best", "proves"), [(0.9, True), (0.96, False)])
def test_more_of_anything_must_pass_the_best_that_a_swinging_run_had(best: float, proves: bool) -> None:
    swinging = [2.3 * (1 - skill) for skill in (0.5, *[best] * 2, *[0.9] * 17)]
    shown = curves(train_loss=swinging, val_loss=swinging, train=[0.98] * 20, val=[0.98] * 20)
    case = case_of(replace_measured(measured(0.2, 0.9, 20), shown))
    longer = Suspicion(VerdictCode.TRAIN_LONGER, "why", ({},), continues=True)
    larger = Suspicion(VerdictCode.UNDERFIT, "why", ({"extra_capacity": 4},))
    lower = Suspicion(VerdictCode.LR_TOO_HIGH, "why", ({"learning_rate": 0.001},))
    assert helps(case, longer, ended_at(0.96), None) is proves
    assert helps(case, larger, ended_at(0.96), None) is proves
    assert helps(case, lower, ended_at(0.96), None), "it takes the swings away"


def test_noise_of_a_loss_shrinks_with_the_samples_and_grows_as_the_loss_does() -> None:
    few, many = measured(0.2, 0.9, 20), measured(0.2, 0.9, 20)
    few.measurements["val_size"] = 200.0
    assert case_of(few).loss_noise == pytest.approx(0.5 * (2 / (200 * 0.2)) ** 0.5)
    assert case_of(many).loss_noise == pytest.approx(0.5 * (2 / (2000 * 0.2)) ** 0.5)


@pytest.mark.parametrize(("learned", "proves"), [(True, False), (False, True)])
def test_a_larger_model_that_is_only_faster_proves_nothing_of_a_run_that_got_far(
    learned: bool, proves: bool
) -> None:
    case = case_of(measured(0.2, 0.9, 20) if learned else measured(2.3, 0.1, 20))
    small = Suspicion(VerdictCode.UNDERFIT, "why", ({"extra_capacity": 4},))
    start, far = Level(0.3, 0.3, 0.4, 0.4), Level(0.9, 0.9, 0.98, 0.98)
    ahead = Effect(Probe({"extra_capacity": 4}, 4), start, far, far, noise=0.005, accuracy=True)
    assert helps(case, small, ahead, None) is proves


@pytest.mark.parametrize(("loss_noise", "beats"), [(0.0, False), (0.05, True)])
def test_a_decay_that_does_as_well_on_validation_as_a_lucky_swing_beats_it_on_training(
    loss_noise: float, beats: bool
) -> None:
    start, swing, settled = (
        Level(share, val, nan, nan) for share, val in ((0.9, 0.9), (0.95, 0.951), (0.98, 0.95))
    )
    lucky = Effect(Probe({}, 24, continues=True), start, swing, start, 0.01, False)
    decay = Effect(Probe(CUT, 24, continues=True), start, settled, start, 0.01, False, loss_noise)
    assert decay.beats(lucky, 0.1) is beats


@pytest.mark.parametrize(("epochs", "proves"), [(4.0, True), (20.0, False)])
def test_a_run_of_few_epochs_needs_not_gain_on_training_data_too(epochs: float, proves: bool) -> None:
    case = replace(case_of(measured(1.15, 0.6, 4)), epochs=epochs)
    end, after = Level(0.5, 0.5, 0.6, 0.6), Level(0.52, 0.56, 0.61, 0.63)
    effect = Effect(Probe({}, 1.6 * epochs, continues=True), end, after, end, noise=0.005, accuracy=True)
    longer = Suspicion(VerdictCode.TRAIN_LONGER, "why", ({},), continues=True)
    assert helps(case, longer, effect, None) is proves
