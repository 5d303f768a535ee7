"""What the recipe answers: the parts of one step."""

from typing import Any

from hpsearch.recipe.carry import Carry
from hpsearch.records import Record, Stage, StageId, StageKind, StageState, StudyState, TrialPlan, Verdict


class StageClose(Record):
    """The running stage ends with this verdict; `carried` is what later stages start from."""

    stage_id: StageId
    state: StageState
    verdict: Verdict
    carried: dict[str, Any]  # a Carry as JSON


class StageOpen(Record):
    """A new stage begins."""

    kind: StageKind
    round: int


class Finish(Record):
    """The study ends."""

    state: StudyState
    reason: str


class Decision(Record):
    """One step. Its parts are applied in this order; `trials` belong to the stage that is then running.

    A decision with no part set means: wait for the open trials. Trials whose digest exists already in the
    study are not planned again.
    """

    close: StageClose | None = None
    open: StageOpen | None = None
    trials: tuple[TrialPlan, ...] = ()
    finish: Finish | None = None


def ended(stage: Stage, state: StageState, verdict: Verdict, carry: Carry) -> StageClose:
    return StageClose(stage_id=stage.id, state=state, verdict=verdict, carried=carry.model_dump(mode="json"))


# What a stage's step answers: the trials it needs finished first, or its end.
Answer = tuple[TrialPlan, ...] | StageClose
