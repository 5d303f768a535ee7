"""A worker without torch: the daemon's own reporter, heart and workplace around a trial that only counts.

Every call to the server is journalled before and after. `pauses` stop a trial for longer than its lease at the
moment that random kills do not find: between its last heartbeat and its result.
"""

import itertools
import os
import random
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome, Points, RunId, Slot, WorkerId
from hpsearch.space import Params
from hpsearch.wire import (
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    LeaseRequest,
    LeaseResponse,
    RegisterWorker,
    ReportRequest,
    ReportResponse,
)
from hpsearch.worker.backlog import Backlog, point_count
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.heart import Heart
from hpsearch.worker.output import Output
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.workplace import Workplace, take_workplace
from tests.faults.history import Journal

POINTS = 20
PIECES = 4


@dataclass(frozen=True)
class Work:
    """What a worker process is told. `seconds` is a trial's length, `pause` the share of trials that stop."""

    url: str
    token: str
    home: Path
    journal: Path
    name: str
    seed: int
    seconds: float = 0.01
    pause: float = 0.0
    pause_seconds: float = 3.0
    max_trials: int = 1


def expected_value(params: Params) -> float:
    return float(params["learning_rate"]) * 2


def expected_points(params: Params, run_id: int) -> list[float]:
    """The curve of one run: another run's of the same trial differs."""
    return [float(params["learning_rate"]) + step + run_id / 1024 for step in range(1, POINTS + 1)]


class Journalled:
    """The server as reporter and heart see it, with every call on record."""

    def __init__(self, client: Client, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._calls = itertools.count()

    def report(self, body: ReportRequest, /) -> ReportResponse:
        call = next(self._calls)
        said = [
            (one.run_id, one.seq, point_count(one.series), one.outcome and one.outcome.state)
            for one in body.reports
        ]
        self._journal.write(kind="report", call=call, worker=body.worker_id, reports=said)
        answer = self._client.report(body)
        self._journal.write(kind="answer", call=call, statuses=[one.status for one in answer.results])
        return answer

    def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest, /) -> HeartbeatResponse:
        began = time.monotonic()
        answer = self._client.heartbeat(worker_id, body)
        seconds = time.monotonic() - began
        self._journal.write(kind="heartbeat", lost=answer.lost, seconds=seconds, held=len(body.runs))
        return answer

    def lease(self, body: LeaseRequest, /) -> LeaseResponse:
        answer = self._client.lease(body)
        if answer.leases:
            held = [(one.run_id, one.trial_id, one.epoch) for one in answer.leases]
            self._journal.write(kind="lease", worker=body.worker_id, leases=held)
        return answer

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)


def work(told: Work) -> None:
    """A worker process: until it is killed, or the server has had nothing for it for a while."""
    rng = random.Random(told.seed)
    client = Client(told.url, told.token, timeout=5, patience_seconds=0)
    with take_workplace(told.home, told.name) as place:
        CountingWorker(told, place, client, rng).run()
    os._exit(0)


class CountingWorker:
    """One slot in the main thread; reporter and heart in theirs, as in a daemon."""

    def __init__(self, told: Work, place: Workplace, client: Client, rng: random.Random) -> None:
        self._told = told
        self._place = place
        self._rng = rng
        self._server = Journalled(client, Journal(told.journal, told.name))
        self._backoff = Backoff(rng, first_seconds=0.05, most_seconds=1.0)
        self._lost: set[RunId] = set()
        self._over = threading.Event()

    def run(self) -> None:
        worker_id = self._register()
        self._reporter = Reporter(
            self._server,  # type: ignore[arg-type]
            worker_id,
            Backlog(self._place.folder / "backlog.jsonl"),
            self._rng,
            self._lose,
            self._fatal,
            interval_seconds=0.05,
        )
        heart = Heart(
            self._server,  # type: ignore[arg-type]
            worker_id,
            self._reporter.held,
            self._obey,
            self._fatal,
            self._rng,
            lease_seconds=2.0,
            orphan_seconds=120,
        )
        self._reporter.start()
        heart.start()
        while not self._over.is_set():
            for lease in self._lease(worker_id, heart):
                self._train(lease)

    def _register(self) -> WorkerId:
        slot = Slot(device="cpu", index=0, name="cpu")
        body = RegisterWorker(
            name=self._place.name,
            host="here",
            version="0",
            slots=(slot,),
            interrupted=self._place.interrupted,
            start_id=uuid.uuid4().hex,
        )
        while True:
            try:
                return self._server.register_worker(body).id  # type: ignore[operator]
            except HpsearchError as error:
                time.sleep(self._backoff.next_seconds(error))

    def _lease(self, worker_id: WorkerId, heart: Heart) -> tuple[Lease, ...]:
        body = LeaseRequest(
            worker_id=worker_id,
            request_id=uuid.uuid4().hex,
            max_trials=self._told.max_trials,
            wait_seconds=2.0,
        )
        while not self._over.is_set():
            try:
                leases = self._server.lease(body).leases
            except HpsearchError as error:
                time.sleep(min(1.0, self._backoff.next_seconds()))
                if error.status == 409:
                    raise
                continue
            self._backoff.reset()
            self._reporter.open(lease.run_id for lease in leases)
            if leases:
                heart.expect(leases[0].lease_seconds)
            return leases
        return ()

    def _train(self, lease: Lease) -> None:
        run_id, params = lease.run_id, lease.assignment.params
        folder = self._place.folder / "runs" / str(run_id)
        folder.mkdir(exist_ok=True)
        log = self._place.folder / "log"
        log.write_text(f"run {run_id}\n")
        output = Output.begin(log, 0, folder)
        values = expected_points(params, run_id)
        for piece in range(PIECES):
            if run_id in self._lost:
                return
            some = range(piece * POINTS // PIECES, (piece + 1) * POINTS // PIECES)
            points = Points(steps=tuple(i + 1 for i in some), values=tuple(values[i] for i in some))
            self._reporter.add(run_id, {"loss": points})
            time.sleep(self._told.seconds / PIECES)
        output.end()
        value = expected_value(params)
        seconds = self._told.seconds
        outcome = Outcome(state="completed", value=value, steps=POINTS, measurements={"seconds": seconds})
        if self._rng.random() < self._told.pause:
            os.kill(os.getpid(), 19)  # SIGSTOP: heart and reporter stop as well; somebody sends SIGCONT
        self._reporter.finish(run_id, outcome, output.new(), urgent=True)

    def _obey(self, answer: HeartbeatResponse) -> None:
        for run_id in answer.lost:
            self._lose(run_id)

    def _lose(self, run_id: RunId) -> None:
        self._lost.add(run_id)
        self._reporter.drop(run_id)

    def _fatal(self, error: HpsearchError) -> None:
        self._over.set()
