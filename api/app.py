"""The application, put together."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI

from api import errors, events, health, leases, studies, tokens, trials, workers
from api.answers import TaggedJSON
from api.auth import AuthMiddleware
from api.bodies import BodyMiddleware
from api.hosts import HostMiddleware
from api.openapi import complete
from api.request_id import RequestIdMiddleware
from api.resources import Clock, Resources, open_resources
from api.settings import Settings
from hpsearch import __version__
from hpsearch.errors import Unavailable
from hpsearch.service import reaper

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
    chosen = settings or (resources.settings if resources else Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if resources is not None:
            app.state.resources = resources
            async with _at_work(resources, monotonic):
                yield
            return
        with open_resources(chosen, clock) as held:
            app.state.resources = held
            async with _at_work(held, monotonic):
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
    _add_guards(app, chosen)
    return app


def _add_routes(app: FastAPI) -> None:
    api = APIRouter(prefix=PREFIX)
    for module in (
        leases,
        workers,
        studies,
        trials,
        tokens,
        events,
    ):  # tried in this order: the busiest first
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)


def _add_guards(app: FastAPI, settings: Settings) -> None:
    """What every request passes; the last added is the first passed."""
    app.add_middleware(
        BodyMiddleware, limit=settings.max_body_bytes, file_limit=settings.max_checkpoint_bytes
    )
    app.add_middleware(
        AuthMiddleware,
        resources=lambda: app.state.resources,
        bad_tokens_per_minute=settings.bad_tokens_per_minute,
    )
    app.add_middleware(HostMiddleware, settings=settings)
    app.add_middleware(RequestIdMiddleware)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return complete(super().openapi())


@asynccontextmanager
async def _at_work(held: Resources, monotonic: Callable[[], float]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    held.work.attach(loop)
    held.news.attach(loop)
    stopped = asyncio.Event()
    reaping = asyncio.create_task(_reap(held, monotonic, stopped))
    try:
        yield
    finally:
        held.stop()
        stopped.set()
        await reaping


async def _reap(held: Resources, monotonic: Callable[[], float], stopped: asyncio.Event) -> None:
    """A tick at once, so that an interrupted study goes on, and then one every `reaper_seconds`."""
    tick = partial(_tick, held, monotonic)
    while not stopped.is_set():
        try:
            if await anyio.to_thread.run_sync(tick):
                held.ring()
        except Unavailable as away:  # the next tick tries again
            logging.getLogger("api").warning("the reaper waits: %s", away)
        except Exception:  # the reaper outlives a bug of ours
            logging.getLogger("api").exception("the reaper's tick failed")
        try:
            async with asyncio.timeout(held.settings.reaper_seconds):
                await stopped.wait()
        except TimeoutError:
            continue


def _tick(held: Resources, monotonic: Callable[[], float]) -> int:
    held.disk.check()
    held.read_clock()
    return reaper.tick(
        held.db, now=held.clock(), monotonic=monotonic(), lease_seconds=held.settings.lease_seconds
    )
