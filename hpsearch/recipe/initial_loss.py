"""Step 1: check the initial loss against the loss's own expectation, and the unit tests beside it.

Thresholds are recipe.md §3 step 1: pass 0.9-1.5, warn to 2 (TheDeepChecker's 100 %), else fail. A correct
network is not at log C but at about log C + Var(logits)/2, so a 10 % tolerance would flag every one.
"""

from hpsearch.recipe import data_tests, model_tests
from hpsearch.recipe.checklist import Test
from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.history import History
from hpsearch.recipe.loss_tests import LOSS_TESTS, headline, ratio_test, ratio_warning
from hpsearch.records import Evidence, Measured, Stage, StageState, TrialState, Verdict
from hpsearch.vocabulary import VerdictCode

FAILING: tuple[Test, ...] = (
    data_tests.inputs_finite,
    *LOSS_TESTS,
    data_tests.validation_like_training,
    model_tests.some_weights,
    model_tests.alive,
)
WARNING: tuple[Test, ...] = (
    data_tests.labels_follow_inputs,
    data_tests.labels_mean_the_same,
    model_tests.evaluates,
    model_tests.signal_arrives,
    data_tests.input_scale,
)


def step(history: History, stage: Stage) -> Answer:
    plan = history.check()
    check = history.result(plan)
    if check is None or not check.finished:
        return (plan,)
    if check.state is not TrialState.COMPLETED:
        text = f"the check could not run: {check.message or check.state}"
        verdict = Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0)
        return ended(stage, StageState.FAILED, verdict, history.carry)
    state, verdict = judge(check)
    return ended(stage, state, verdict, history.carry)


def judge(check: Measured) -> tuple[StageState, Verdict]:
    """The verdict of a completed check: the first failed test, else the first warning, else ok."""
    evidence: list[Evidence] = []
    failed = [v for test in (ratio_test, *FAILING) if (v := test(check, evidence)) is not None]
    warned = [v for test in WARNING if (v := test(check, evidence)) is not None]
    high = ratio_warning(check)
    shown = tuple(evidence)
    if failed:
        # A bug explains a wrong ratio, not the other way round: name the bug first.
        causes = [*failed, *(v for v in warned if v.code is VerdictCode.INPUT_SCALE)]
        first = next((v for v in causes if v.code is not VerdictCode.BAD_INIT), failed[0])
        others = tuple(dict.fromkeys(v.code for v in [*failed, *warned] if v.code != first.code))
        return StageState.FAILED, first.model_copy(update={"evidence": shown, "alternatives": others})
    for verdict in [*warned, *([high] if high else [])]:
        return StageState.WARNED, verdict.model_copy(update={"evidence": shown})
    return StageState.PASSED, Verdict(
        code=VerdictCode.OK, text=headline(check), confidence=0.95, evidence=shown
    )


def failures(check: Measured) -> list[Verdict]:
    """Every test that fails or warns, bugs before what they may explain."""
    return [v for test in (*FAILING, *WARNING, ratio_test) if (v := test(check, [])) is not None]


def evidence(check: Measured) -> tuple[Evidence, ...]:
    """Every number of the check beside its threshold."""
    found: list[Evidence] = []
    for test in (ratio_test, *FAILING, *WARNING):
        test(check, found)
    return tuple(found)
