"""The application, put together."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from api import assets, errors, events, health, leases, maintenance, pages, studies, tokens, trials, workers
from api.answers import TaggedJSON
from api.auth import AuthMiddleware, Gate
from api.bodies import BodyMiddleware
from api.environment import read_settings
from api.hosts import HostMiddleware
from api.known_tokens import KnownTokens
from api.observed import ObservedMiddleware
from api.openapi import complete
from api.origins import OriginMiddleware
from api.page_route import refuse
from api.request_id import RequestIdMiddleware
from api.resources import Clock, Resources, open_resources
from api.settings import Settings
from api.telemetry import Telemetry
from api.upkeep import at_work
from hpsearch import __version__

PREFIX = "/api/v1"


def create_app(
    settings: Settings | None = None,
    *,
    resources: Resources | None = None,
    clock: Clock | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The server. Without `settings` they come from `HPSEARCH_*`.

    Opens its home and database when it starts, unless they are given already open. Raises Conflict at the
    start where another server runs on the home.
    """
    chosen = settings or (resources.settings if resources else read_settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if resources is not None:
            app.state.resources = resources
            async with at_work(resources, monotonic, app.state.telemetry):
                yield
            return
        with open_resources(chosen, clock) as held:
            app.state.resources = held
            async with at_work(held, monotonic, app.state.telemetry):
                yield

    app = _Application(
        title="hpsearch",
        version=__version__,
        lifespan=lifespan,
        default_response_class=TaggedJSON,
        # Their pages load scripts from a CDN.
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    _add_routes(app)
    _add_guards(app, chosen, monotonic)
    return app


def _add_routes(app: FastAPI) -> None:
    api = APIRouter(prefix=PREFIX)
    # Tried in this order: the busiest first.
    for module in (leases, workers, studies, trials, tokens, events, maintenance):
        api.include_router(module.router)
    app.include_router(api)
    for module in (health, assets, pages):
        app.include_router(module.router)


def _add_guards(app: FastAPI, settings: Settings, monotonic: Callable[[], float]) -> None:
    """What every request passes; the last added is the first passed."""
    app.state.telemetry = Telemetry()
    app.state.gate = Gate(lambda: app.state.resources, settings.bad_tokens_per_minute, KnownTokens(monotonic))
    app.add_middleware(
        BodyMiddleware,
        limit=settings.max_body_bytes,
        file_limit=settings.max_checkpoint_bytes,
        silence_seconds=settings.body_silence_seconds,
        stranger_seconds=settings.header_seconds,
    )
    app.add_middleware(AuthMiddleware, gate=app.state.gate, refuse=refuse)
    app.add_middleware(OriginMiddleware)
    app.add_middleware(HostMiddleware, settings=settings)
    app.add_middleware(ObservedMiddleware, telemetry=app.state.telemetry)
    app.add_middleware(RequestIdMiddleware)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return complete(super().openapi())
