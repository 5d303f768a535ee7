"""Trials: list, look at their curves, runs and logs, stop, retry, fetch checkpoints."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from api.answers import answer
from api.auth import CHANGE, VIEW, Allow
from api.bodies import StrictRoute
from api.checkpoints import is_intact, open_stored
from api.parameters import CheckpointName, Held, PageSize, PageToken, StudyKey, TrialKey
from api.ranges import ByteRange, asked_range
from hpsearch.diagnosis import AskDiagnosis, TrialDiagnosis
from hpsearch.records import Run, Series, StageKind, Study, Trial, TrialState
from hpsearch.service import checkpoints, clones, diagnoses, trials
from hpsearch.wire import Clone, RunLog, TrialPage

router = APIRouter(tags=["trials"], route_class=StrictRoute)
view = [Depends(VIEW)]
change = [Depends(CHANGE)]
fetch = [Depends(Allow("viewer", "user", "worker"))]
CHUNK = 2**20


@router.get(
    "/studies/{study}/trials", operation_id="list_trials", response_model=TrialPage, dependencies=view
)
def list_trials(
    study: StudyKey,
    held: Held,
    state: TrialState | None = None,
    stage: StageKind | None = None,
    order_by: Annotated[str, Query(max_length=100)] = "number",
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> Response:
    """`order_by` is a column, `-column` for descending."""
    found = trials.page(
        held.db,
        study,
        state=state,
        stage=stage,
        order_by=order_by,
        page_size=page_size,
        page_token=page_token,
    )
    return answer(found)


@router.get("/trials/{trial}", operation_id="get_trial", dependencies=view)
def get_trial(trial: TrialKey, held: Held) -> Trial:
    return trials.get(held.db, trial)


@router.get("/trials/{trial}/metrics", operation_id="get_trial_metrics", dependencies=view)
def get_trial_metrics(trial: TrialKey, held: Held) -> Series:
    """Every stored point of every metric, of the run that counts."""
    return trials.metrics(held.db, trial)


@router.get("/trials/{trial}/runs", operation_id="list_runs", dependencies=view)
def list_runs(trial: TrialKey, held: Held) -> list[Run]:
    return trials.runs(held.db, trial)


@router.get("/trials/{trial}/logs", operation_id="list_logs", dependencies=view)
def list_logs(trial: TrialKey, held: Held) -> list[RunLog]:
    """The last 64 KiB of each run's output."""
    return trials.log(held.db, trial)


@router.post("/trials/{trial}/stop", operation_id="stop_trial", dependencies=change)
def stop_trial(trial: TrialKey, held: Held) -> Trial:
    """Cancels a trial that waits or runs."""
    result = trials.stop(held.db, trial, now=held.clock())
    held.ring()
    return result


@router.post("/trials/{trial}/retry", operation_id="retry_trial", dependencies=change)
def retry_trial(trial: TrialKey, held: Held) -> Trial:
    """Lets a failed or cancelled trial run again."""
    result = trials.retry(held.db, trial, now=held.clock())
    held.ring()
    return result


@router.post(
    "/trials/{trial}/clone",
    operation_id="clone_trial",
    status_code=201,
    responses={200: {"model": Study, "description": "It was there already, with the same spec"}},
    dependencies=change,
)
def clone_trial(trial: TrialKey, response: Response, held: Held, body: Clone | None = None) -> Study:
    """Trains the trial's point again on other seeds, as a study of its own: the trial's study plans, counts and
    spends nothing for it. 409 for a trial that measures, trains on a subset or for a part of an epoch.
    """
    study, created = clones.clone(held.db, trial, body or Clone(), now=held.clock())
    response.status_code = 201 if created else 200
    held.ring()
    return study


@router.get("/trials/{trial}/diagnose", operation_id="get_diagnosis", dependencies=view)
def get_diagnosis(trial: TrialKey, held: Held) -> TrialDiagnosis:
    """What is wrong with an ended trial, as far as it is known: proved where probes have been, else passive.
    Nothing is begun."""
    return diagnoses.look(held.db, trial)


@router.post("/trials/{trial}/diagnose", operation_id="diagnose_trial", dependencies=change)
def diagnose_trial(trial: TrialKey, held: Held, body: AskDiagnosis | None = None) -> TrialDiagnosis:
    """Has workers train the probes that prove what is wrong with an ended trial, once; answers at once with what
    is known so far. `{"probes": false}` begins nothing, as GET."""
    if body is not None and not body.probes:
        return diagnoses.look(held.db, trial)
    found = diagnoses.diagnose(held.db, trial, now=held.clock())
    held.ring()
    return found


@router.get(
    "/trials/{trial}/checkpoints/{name}",
    operation_id="get_checkpoint",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"content": {"application/octet-stream": {}}, "description": "The range that was asked for"},
    },
    dependencies=fetch,
)
def get_checkpoint(
    trial: TrialKey,
    name: CheckpointName,
    held: Held,
    asked: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """The file, or one range of it, with the whole file's SHA-256 in `X-Content-SHA256`. Where the newest one is
    damaged, the one before it.
    """
    whole = partial(is_intact, held.settings.home.checkpoints)
    checkpoint, path = checkpoints.find(held.db, trial, name, whole)
    part = asked_range(asked, checkpoint.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(part.length),
        "X-Content-SHA256": checkpoint.sha256,
        "X-Checkpoint-Step": str(checkpoint.step),
        "Content-Disposition": f'attachment; filename="trial-{trial}-{name}.safetensors"',
    }
    status = 200
    if not part.whole:
        headers["Content-Range"] = part.content_range
        status = 206
    chunks = _chunks(held.settings.home.checkpoints, path, part)
    return StreamingResponse(chunks, status, media_type="application/octet-stream", headers=headers)


def _chunks(root: Path, path: Path, part: ByteRange) -> Iterator[bytes]:
    file = open_stored(root, path)  # before the answer starts: a missing file is a 404
    file.seek(part.first)

    def read() -> Iterator[bytes]:
        left = part.length
        with file:
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    return read()
