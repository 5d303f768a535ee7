"""The web pages: rendered here, live by events, no script from elsewhere.

They log in by cookie (`api.session`), so they have routes of their own for what their scripts fetch; the REST
API takes the Authorization header alone.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api import events, studies
from api.answers import answer
from api.auth import CHANGE, VIEW, Allow, Gate
from api.docs import operations
from api.page_route import PageRoute, page
from api.parameters import CheckpointName, Held, StudyKey, TrialKey, WorkerKey
from api.session import checked_form, close_session, open_session, read_form
from api.study_pages import compared, listed, study_view, trial_view
from api.trials import get_checkpoint
from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.records import Record, Series, Study, TrialId, Worker
from hpsearch.service import clones, diagnoses, importances, selections, trials, workers
from hpsearch.service import studies as study_service
from hpsearch.service.selections import ActionResult
from hpsearch.wire import Clone, Importances

router = APIRouter(route_class=PageRoute, include_in_schema=False)
view = [Depends(VIEW)]
MAX_COMPARED = 12
SEE_OTHER = 303

Action = Literal["pause", "resume", "stop", "cancel", "retry"]
ACTIONS = {
    "pause": study_service.pause,
    "resume": study_service.resume,
    "stop": study_service.stop,
    "cancel": study_service.cancel,
    "retry": study_service.retry,
}

TRIAL_ACTIONS: Mapping[str, Callable[..., Record]] = {
    "stop": trials.stop,
    "retry": trials.retry,
    "clone": lambda db, trial, *, now: clones.clone(db, trial, Clone(), now=now)[0],
    "diagnose": diagnoses.diagnose,
}


# --- who is there --------------------------------------------------------------------------------


@router.get("/login")
def login_form(request: Request, next: str = "/") -> Response:  # noqa: A002
    return page(request, "login.html", next=own_path(next), error=None)


@router.post("/login")
async def login(request: Request) -> Response:
    """Sets the cookie where the token is good; else the form again, with what is wrong."""
    fields = await read_form(request)
    gate: Gate = request.app.state.gate
    target = own_path(fields.get("next", "/"))
    secret = fields.get("token", "").strip()
    try:
        await gate.admit(secret, request.scope)
    except HpsearchError as error:
        answer = page(request, "login.html", error.status, next=target, error=error)
        if error.status == 429:
            answer.headers["Retry-After"] = "60"
        return answer
    answer = Response(status_code=SEE_OTHER, headers={"Location": target})
    open_session(answer, secret, secure=request.url.scheme == "https")
    return answer


@router.post("/logout", dependencies=[Depends(Allow("viewer", "user", "worker"))])
async def logout(request: Request) -> Response:
    await checked_form(request)
    answer = Response(status_code=SEE_OTHER, headers={"Location": "/login"})
    close_session(answer)
    return answer


def own_path(text: str) -> str:
    """A path of this server to go on to; `/` for anything that could lead elsewhere."""
    plain = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if plain and len(text) < 2_000 else "/"


# --- studies -------------------------------------------------------------------------------------


@router.get("/", dependencies=view)
def studies_page(request: Request, held: Held) -> Response:
    return page(request, "studies.html", **listed(held))


@router.get("/compare", dependencies=view)
def compare_page(
    request: Request,
    held: Held,
    study: Annotated[list[str] | None, Query(max_length=MAX_COMPARED)] = None,
) -> Response:
    return page(request, "compare.html", columns=compared(held, study or []))


@router.get("/studies/{study}", dependencies=view)
def study_page(request: Request, study: StudyKey, held: Held) -> Response:
    return page(request, "study.html", **study_view(held, study))


@router.get("/studies/{study}/curves", dependencies=view)
def curves(
    study: StudyKey,
    held: Held,
    metric: Annotated[str, Query(max_length=100)] = "val_loss",
    top: Annotated[int, Query(ge=1, le=1_000)] = 60,
    points: Annotated[int, Query(ge=2, le=2_000)] = 200,
) -> Response:
    return answer(trials.curves(held.db, study, metric=metric, points=points, top=top))


@router.get("/studies/{study}/importances", dependencies=view)
def study_importances(study: StudyKey, held: Held) -> Importances:
    return importances.of_study(held.db, study)


@router.get("/studies/{study}/report", dependencies=view)
def report(study: StudyKey, held: Held) -> Response:
    return studies.get_report(study, held)


@router.get("/studies/{study}/events", dependencies=view, response_class=EventSourceResponse)
async def live(
    study: Annotated[Study, Depends(events.study_of)],
    after: Annotated[int, Depends(events.after_of)],
    request: Request,
    held: Held,
) -> AsyncIterator[ServerSentEvent]:
    async for event in events.stream_events(study, after, request, held):
        yield event


@router.post("/studies/{study}/trials", dependencies=[Depends(CHANGE)])
async def act_on_trials(request: Request, study: StudyKey, held: Held) -> ActionResult:
    """The bar under the trial table: an action and the ids of the chosen trials, joined by commas."""
    action, ids = chosen(await checked_form(request))

    def done() -> ActionResult:
        return selections.act(held.db, study, action, ids, now=held.clock())

    result = await anyio.to_thread.run_sync(done)
    held.ring()
    return result


def chosen(fields: Mapping[str, str]) -> tuple[selections.Action, list[TrialId]]:
    """What the form asks for, each trial once. Raises InvalidInput."""
    action = next((one for one in selections.VERBS if one == fields.get("action")), None)
    ids = fields.get("trials", "").split(",")
    if action is None or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in ids):
        raise InvalidInput(f"this takes an action ({', '.join(selections.VERBS)}) and the ids of trials")
    return action, list(dict.fromkeys(TrialId(int(part)) for part in ids))


@router.post("/studies/{study}/{action}", dependencies=[Depends(CHANGE)])
async def act(request: Request, study: StudyKey, action: Action, held: Held) -> Response:
    """A button of the study's page."""
    await checked_form(request)

    def moved() -> Study:
        return ACTIONS[action](held.db, study, now=held.clock())

    changed = await anyio.to_thread.run_sync(moved)
    held.ring()
    return Response(status_code=SEE_OTHER, headers={"Location": f"/studies/{changed.name}"})


