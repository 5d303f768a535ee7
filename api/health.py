"""Is it alive, can it work, what is it, how much is there."""

from collections import Counter

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.auth import VIEW
from api.parameters import Held
from api.resources import Resources
from hpsearch import __version__
from hpsearch.errors import HpsearchError
from hpsearch.service import studies, workers
from hpsearch.wire import Health, Version

router = APIRouter(tags=["health"])
PAGE = 1_000


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    responses={503: {"model": Health, "description": "The database does not answer"}},
)
def readyz(response: Response, held: Held) -> Health:
    """The database answers."""
    try:
        studies.page(held.db, page_size=1)
    except HpsearchError as error:
        response.status_code = 503
        return Health(status="unavailable", checks={"database": error.message})
    if held.disk.problem:
        response.status_code = 503
        return Health(status="unavailable", checks={"database": "ok", "disk": held.disk.problem})
    return Health(status="ok", checks={"database": "ok", "disk": "ok"})


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
def metrics(held: Held) -> Response:
    """How many studies, trials and workers there are by state, as Prometheus reads it."""
    registry = CollectorRegistry()
    for name, counts in _counts(held).items():
        gauge = Gauge(f"hpsearch_{name}", f"{name.capitalize()} by state", ["state"], registry=registry)
        for state, count in counts.items():
            gauge.labels(state=state).set(count)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


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
