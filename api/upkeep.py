"""What a server does unasked: it reaps leases, keeps SQLite's log short, and each hour removes what is left over and what the retention rule lets go."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread

from api.checkpoints import drop_parts
from api.maintenance import prune_all
from api.resources import Resources
from api.sweep import sweep
from api.telemetry import Telemetry
from hpsearch.errors import Unavailable
from hpsearch.service import reaper
from hpsearch.wire import Prune

HOUSEKEEPING_SECONDS = 3600.0
LOG_SECONDS = 10.0  # between looks at SQLite's write-ahead log


@asynccontextmanager
async def at_work(
    held: Resources, monotonic: Callable[[], float], telemetry: Telemetry
) -> AsyncIterator[None]:
    """The server's own tasks, for the time of the block; then every waiting request is ended."""
    loop = asyncio.get_running_loop()
    held.work.attach(loop)
    held.news.attach(loop)
    stopped = asyncio.Event()
    tasks = [
        asyncio.create_task(_reap(held, monotonic, telemetry, stopped)),
        asyncio.create_task(_keep_house(held, stopped)),
        asyncio.create_task(_keep_log_short(held, stopped)),
    ]
    try:
        yield
    finally:
        held.stop()
        stopped.set()
        await asyncio.gather(*tasks)


async def _reap(
    held: Resources, monotonic: Callable[[], float], telemetry: Telemetry, stopped: asyncio.Event
) -> None:
    """A tick at once, so that an interrupted study goes on, and then one every `reaper_seconds`."""
    tick = partial(_tick, held, monotonic)
    while not stopped.is_set():
        try:
            if lost := await anyio.to_thread.run_sync(tick):
                telemetry.lost.inc(lost)
                logging.getLogger("api").warning("leases lost", extra={"leases": lost})
                held.ring()
        except Unavailable as away:  # the next tick tries again
            telemetry.failed_ticks.inc()
            logging.getLogger("api").warning("the reaper waits: %s", away)
        except Exception:  # the reaper outlives a bug of ours
            telemetry.failed_ticks.inc()
            logging.getLogger("api").exception("the reaper's tick failed")
        await _pause(stopped, held.settings.reaper_seconds)


async def _keep_house(held: Resources, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        try:
            await anyio.to_thread.run_sync(tidy, held)
        except Exception:
            # As the reaper: what can't be dropped now is dropped in an hour.
            logging.getLogger("api").exception("housekeeping failed")
        await _pause(stopped, HOUSEKEEPING_SECONDS)


async def _keep_log_short(held: Resources, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        try:
            if not await anyio.to_thread.run_sync(held.db.shorten_log):
                logging.getLogger("api").info("SQLite's write-ahead log stays long: it is being read")
        except Exception:
            logging.getLogger("api").exception("SQLite's write-ahead log stays long")
        await _pause(stopped, LOG_SECONDS)


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        return


def tidy(held: Resources) -> None:
    """Remove what is left of uploads an hour ago, files that are left over, and what the retention rule lets go."""
    log = logging.getLogger("api")
    parts = drop_parts(held.settings.home, older_than=time.time() - HOUSEKEEPING_SECONDS)
    if parts:
        log.info("unfinished uploads removed", extra={"files": parts})
    sweep(held)
    if held.settings.retention_days is not None:
        rule = Prune(days=held.settings.retention_days, keep_best=held.settings.retention_best)
        pruned = prune_all(held, rule)
        if pruned.studies:
            facts = pruned.model_dump(exclude={"dry_run", "studies"})
            log.info("pruned", extra={**facts, "studies": len(pruned.studies)})


def _tick(held: Resources, monotonic: Callable[[], float]) -> int:
    try:
        held.read_clock()
        return reaper.tick(
            held.db, now=held.clock(), monotonic=monotonic(), lease_seconds=held.settings.lease_seconds
        )
    finally:
        held.disk.check()  # after the leases: the database may be on another disk, which is well
