"""What follows: a pure function from (spec, stages, trials) to the next step of the recipe."""

from collections.abc import Sequence
from typing import Any

from hpsearch.records import (
    Record,
    Stage,
    StageId,
    StageKind,
    StageState,
    StudyState,
    Trial,
    TrialPlan,
    Verdict,
)
from hpsearch.spec import StudySpec


class StageClose(Record):
    """The running stage ends with this verdict; `carried` is what later stages start from."""

    stage_id: StageId
    state: StageState
    verdict: Verdict
    carried: dict[str, Any]


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


def decide(spec: StudySpec, stages: Sequence[Stage], trials: Sequence[Trial]) -> Decision:
    """The recipe's next step. Called again after each applied decision until one only waits or finishes."""
    raise NotImplementedError
