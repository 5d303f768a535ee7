"""What a next run takes over from the probe that proved a verdict."""

import pytest

from hpsearch.recipe.case import Case, Level, Probe, Result
from hpsearch.recipe.effects import Effect
from hpsearch.recipe.mending import made, mending, remedial, worth_trying
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.records import Outcome
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode, hyperparameters
from tests.recipe.world import check_outcome


def case_of(epochs: float, size_knob: Params | None = None, batch_size: int = 64, **features: float) -> Case:
    outcome = Outcome(state="completed", measurements=dict(features))
    values = hyperparameters({}, {"batch_size": batch_size})
    return Case(
        values,
        epochs,
        "accuracy",
        True,
        check_outcome(),
        Result("completed", outcome),
        size_knob=size_knob or {},
    )


def effect_of(probe: Probe, *, before: float = 0.5, after: float = 0.9) -> Effect:
    levels = [Level(value, value, value, value) for value in (before, after)]
    return Effect(probe, levels[0], levels[1], levels[0], noise=0.01, accuracy=True)


def suspicion(code: VerdictCode, **change: float) -> Suspicion:
    return Suspicion(code, "why", (dict(change),))


def test_a_cut_behind_the_run_becomes_a_decay_over_all_of_it() -> None:
    cut: Params = {"schedule": "step", "schedule_epochs": 0.0, "step_epochs": 20.0, "step_factor": 0.1}
    advised = remedial(case_of(20), effect_of(Probe(cut, 24, continues=True)))
    assert advised == {"schedule": "cosine", "schedule_epochs": 0.0}, "a step at the end would change nothing"
    assert worth_trying(advised)["schedule"] == ["cosine", "linear"]


def test_a_cut_in_a_short_probe_comes_at_the_same_part_of_the_whole_run() -> None:
    probe = Probe({"schedule_epochs": 20.0, "step_epochs": 7.0}, 10)
    assert made(effect_of(probe)) == {"step_epochs": 7.0}
    assert remedial(case_of(20), effect_of(probe)) == {"step_epochs": 14.0}


def test_the_more_a_longer_run_gains_the_longer_the_next_one() -> None:
    probe = Probe({}, 24, continues=True)
    lengths = [remedial(case_of(20), effect_of(probe, after=after)) for after in (0.52, 0.58, 0.9)]
    assert lengths == [{"epochs": 40}, {"epochs": 80}, {"epochs": 160}]


def test_a_run_that_is_short_and_slow_is_also_trained_longer() -> None:
    low, best = (
        suspicion(VerdictCode.LR_TOO_LOW, learning_rate=0.1),
        effect_of(Probe({"learning_rate": 0.1}, 2)),
    )
    assert mending(case_of(4), low, best) == {"learning_rate": 0.1, "epochs": 16}
    assert mending(case_of(20), low, best) == {"learning_rate": 0.1}


def test_a_run_with_large_steps_that_has_not_settled_begins_on_a_lower_rate() -> None:
    cut: Params = {"schedule": "step", "schedule_epochs": 0.0, "step_epochs": 20.0, "step_factor": 0.1}
    plateau, best = suspicion(VerdictCode.PLATEAU_DECAY), effect_of(Probe(cut, 24, continues=True))
    decay = {"schedule": "cosine", "schedule_epochs": 0.0}
    assert mending(case_of(20, update_ratio_median=0.003), plateau, best) == decay
    lower = mending(case_of(20, update_ratio_median=0.03), plateau, best)
    assert lower == {**decay, "learning_rate": pytest.approx(0.01 / 10**0.5)}
    assert len(worth_trying(lower)["learning_rate"]) == 3


def test_a_model_that_is_too_small_is_made_larger_by_its_own_knob() -> None:
    small, best = (
        suspicion(VerdictCode.UNDERFIT, extra_capacity=4),
        effect_of(Probe({"extra_capacity": 4}, 5)),
    )
    assert mending(case_of(20, size_knob={"units": 32}), small, best) == {"units": 32}
    assert mending(case_of(20), small, best) == {"extra_capacity": 4}


def test_larger_batches_make_fewer_steps_of_as_many_epochs() -> None:
    noisy, best = suspicion(VerdictCode.NOISY_EVAL), effect_of(Probe({"batch_size": 32}, 2))
    assert mending(case_of(4, batch_size=2), noisy, best) == {"batch_size": 32, "epochs": 16}
    assert mending(case_of(20, batch_size=2), noisy, best) == {"batch_size": 32}


def test_a_later_cut_is_tried_beside_no_cut_at_all() -> None:
    assert worth_trying({"step_epochs": 14.0}) == {
        "step_epochs": [14.0],
        "schedule": ["step", "cosine", "constant"],
    }
