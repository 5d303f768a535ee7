"""Leases: workers ask for trials, report on their runs and leave checkpoints."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import ValidationError

from api.answers import answer
from api.auth import WORK, Gate
from api.bodies import StrictRoute
from api.checkpoints import Upload, checkpoint_folder, discard, receive
from api.parameters import Caller, CheckpointName, Held, RunKey
from api.residence import claim_home
from api.resources import Resources
from hpsearch.errors import HpsearchError, InvalidInput, LeaseLost, Unavailable
from hpsearch.records import Checkpoint, Outcome, RunId, TokenId, WorkerId
from hpsearch.sentences import problems_of
from hpsearch.service import checkpoints
from hpsearch.service.checkpoints import NewCheckpoint
from hpsearch.wire import (
    MAX_POINTS,
    LeaseRequest,
    LeaseResponse,
    ReportRequest,
    ReportResponse,
    ReportResult,
    RunFinish,
    RunLogs,
    RunMetrics,
    RunReport,
)

router = APIRouter(tags=["leases"], route_class=StrictRoute, dependencies=[Depends(WORK)])
POLL_SECONDS = 1.0  # a bell of another server on the same database isn't heard here
Worker = Annotated[WorkerId, Header(alias="X-Worker-Id", ge=1, lt=2**63)]


@router.post("/leases", operation_id="lease", response_model=LeaseResponse)
async def lease(body: LeaseRequest, request: Request, held: Held, caller: Caller) -> Response:
    """A pack of trials, at once where some wait, else within `wait_seconds`; empty when that has passed."""
    return answer(await _lease(body, request, held, caller))


async def _lease(body: LeaseRequest, request: Request, held: Resources, caller: TokenId) -> LeaseResponse:
    gate: Gate = request.app.state.gate
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(body.wait_seconds, held.settings.longest_poll_seconds)
    while True:
        ticket = held.work.ticket
        found = await held.lease((body, caller))
        left = deadline - loop.time()
        if found.leases or left <= 0 or held.stopping:
            return found
        await held.work.wait(ticket, min(left, POLL_SECONDS))
        if await request.is_disconnected():
            return found  # to nobody: a trial given now would be lost for a whole lease
        await gate.admit_still(request)


@router.post("/leases:report", operation_id="report", response_model=ReportResponse)
async def report(body: ReportRequest, held: Held, caller: Caller) -> Response:
    """Curves, logs and outcomes of several runs. Each is stored whole or not; a repeat changes nothing."""
    return answer(await _report(body, held, caller))


async def _report(body: ReportRequest, held: Resources, caller: TokenId) -> ReportResponse:
    points = sum(len(curve.steps) for one in body.reports for curve in one.series.values())
    if points > MAX_POINTS:
        raise InvalidInput(f"{points:,} points in one report are too many; send at most {MAX_POINTS:,}")
    stored = await held.report((body, caller))
    if any(one.outcome is not None for one in body.reports):
        held.ring()
    return stored.told()


# --- the same for one run ------------------------------------------------------------------------


@router.post("/leases/{run}/metrics", operation_id="report_metrics")
async def report_metrics(
    run: RunKey, body: RunMetrics, worker: Worker, held: Held, caller: Caller
) -> ReportResult:
    """A stretch of the run's curves. 409 `lease_lost` where the lease is over."""
    return await _report_one(held, worker, caller, RunReport(run_id=run, seq=body.seq, series=body.series))


@router.post("/leases/{run}/logs", operation_id="report_logs")
async def report_logs(run: RunKey, body: RunLogs, worker: Worker, held: Held, caller: Caller) -> ReportResult:
    """A stretch of the run's output."""
    return await _report_one(held, worker, caller, RunReport(run_id=run, seq=body.seq, log=body.log))


End = Literal["completed", "diverged", "pruned", "failed", "released"]


def _offer(name: str, state: End, summary: str) -> None:
    @router.post(
        f"/leases/{{run}}/{name}", operation_id=f"{name}_run", name=f"{name}_run", description=summary
    )
    async def finish(
        run: RunKey, body: RunFinish, worker: Worker, held: Held, caller: Caller
    ) -> ReportResult:
        outcome = _outcome(body, state)
        return await _report_one(held, worker, caller, RunReport(run_id=run, seq=body.seq, outcome=outcome))


def _outcome(body: RunFinish, state: End) -> Outcome:
    try:
        return Outcome.model_validate({**body.model_dump(exclude={"seq"}), "state": state})
    except ValidationError as error:
        problems = list(problems_of(error, RunFinish))
        raise InvalidInput(problems[0].detail, problems=problems) from None


_offer("complete", "completed", "The run ended as planned.")
_offer("diverged", "diverged", "The loss or objective became non-finite, which is a result.")
_offer("pruned", "pruned", "The run was ended early on purpose.")
_offer("failed", "failed", "The run failed; `reason` says how.")
_offer("release", "released", "Given back unfinished; nothing is charged.")


async def _report_one(held: Resources, worker: WorkerId, caller: TokenId, one: RunReport) -> ReportResult:
    body = ReportRequest(worker_id=worker, reports=(one,))
    (result,) = (await _report(body, held, caller)).results
    if result.status == "lease_lost":
        raise LeaseLost(result.detail or f"the lease of run {one.run_id} is over; drop this run")
    if result.status == "refused":
        raise InvalidInput(result.detail)
    return result


# --- checkpoints ---------------------------------------------------------------------------------


@router.put("/leases/{run}/checkpoints/{name}", operation_id="put_checkpoint", response_model=Checkpoint)
async def put_checkpoint(
    run: RunKey,
    name: CheckpointName,
    request: Request,
    held: Held,
    worker: Worker,
    caller: Caller,
    step: Annotated[int, Query(ge=0, lt=2**63)],
    sha256: Annotated[str, Header(alias="X-Content-SHA256", max_length=64)],
) -> Response:
    """The raw file as body. Stored and registered only where its digest matches and the lease still holds.

    The answer is what the run has then: for a `last` file that comes after one of a later step, that one.
    """
    if held.disk.problem:  # what room is left belongs to results
        raise Unavailable(held.disk.problem, hint="free disk space on the server")
    upload = Upload(partial(_folder, held, run, worker, caller), name, sha256)
    try:
        rest = await receive(request.stream(), upload)
        file = await anyio.to_thread.run_sync(upload.finish, rest, limiter=held.uploads)
        place = file.path.relative_to(held.settings.home.checkpoints)
        new = NewCheckpoint(run, worker, name, step, file.size, file.sha256, place, by=caller)
        try:
            return answer(await held.checkpoint(new))
        except HpsearchError as error:
            unsure = isinstance(error, Unavailable)
            if not (unsure and await anyio.to_thread.run_sync(checkpoints.may_be_registered, held.db, new)):
                await anyio.to_thread.run_sync(discard, file.path)
            raise
    finally:
        if upload.unfinished:
            await anyio.to_thread.run_sync(upload.abandon)  # a large file takes its time


def _folder(held: Resources, run: RunId, worker: WorkerId, caller: TokenId) -> Path:
    """A folder of this run alone, below its study's.

    Asked before anything is written, it saves the disk from what is refused: raises LeaseLost for who does not hold the
    run, and Conflict where the home keeps another database's checkpoints by now.
    """
    claim_home(held.db, held.settings.home)
    study = checkpoints.study_of_holder(held.db, run, worker, by=caller, now=held.clock())
    return checkpoint_folder(held.settings.home, study) / str(run)
