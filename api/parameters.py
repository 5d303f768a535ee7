"""Parameters that several routes take, with their bounds."""

from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request

from api.resources import Resources
from hpsearch.records import RunId, Token, TokenId, TrialId, WorkerId


async def _resources(request: Request) -> Resources:
    # async, although it waits for nothing: a plain function would take a thread per request.
    held: Resources = request.app.state.resources
    return held


Held = Annotated[Resources, Depends(_resources)]


async def _caller(request: Request) -> TokenId:
    token: Token = request.state.token
    return token.id


Caller = Annotated[TokenId, Depends(_caller)]

StudyKey = Annotated[
    str, Path(max_length=100, pattern=r"^[^\x00-\x1f]+$", description="a study's name or id")
]
TrialKey = Annotated[TrialId, Path(ge=1, lt=2**63)]
RunKey = Annotated[RunId, Path(ge=1, lt=2**63)]
WorkerKey = Annotated[WorkerId, Path(ge=1, lt=2**63)]
CheckpointName = Literal["best", "last"]
PageSize = Annotated[int, Query(ge=1, le=1_000)]
PageToken = Annotated[str | None, Query(max_length=500)]
