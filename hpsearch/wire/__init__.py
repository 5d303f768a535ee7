"""Bodies of the REST API that are not records: what is sent, and the pages and answers around records."""

from hpsearch.wire.curves import Curve, CurveList
from hpsearch.wire.leases import MAX_PACK, Assignment, Lease, LeaseRequest, LeaseResponse
from hpsearch.wire.operations import Health, Prune, Pruned, Version
from hpsearch.wire.problems import ProblemDetails, ProblemItem
from hpsearch.wire.reports import (
    LOG_BYTES,
    MAX_POINTS,
    ReportRequest,
    ReportResponse,
    ReportResult,
    RunFinish,
    RunLog,
    RunLogs,
    RunMetrics,
    RunReport,
)
from hpsearch.wire.studies import (
    BestList,
    Clone,
    EventList,
    Fork,
    Importances,
    Preview,
    StageList,
    StudyPage,
    StudyPatch,
    TrialPage,
)
from hpsearch.wire.tokens import CreateToken, TokenCreated, TokenList
from hpsearch.wire.workers import HeartbeatRequest, HeartbeatResponse, Interrupted, RegisterWorker, WorkerList

__all__ = [
    "LOG_BYTES",
    "MAX_PACK",
    "MAX_POINTS",
    "Assignment",
    "BestList",
    "Clone",
    "CreateToken",
    "Curve",
    "CurveList",
    "EventList",
    "Fork",
    "Health",
    "HeartbeatRequest",
    "HeartbeatResponse",
    "Importances",
    "Interrupted",
    "Lease",
    "LeaseRequest",
    "LeaseResponse",
    "Preview",
    "ProblemDetails",
    "ProblemItem",
    "Prune",
    "Pruned",
    "RegisterWorker",
    "ReportRequest",
    "ReportResponse",
    "ReportResult",
    "RunFinish",
    "RunLog",
    "RunLogs",
    "RunMetrics",
    "RunReport",
    "StageList",
    "StudyPage",
    "StudyPatch",
    "TokenCreated",
    "TokenList",
    "TrialPage",
    "Version",
    "WorkerList",
]