# --- trials, workers, the API --------------------------------------------------------------------


@router.get("/trials/{trial}", dependencies=view)
def trial_page(request: Request, trial: TrialKey, held: Held) -> Response:
    return page(request, "trial.html", **trial_view(held, trial))


@router.post("/trials/{trial}/{action}", dependencies=[Depends(CHANGE)])
async def act_on_trial(
    request: Request, trial: TrialKey, action: Literal["stop", "retry", "clone", "diagnose"], held: Held
) -> Response:
    """A button of the trial's page; a clone's leads on to its study."""
    await checked_form(request)

    def moved() -> Record:
        return TRIAL_ACTIONS[action](held.db, trial, now=held.clock())

    made = await anyio.to_thread.run_sync(moved)
    held.ring()
    target = f"/studies/{made.name}" if isinstance(made, Study) else f"/trials/{trial}"
    return Response(status_code=SEE_OTHER, headers={"Location": target})


@router.get("/trials/{trial}/metrics", dependencies=view)
def trial_metrics(trial: TrialKey, held: Held) -> Series:
    return trials.metrics(held.db, trial)


@router.get("/trials/{trial}/checkpoints/{name}", dependencies=view)
def checkpoint(trial: TrialKey, name: CheckpointName, held: Held) -> Response:
    return get_checkpoint(trial, name, held)


@router.get("/workers", dependencies=view)
def workers_page(request: Request, held: Held) -> Response:
    now = held.clock()
    return page(request, "workers.html", workers=workers.list_all(held.db, now=now).workers, now=now)


@router.post("/workers/{worker}/drain", dependencies=[Depends(CHANGE)])
async def drain(request: Request, worker: WorkerKey, held: Held) -> Response:
    """It gets no new trials; those under way finish."""
    await checked_form(request)

    def drained() -> Worker:
        return workers.drain(held.db, str(worker), now=held.clock())

    await anyio.to_thread.run_sync(drained)
    return Response(status_code=SEE_OTHER, headers={"Location": "/workers"})


@router.get("/docs", dependencies=[Depends(Allow("viewer", "user", "worker"))])
def docs_page(request: Request) -> Response:
    """The OpenAPI document for people, without anything from a CDN."""
    schema: dict[str, Any] = request.app.openapi()
    return page(request, "docs.html", groups=operations(schema), version=schema["info"]["version"])
