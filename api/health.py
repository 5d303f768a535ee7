"""Is it alive, can it work, what is it, how much is there."""

from collections import Counter

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import VIEW
from api.bodies import StrictRoute
from api.parameters import Held
from api.resources import Resources
from api.telemetry import Telemetry
from hpsearch import __version__
from hpsearch.errors import HpsearchError
from hpsearch.service import maintenance, studies, workers
from hpsearch.wire import Health, Version

router = APIRouter(tags=["health"], route_class=StrictRoute)
PAGE = 1_000


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    responses={503: {"model": Health, "description": "Database, schema or disk can't be worked with"}},
)
def readyz(response: Response, held: Held) -> Health:
    """The database answers, its schema is this program's (or a newer one's), and the disk has room."""
    checks = {"database": "ok", "schema": "ok", "disk": held.disk.problem or "ok"}
    try:
        state = maintenance.schema_state(held.db)
        checks["schema"] = "ok" if state in ("current", "newer") else f"{state}: run `hpsearch db upgrade`"
    except HpsearchError as error:
        checks |= {"database": error.message, "schema": "unknown"}
    ready = all(said == "ok" for said in checks.values())
    response.status_code = 200 if ready else 503
    return Health(status="ok" if ready else "unavailable", checks=checks)


@router.get("/version", operation_id="version")
async def version() -> Version:
    return Version(version=__version__)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    dependencies=[Depends(VIEW)],
)
def metrics(request: Request, held: Held) -> Response:
    """Studies, trials and workers by state, and what this process counted of itself, as Prometheus reads it."""
    telemetry: Telemetry = request.app.state.telemetry
    return Response(telemetry.exposition(_counts(held)), media_type=CONTENT_TYPE_LATEST)


def _counts(held: Resources) -> dict[str, Counter[str]]:
    by_study: Counter[str] = Counter()
    by_trial: Counter[str] = Counter()
    token: str | None = None
    while True:
        page = studies.page(held.db, page_size=PAGE, page_token=token)
        for study in page.studies:
            by_study[study.state] += 1
            by_trial.update({str(state): count for state, count in study.trial_counts.items()})
        token = page.next_page_token
        if token is None:
            break
    all_workers = workers.list_all(held.db, now=held.clock()).workers
    by_worker = Counter(str(worker.state) for worker in all_workers)
    return {"studies": by_study, "trials": by_trial, "workers": by_worker}
