"""Accept-sets, alarms, repairs and bounds, on results made by hand."""

import pytest

from benchmarks.judge import faults
from benchmarks.judge.cases import Case
from benchmarks.judge.development import DIGITS, development
from benchmarks.judge.holdout import holdout
from benchmarks.judge.killing import Ending, Yardstick
from benchmarks.judge.result import Judgement, Result
from benchmarks.judge.scoring import Share, is_alarm, of_anchor, of_probes, repaired_cases, scored
from hpsearch.vocabulary import VerdictCode as V

GOOD, BAD = Ending(0.97, 0.1, 2.0), Ending(0.5, 1.0, 2.0)
TWIN = Yardstick({0: GOOD, 1: Ending(0.96, 0.11, 2.0), 2: Ending(0.98, 0.1, 2.0)})
LOW_RATE = Case(DIGITS, "fault", faults.lr_times(1 / 100, "lr_low"))
HEALTHY = Case(DIGITS, "easy")


def judged(case, verdict, seed=0, *, ending=BAD, repaired=None, anchors=None):
    judgement = Judgement(verdict, 0.9, "", {}, repaired, run_steps=100, probe_steps=50, seconds=0.1)
    return Result(case.name, seed, ending, judgement, "", anchors or {})


def test_every_verdict_of_the_accept_set_is_right_and_no_other():
    results = [
        judged(LOW_RATE, verdict, seed) for seed, verdict in enumerate(("lr_too_low", "train_longer", "ok"))
    ]
    assert [one.right for one in scored(LOW_RATE, results, TWIN)] == [True, True, False]


def test_a_harmless_fault_is_in_no_figure():
    found = scored(LOW_RATE, [judged(LOW_RATE, "ok", ending=GOOD)], TWIN)
    assert of_probes(found).detected.total == 0


def test_a_wrong_verdict_is_detection_and_ok_is_none():
    found = scored(LOW_RATE, [judged(LOW_RATE, "overfit", 0), judged(LOW_RATE, "ok", 1)], TWIN)
    assert of_probes(found).detected == Share(1, 2)
    assert of_probes(found).micro == Share(0, 2)


def test_a_verdict_on_a_healthy_run_is_a_false_alarm_unless_it_is_ok():
    found = scored(HEALTHY, [judged(HEALTHY, "ok", 0), judged(HEALTHY, "underfit", 1)], None)
    assert of_probes(found).easy_alarms == Share(1, 2)


@pytest.mark.parametrize("verdict", ["ok", "not_enough_evidence", "error"])
def test_no_evidence_and_no_answer_are_no_alarms(verdict):
    assert not is_alarm(verdict)


def test_a_remedy_is_held_against_the_twin_of_its_own_seed():
    results = [
        judged(LOW_RATE, "lr_too_low", 0, repaired=Ending(0.965, 0.1, 2.0)),
        judged(LOW_RATE, "lr_too_low", 2, repaired=Ending(0.9, 0.3, 2.0)),
        judged(LOW_RATE, "ok", 1),
    ]
    found = scored(LOW_RATE, results, TWIN)
    assert [one.repaired for one in found] == [True, False, False]
    assert repaired_cases(found) == Share(0, 1)
    assert repaired_cases(found[:1]) == Share(1, 1)


def test_an_anchor_is_right_with_any_hit():
    named = {"theirs": frozenset({V.OVERFIT, V.LR_TOO_LOW})}
    found = scored(LOW_RATE, [judged(LOW_RATE, "ok", anchors=named)], TWIN)
    assert of_anchor(found, "theirs").micro == Share(1, 1)


def test_upper_bound_is_clopper_pearsons():
    # "Rule of three": without a single alarm in n runs the bound is 1 - 0.05 ** (1 / n).
    assert Share(0, 75).upper == pytest.approx(1 - 0.05 ** (1 / 75))
    assert Share(3, 3).upper == 1.0


def test_macro_is_the_mean_over_families():
    other = Case(DIGITS, "fault", faults.SIGN_FLIP)
    found = [
        *scored(LOW_RATE, [judged(LOW_RATE, "lr_too_low", seed) for seed in range(3)], TWIN),
        *scored(other, [judged(other, "ok", 0)], TWIN),
    ]
    assert of_probes(found).macro == 0.5
    assert of_probes(found).micro == Share(3, 4)


def test_suites_share_no_task_and_hold_what_they_promise():
    ours, theirs = development(), holdout()
    assert not {case.twin.kind.__name__ for case in ours.cases if case.kind == "fault"} & {
        case.twin.kind.__name__ for case in theirs.cases if case.kind == "fault"
    }
    assert not set(ours.seeds) & set(theirs.seeds)
    assert len(theirs.seeds) >= 10
    names = {case.fault.name for case in theirs.cases if case.fault is not None}
    assert len(names) >= 40
    new = names - {case.fault.name for case in ours.cases if case.fault is not None}
    assert len(new) >= len(names) / 3
