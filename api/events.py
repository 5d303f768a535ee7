"""What happens to a study, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.auth import VIEW, Gate
from api.bodies import StrictRoute
from api.parameters import Held, StudyKey
from api.resources import Resources
from hpsearch.errors import Unauthorized
from hpsearch.records import FINISHED_STUDY_STATES, Event, Study, TrialState
from hpsearch.service import studies

router = APIRouter(tags=["events"], route_class=StrictRoute, dependencies=[Depends(VIEW)])
POLL_SECONDS = 1.0
BATCH = 500


def study_of(study: StudyKey, held: Held) -> Study:
    """Looked up before the stream starts, so that an unknown study is a 404."""
    return studies.get(held.db, study)


def after_of(
    after: Annotated[int, Query(ge=0, lt=2**63, description="the last event that is known already")] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> int:
    return after if last_event_id is None else last_event_id


@router.get("/studies/{study}/events", operation_id="stream_events", response_class=EventSourceResponse)
async def stream_events(
    study: Annotated[Study, Depends(study_of)],
    after: Annotated[int, Depends(after_of)],
    request: Request,
    held: Held,
) -> AsyncIterator[ServerSentEvent]:
    """Each event with its id, which `Last-Event-ID` resumes from. `event: end` says that no more will come;
    without it the stream has only had its time, or its token has."""
    gate: Gate = request.app.state.gate
    loop = asyncio.get_running_loop()
    deadline = loop.time() + held.settings.longest_stream_seconds
    while not held.stopping and loop.time() < deadline:
        ticket = held.news.ticket
        try:
            await gate.admit_still(request)
        except Unauthorized:
            return  # who asks again is told why
        events, finished = await anyio.to_thread.run_sync(_news, held, study, after)
        for event in events:
            after = event.id
            yield ServerSentEvent(raw_data=event.model_dump_json(), id=str(event.id))
        if len(events) == BATCH:
            continue
        if finished:
            yield ServerSentEvent(event="end", raw_data="{}")
            return
        await held.news.wait(ticket, min(POLL_SECONDS, max(deadline - loop.time(), 0)))


def _news(held: Resources, study: Study, after: int) -> tuple[list[Event], bool]:
    """Events after the given one, and whether nothing more could happen before they were read."""
    now = studies.get(held.db, study.name)
    finished = now.state in FINISHED_STUDY_STATES and not now.trial_counts.get(TrialState.RUNNING)
    return studies.events(held.db, study.name, after=after, limit=BATCH), finished
