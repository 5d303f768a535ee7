"""Sends a slot's checkpoints, then hands on the outcomes: a checkpoint is there before its trial has ended."""

import logging
import queue
import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError, LeaseLost
from hpsearch.records import Outcome, RunId, WorkerId
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.guard import guarded
from hpsearch.worker.pipe import Saved
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.server import REFUSALS, Server

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a run ended, with what it left in its folder. `urgent`: the last of its pack."""

    run_id: RunId
    outcome: Outcome
    folder: Path
    saved: tuple[Saved, ...] = ()
    log: str = ""
    urgent: bool = False


class Uploader:
    """One thread per slot, so that a large file delays neither another slot nor the next pack's training."""

    def __init__(
        self,
        server: Server,
        worker_id: WorkerId,
        reporter: Reporter,
        rng: random.Random,
        on_lost: Callable[[RunId], None],
        on_fatal: Callable[[HpsearchError], None],
    ) -> None:
        self._server = server
        self._worker_id = worker_id
        self._reporter = reporter
        self._backoff = Backoff(rng)
        self._on_lost = on_lost
        self._results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = guarded("uploader", self._work, on_fatal)

    def start(self) -> None:
        self._thread.start()

    def submit(self, result: Result) -> None:
        """Upload what was saved, report the outcome, remove the folder."""
        if result.saved:
            self._results.put(result)
        else:
            self._hand_on(result)

    def close(self) -> None:
        """Give up uploads; outcomes that waited for one are handed on without it."""
        self._closed.set()
        self._results.put(None)
        self._thread.join(timeout=1)

    def _work(self) -> None:
        while (result := self._results.get()) is not None:
            for saved in result.saved:
                self._upload(result.run_id, saved)
            self._hand_on(result)

    def _upload(self, run_id: RunId, saved: Saved) -> None:
        while not self._closed.is_set() and self._reporter.holds(run_id):
            try:
                self._server.upload_checkpoint(run_id, self._worker_id, saved.name, saved.step, saved.path)
            except LeaseLost:
                self._on_lost(run_id)
            except (*REFUSALS, OSError) as error:
                log.error("run %s ends without its %s checkpoint: %s", run_id, saved.name, _told(error))
                return
            except HpsearchError as error:
                log.warning("run %s: its %s checkpoint waits for the server: %s", run_id, saved.name, error)
                self._closed.wait(self._backoff.next_seconds(error))
            else:
                self._backoff.reset()
                return

    def _hand_on(self, result: Result) -> None:
        self._reporter.finish(result.run_id, result.outcome, result.log, urgent=result.urgent)
        shutil.rmtree(result.folder, ignore_errors=True)


def _told(error: Exception) -> str:
    hint = getattr(error, "hint", None)
    return f"{error}; {hint}" if hint else str(error)
