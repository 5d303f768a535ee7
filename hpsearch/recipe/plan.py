"""What follows: a pure function from (spec, stages, trials) to the next step of the recipe.

initial_loss -> overfit -> find_lr -> coarse -> refine -> curves -> (refine -> curves)* -> final

Each stage module has one function `step(history, stage)`: the trials it needs finished first, or its end.
This module knows only the order, and when to stop. No I/O, no clock, no chance of its own.
"""

from collections.abc import Callable, Sequence

from hpsearch.recipe import coarse, curves, final, find_lr, initial_loss, overfit, refine
from hpsearch.recipe.carry import Carry
from hpsearch.recipe.decision import Answer, Decision, Finish, StageClose, StageOpen
from hpsearch.recipe.history import History
from hpsearch.recipe.remedies import BACK_TO_OVERFIT, STOPS_SEARCH
from hpsearch.records import Stage, StageKind, StageState, StudyState, Trial
from hpsearch.spec import StudySpec
from hpsearch.vocabulary import VerdictCode

__all__ = ["Decision", "Finish", "StageClose", "StageOpen", "decide", "load"]

STEPS: dict[StageKind, Callable[[History, Stage], Answer]] = {
    StageKind.INITIAL_LOSS: initial_loss.step,
    StageKind.OVERFIT: overfit.step,
    StageKind.FIND_LR: find_lr.step,
    StageKind.COARSE: coarse.step,
    StageKind.REFINE: refine.step,
    StageKind.CURVES: curves.step,
    StageKind.FINAL: final.step,
}
NEXT = {
    StageKind.INITIAL_LOSS: StageKind.OVERFIT,
    StageKind.OVERFIT: StageKind.FIND_LR,
    StageKind.FIND_LR: StageKind.COARSE,
    StageKind.COARSE: StageKind.REFINE,
    StageKind.REFINE: StageKind.CURVES,
}
SAME_VERDICT = 3  # rounds after which a remedy has not helped (recipe.md, step 7)


def load() -> None:
    """Import what the stages need and no server's start does: it takes a second, and belongs in no transaction."""
    import scipy.stats  # noqa: F401, PLC0415


def decide(spec: StudySpec, stages: Sequence[Stage], trials: Sequence[Trial]) -> Decision:
    """The recipe's next step. Called again after each applied decision until one only waits or finishes.

    `stages` in the order they began; `trials` of the whole study. Raises nothing for any result a trial can
    have; a gate that fails is a `Finish` with the reason.
    """
    history = History(spec, stages, trials)
    if not stages:
        return Decision(open=StageOpen(kind=StageKind.INITIAL_LOSS, round=0))
    current = stages[-1]
    if current.state is not StageState.RUNNING:
        return _after(history, current)
    answer = STEPS[current.kind](history, current)
    if isinstance(answer, StageClose):
        return Decision(close=answer)
    return Decision(trials=tuple(plan for plan in answer if history.result(plan) is None))


def _after(history: History, ended: Stage) -> Decision:
    """What follows an ended stage."""
    if ended.state is StageState.FAILED:
        return _after_failure(history, ended)
    if ended.kind is StageKind.FINAL:
        return Decision(finish=Finish(state=StudyState.COMPLETED, reason="the recipe is complete"))
    if ended.kind is StageKind.CURVES:
        return _after_curves(history, ended)
    following = NEXT[ended.kind]
    round_ = ended.round + 1 if following is StageKind.COARSE else ended.round
    return Decision(open=StageOpen(kind=following, round=round_))


def _after_failure(history: History, ended: Stage) -> Decision:
    """A learning rate that can't be found sends the study back to step 2 once; every other gate is final."""
    verdict = ended.verdict
    first = len(history.of_kind(StageKind.FIND_LR)) == 1
    if ended.kind is StageKind.FIND_LR and first and overfit.ladder(history):
        return Decision(open=StageOpen(kind=StageKind.OVERFIT, round=ended.round + 1))
    reason = f"{ended.kind} failed: {verdict.text}" if verdict else f"{ended.kind} failed"
    if verdict is not None and verdict.remedy is not None:
        reason += f"; {verdict.remedy.text}"
    return Decision(finish=Finish(state=StudyState.FAILED, reason=reason))


def _after_curves(history: History, ended: Stage) -> Decision:
    assert ended.verdict is not None
    code = ended.verdict.code
    if code in STOPS_SEARCH:
        return _after_failure(history, ended)
    if stop_reason(history.spec, history.carry) is not None:
        return Decision(open=StageOpen(kind=StageKind.FINAL, round=ended.round))
    if code in BACK_TO_OVERFIT and overfit.ladder(history):
        return Decision(open=StageOpen(kind=StageKind.OVERFIT, round=ended.round + 1))
    if history.carry.note:
        return Decision(open=StageOpen(kind=StageKind.FINAL, round=ended.round))
    return Decision(open=StageOpen(kind=StageKind.REFINE, round=ended.round + 1))


def stop_reason(spec: StudySpec, carry: Carry) -> str | None:
    """Why no further round is trained, or None (recipe.md, step 7: stop when)."""
    rounds = len(carry.verdicts)
    if rounds >= spec.recipe.rounds:
        return f"all {spec.recipe.rounds} rounds are used"
    if len(carry.verdicts) >= SAME_VERDICT and len(set(carry.verdicts[-SAME_VERDICT:])) == 1:
        return "the remedy did not help"
    if carry.verdicts[-2:] == (VerdictCode.OK, VerdictCode.OK):
        gain = carry.losses[-2] - carry.losses[-1]
        if gain <= max(carry.errors[-1], spec.recipe.tolerance) or not carry.winner_on_edge:
            return "half the spacing brought no gain"
    return None
