"""The states that studies, stages, trials and runs move through, and the moves that are allowed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from hpsearch.errors import IllegalMove


class StudyState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"  # no new trials; those under way finish
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StageState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"


class TrialState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"  # a result: it ranks last and tells where the stability limit is
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    PRUNED = "pruned"
    FAILED = "failed"
    LOST = "lost"  # the lease ran out
    RELEASED = "released"  # given back unfinished, nothing charged
    CANCELLED = "cancelled"


class FailureReason(StrEnum):
    ERROR = "error"
    OOM = "oom"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    POISON = "poison"
    TASK_NOT_ALLOWED = "task_not_allowed"


STUDY_MOVES: Mapping[StudyState, frozenset[StudyState]] = {
    StudyState.RUNNING: frozenset(StudyState) - {StudyState.RUNNING},
    StudyState.PAUSED: frozenset({StudyState.RUNNING, StudyState.STOPPING, StudyState.STOPPED, StudyState.CANCELLED, StudyState.FAILED}),
    StudyState.STOPPING: frozenset({StudyState.RUNNING, StudyState.STOPPED, StudyState.CANCELLED, StudyState.FAILED}),
    StudyState.STOPPED: frozenset({StudyState.RUNNING, StudyState.CANCELLED}),
    StudyState.FAILED: frozenset({StudyState.RUNNING}),  # by retry
    StudyState.COMPLETED: frozenset({StudyState.RUNNING}),  # by retry of failed trials
    StudyState.CANCELLED: frozenset(),
}  # fmt: skip

STAGE_MOVES: Mapping[StageState, frozenset[StageState]] = {
    StageState.RUNNING: frozenset(StageState) - {StageState.RUNNING},
    StageState.PASSED: frozenset({StageState.RUNNING}),  # by retry
    StageState.WARNED: frozenset({StageState.RUNNING}),
    StageState.FAILED: frozenset({StageState.RUNNING}),
    StageState.SKIPPED: frozenset(),
}

TRIAL_MOVES: Mapping[TrialState, frozenset[TrialState]] = {
    TrialState.WAITING: frozenset({TrialState.RUNNING, TrialState.CANCELLED}),
    TrialState.RUNNING: frozenset(TrialState) - {TrialState.RUNNING},
    TrialState.FAILED: frozenset({TrialState.WAITING}),  # by retry
    TrialState.CANCELLED: frozenset({TrialState.WAITING}),  # by retry
    TrialState.COMPLETED: frozenset(),
    TrialState.DIVERGED: frozenset(),
    TrialState.PRUNED: frozenset(),
}

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.ACTIVE: frozenset(RunState) - {RunState.ACTIVE},
    **{state: frozenset() for state in RunState if state is not RunState.ACTIVE},
}

OPEN_TRIAL_STATES = (TrialState.WAITING, TrialState.RUNNING)
FINISHED_STUDY_STATES = (StudyState.STOPPED, StudyState.COMPLETED, StudyState.FAILED, StudyState.CANCELLED)
S = TypeVar("S", bound=StrEnum)


def check_move(noun: str, moves: Mapping[S, frozenset[S]], old: S, new: S) -> None:
    """Raise IllegalMove unless `old` may become `new`."""
    if new not in moves[old]:
        raise IllegalMove(f"{noun} is {old} and can't become {new}")
