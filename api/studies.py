"""Studies: create, look, steer, export."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from api.answers import answer
from api.auth import CHANGE, VIEW
from api.bodies import StrictRoute
from api.export import MEDIA_TYPES, lines_of
from api.parameters import Held, PageSize, PageToken, StudyKey
from api.reports import REPORT_TYPES, report_response
from api.sweep import sweep
from hpsearch.diagnosis import DiagnosisList
from hpsearch.errors import Unavailable
from hpsearch.eta import Eta
from hpsearch.records import Study, StudyState
from hpsearch.service import diagnoses, etas, importances, preview, studies, trials
from hpsearch.spec import StudySpec
from hpsearch.store.engine import Database
from hpsearch.wire import BestList, CurveList, Fork, Importances, Preview, StageList, StudyPage, StudyPatch

router = APIRouter(tags=["studies"], route_class=StrictRoute)
view = [Depends(VIEW)]
change = [Depends(CHANGE)]


@router.post(
    "/studies",
    operation_id="create_study",
    status_code=201,
    responses={200: {"model": Study, "description": "It was there already, with the same spec"}},
    dependencies=change,
)
def create_study(spec: StudySpec, response: Response, held: Held) -> Study:
    """Idempotent by name and spec: 201 when made, 200 when it was there, 409 where the spec differs."""
    study, created = studies.create(held.db, spec, now=held.clock())
    response.status_code = 201 if created else 200
    held.ring()
    return study


@router.post("/studies:preview", operation_id="preview_study", dependencies=view)
def preview_study(spec: StudySpec) -> Preview:
    """The exact points and the cost; nothing is stored."""
    return preview.preview(spec)


@router.get("/studies", operation_id="list_studies", dependencies=view)
def list_studies(
    held: Held, state: StudyState | None = None, page_size: PageSize = 50, page_token: PageToken = None
) -> StudyPage:
    """Newest first."""
    return studies.page(held.db, state=state, page_size=page_size, page_token=page_token)


@router.get("/studies/{study}", operation_id="get_study", dependencies=view)
def get_study(study: StudyKey, held: Held) -> Study:
    return studies.get(held.db, study)


@router.patch("/studies/{study}", operation_id="patch_study", dependencies=change)
def patch_study(study: StudyKey, patch: StudyPatch, held: Held) -> Study:
    """Changes description or priority."""
    return studies.patch(held.db, study, patch)


@router.delete("/studies/{study}", operation_id="delete_study", status_code=204, dependencies=change)
def delete_study(study: StudyKey, held: Held) -> None:
    """Removes a study that is not under way, with its trials, curves and checkpoints."""
    found = studies.get(held.db, study)
    gone = studies.delete(held.db, found.name)
    with suppress(Unavailable):  # deleted it is; the files go with the next sweep
        sweep(held, gone)
    held.news.ring()


class _Action(Protocol):
    def __call__(self, db: Database, key: str, *, now: datetime) -> Study: ...


def _offer(name: str, action: _Action, summary: str) -> None:
    @router.post(
        f"/studies/{{study}}/{name}",
        operation_id=f"{name}_study",
        name=f"{name}_study",
        description=summary,
        dependencies=change,
    )
    def act(study: StudyKey, held: Held) -> Study:
        result = action(held.db, study, now=held.clock())
        held.ring()
        return result


_offer("pause", studies.pause, "No new trials until it is resumed; those under way finish.")
_offer("resume", studies.resume, "Continues a paused or stopped study.")
_offer("stop", studies.stop, "No new trials; those under way finish, then the study is stopped.")
_offer("cancel", studies.cancel, "Ends the study and kills what is under way.")
_offer("retry", studies.retry, "Runs failed and cancelled trials again.")


@router.post(
    "/studies/{study}/fork",
    operation_id="fork_study",
    status_code=201,
    responses={200: {"model": Study, "description": "It was there already, with the same spec"}},
    dependencies=change,
)
def fork_study(study: StudyKey, body: Fork, response: Response, held: Held) -> Study:
    """A new study like this one; `changes` is merged into its spec."""
    result, created = studies.fork(held.db, study, body, now=held.clock())
    response.status_code = 201 if created else 200
    held.ring()
    return result


@router.get("/studies/{study}/stages", operation_id="list_stages", dependencies=view)
def list_stages(study: StudyKey, held: Held) -> StageList:
    """The recipe's stages so far, in order, with verdict and evidence."""
    return studies.stages(held.db, study)


@router.get("/studies/{study}/eta", operation_id="get_eta", dependencies=view)
def get_eta(study: StudyKey, held: Held) -> Eta:
    """How long what is planned will take, by what such trials have taken so far, or why that can't be told."""
    return etas.of_study(held.db, study, now=held.clock())


@router.get("/studies/{study}/best", operation_id="get_best", dependencies=view)
def get_best(study: StudyKey, held: Held, n: Annotated[int, Query(ge=1, le=1_000)] = 1) -> BestList:
    """The best n, each with what can't be told apart from it."""
    return studies.best(held.db, study, n)


@router.get(
    "/studies/{study}/curves", operation_id="list_curves", response_model=CurveList, dependencies=view
)
def list_curves(
    study: StudyKey,
    held: Held,
    metric: Annotated[str, Query(max_length=100)] = "val_loss",
    points: Annotated[int, Query(ge=2, le=10_000)] = 200,
    top: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    smoothing: Annotated[float, Query(ge=0, lt=1)] = 0.0,
) -> Response:
    """Curves of one metric, smoothed, then thinned; says how many of how many are shown."""
    return answer(trials.curves(held.db, study, metric=metric, points=points, top=top, smoothing=smoothing))


@router.get("/studies/{study}/diagnoses", operation_id="list_diagnoses", dependencies=view)
def list_diagnoses(study: StudyKey, held: Held) -> DiagnosisList:
    """Of the trials that were diagnosed by probes on request: what these have proved."""
    return diagnoses.of_study(held.db, study)


@router.get("/studies/{study}/importances", operation_id="get_importances", dependencies=view)
def get_importances(study: StudyKey, held: Held) -> Importances:
    """How much each parameter explains of the objective, by Optuna."""
    return importances.of_study(held.db, study)


@router.get(
    "/studies/{study}/report",
    operation_id="get_report",
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in REPORT_TYPES.values()}}},
    dependencies=view,
)
def get_report(study: StudyKey, held: Held, format: Literal["html", "md"] = "html") -> Response:  # noqa: A002
    """The study as one file to keep: HTML with its pictures inside and no script, or Markdown."""
    return report_response(held, study, format)


@router.get(
    "/studies/{study}/export",
    operation_id="export_study",
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}}},
    dependencies=view,
)
def export_study(study: StudyKey, held: Held, format: Literal["csv", "jsonl"] = "jsonl") -> Response:  # noqa: A002
    """Every trial as a row: CSV with JSON in its nested cells, or JSON lines."""
    rows = _started(studies.export(held.db, study))
    return StreamingResponse(lines_of(rows, format), media_type=MEDIA_TYPES[format])


def _started(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Take the first row now, so that an unknown study is a 404 and not a broken stream."""
    first = list(itertools.islice(rows, 1))
    return itertools.chain(first, rows)
