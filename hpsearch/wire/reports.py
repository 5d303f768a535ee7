"""What a worker says of its runs, and what remains to be read of it."""

from typing import Annotated, Literal

from pydantic import FailFast, Field

from hpsearch.records import FailureReason, Number, Outcome, Record, RunId, Series, WorkerId

MAX_POINTS = 10_000  # metric points in one report
LOG_BYTES = 65_536  # of a run's output that are kept


class RunReport(Record):
    """What a worker says of one run: a stretch of its curves, its log's tail, and at the end its outcome.

    `seq` numbers a run's reports from 0; the same number again is stored once.
    """

    run_id: RunId
    seq: int = Field(ge=0)
    series: Series = {}
    log: str = Field(default="", max_length=LOG_BYTES)
    outcome: Outcome | None = None


class ReportRequest(Record):
    worker_id: WorkerId
    # FailFast: a hundred thousand wrong items would make as many errors.
    reports: Annotated[tuple[RunReport, ...], FailFast()] = Field(min_length=1, max_length=256)


class RunMetrics(Record):
    """A stretch of one run's curves. `seq` numbers all that is said of a run, as in `RunReport`."""

    seq: int = Field(ge=0)
    series: Series


class RunLogs(Record):
    seq: int = Field(ge=0)
    log: str = Field(max_length=LOG_BYTES)


class RunFinish(Record):
    """How one run ended; the state is in the path."""

    seq: int = Field(ge=0)
    reason: FailureReason | None = None
    message: str = Field(default="", max_length=LOG_BYTES)
    value: Number | None = None
    metrics: dict[str, Number] = {}
    measurements: dict[str, Number | list[Number]] = {}
    steps: int = Field(default=0, ge=0)


class ReportResult(Record):
    """`refused`: the run has ended with another outcome, which stays."""

    run_id: RunId
    status: Literal["ok", "lease_lost", "refused"]
    detail: str = ""


class ReportResponse(Record):
    results: tuple[ReportResult, ...]


class RunLog(Record):
    run_id: RunId
    text: str
