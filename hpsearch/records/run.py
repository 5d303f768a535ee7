"""One attempt at a trial, and the files it registered."""

from datetime import datetime
from typing import Literal

from hpsearch.records.record import Record, RunId, TrialId, WorkerId
from hpsearch.records.states import FailureReason, RunState


class Run(Record):
    """One attempt at a trial by one worker under one lease. Its id is the fencing token.

    `worker`: the worker's name, which outlives its id, where a trial's runs were asked for.
    """

    id: RunId
    trial_id: TrialId
    worker_id: WorkerId
    worker: str = ""
    epoch: int
    state: RunState
    reason: FailureReason | None
    message: str
    started_at: datetime
    finished_at: datetime | None
    lease_until: datetime


class Checkpoint(Record):
    """A file a run registered under its lease: `best` (snapshot) or `last` (to resume from)."""

    trial_id: TrialId
    run_id: RunId
    name: Literal["best", "last"]
    step: int
    size: int
    sha256: str
