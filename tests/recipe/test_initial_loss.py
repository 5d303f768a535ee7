"""Step 1: each planted fault gets its own name; a healthy check passes."""

import math

import pytest

from hpsearch.recipe.initial_loss import judge
from hpsearch.recipe.loss_tests import ratio
from hpsearch.records import Program, StageState, Trial, TrialPlan
from hpsearch.vocabulary import VerdictCode
from tests.recipe.world import check_outcome, trial_of


def check(**changes: object) -> Trial:
    return trial_of(TrialPlan(program=Program(kind="check"), params={}), check_outcome(**changes))


def test_a_healthy_network_passes_with_its_number_against_ln_10() -> None:
    state, verdict = judge(check())
    assert state is StageState.PASSED
    assert verdict.code is VerdictCode.OK
    assert "ln 10 = 2.303" in verdict.text
    assert "ratio 1.13" in verdict.text
    assert {e.name for e in verdict.evidence} >= {
        "initial loss",
        "expected loss",
        "ratio",
        "loss of a doubled batch",
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"initial_losses": [14.1] * 5}, VerdictCode.BAD_INIT),
        ({"initial_losses": [0.2] * 5}, VerdictCode.LOSS_BUG),
        ({"initial_losses": [math.inf] * 5}, VerdictCode.LOSS_BUG),
        ({"duplicate_ratio": 2.0, "initial_losses": [160.0] * 5}, VerdictCode.LOSS_BUG),
        ({"floor_loss": 1.46}, VerdictCode.LOSS_BUG),
        ({"descent": -0.9}, VerdictCode.LOSS_BUG),
        ({"nonfinite_inputs": 3.0}, VerdictCode.INPUT_SCALE),
        ({"val_mean_shift": 4.0}, VerdictCode.VAL_MISMATCH),
        ({"val_std_ratio": 16.0}, VerdictCode.VAL_MISMATCH),
        ({"val_std_ratio": 1.6}, VerdictCode.VAL_MISMATCH),
        ({"zero_weight_fraction": 1.0}, VerdictCode.BAD_INIT),
        ({"dead_fraction": 1.0}, VerdictCode.DEAD),
    ],
)
def test_a_fault_fails_the_gate_under_its_own_name(changes: dict[str, object], code: VerdictCode) -> None:
    state, verdict = judge(check(**changes))
    assert state is StageState.FAILED
    assert verdict.code is code
    assert verdict.remedy is not None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"initial_losses": [4.0] * 5}, VerdictCode.BAD_INIT),
        ({"gradient_ratio": 1e-6}, VerdictCode.VANISHING),
        ({"input_abs_mean": 120.0}, VerdictCode.INPUT_SCALE),
        ({"feature_std_ratio": 1e4}, VerdictCode.INPUT_SCALE),
    ],
)
def test_a_doubt_warns_and_goes_on(changes: dict[str, object], code: VerdictCode) -> None:
    state, verdict = judge(check(**changes))
    assert state is StageState.WARNED
    assert verdict.code is code


def test_one_unlucky_initialization_of_five_raises_no_alarm() -> None:
    state, _ = judge(check(initial_losses=[2.4, 2.5, 2.6, 2.7, 9.0]))
    assert state is StageState.PASSED


def test_an_output_bias_at_the_class_prior_starts_at_the_label_entropy_and_passes() -> None:
    state, _ = judge(
        check(initial_losses=[0.25] * 5, expected_loss=math.log(2), label_entropy=0.2, classes=2.0)
    )
    assert state is StageState.PASSED


def test_a_loss_of_unknown_floor_is_not_held_against_it() -> None:
    state, verdict = judge(check(floor_loss=math.nan))
    assert state is StageState.PASSED
    assert [e.ok for e in verdict.evidence if e.name.startswith("loss of perfect")] == [None]


def test_ratio_is_the_median_over_initializations() -> None:
    assert ratio(check(initial_losses=[1.0, 2.0, 3.0, 50.0, 60.0], expected_loss=2.0)) == 1.5


def test_absolute_error_on_one_hot_targets_warns_and_does_not_fail() -> None:
    state, verdict = judge(check(initial_losses=[0.308] * 5, expected_loss=0.1))
    assert state is StageState.WARNED
    assert verdict.code is VerdictCode.BAD_INIT
