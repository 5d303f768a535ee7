"""The worker daemon: lease, train, report, until it is told to end. Start it with `run(settings)`."""

import enum
import logging
import math
import os
import queue
import random
import signal
import socket
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import hpsearch
from hpsearch.client import Client
from hpsearch.errors import HpsearchError, ServerUnreachable, Unavailable
from hpsearch.records import Worker
from hpsearch.tasks import COMMANDS, TASK_FILES
from hpsearch.wire import RegisterWorker
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.crew import Crew
from hpsearch.worker.devices import LocalSlot, find_slots, usable_cores, visible_gpus
from hpsearch.worker.environment import child_environment
from hpsearch.worker.kept import drop_stale
from hpsearch.worker.launcher import make_launcher
from hpsearch.worker.server import Server
from hpsearch.worker.settings import WorkerSettings
from hpsearch.worker.workplace import Workplace, take_workplace

_LAST_WORDS_SECONDS = 3.0  # for the reports of what was killed at the drain's deadline
_ANSWER_SECONDS = 10.0
_LOOK_SECONDS = 0.1  # between looks for an order
_SWEEP_SECONDS = 3600.0  # between looks for what trials have left on this disk

log = logging.getLogger(__name__)


class Order(enum.Enum):
    """What a worker can be told."""

    FINISH = "finish"  # take nothing new, train what is under way to its end
    DRAIN = "drain"  # end what is under way with a checkpoint and hand it back; given again: at once


@dataclass(frozen=True)
class Fail:
    """What makes the worker useless."""

    error: HpsearchError


class Daemon:
    """One worker. `run` blocks the thread that calls it; `order` may be called from anywhere.

    `order` is safe in a signal handler: SimpleQueue.put is reentrant, an Event's set is not.
    """

    def __init__(self, settings: WorkerSettings, server: Server, rng: random.Random) -> None:
        self._settings = settings
        self._server = server
        self._rng = rng
        self._orders: queue.SimpleQueue[Order | Fail] = queue.SimpleQueue()

    def order(self, order: Order) -> None:
        self._orders.put(order)

    def run(self) -> None:
        """Work until drained. Raises HpsearchError where this worker can't start or go on."""
        with take_workplace(self._settings.home, self._settings.name) as workplace:
            places = self._find_slots()
            threads = max(place.slot.threads for place in places)
            launcher = make_launcher(child_environment(os.environ, threads), self._cannot_train)
            launcher.start()  # imports torch while the worker registers
            try:
                worker = self._register(workplace, places)
                slots = "1 slot" if len(places) == 1 else f"{len(places)} slots"
                log.info("worker %s has %s at %s", worker.name, slots, self._settings.server)
                crew = Crew(
                    self._settings,
                    workplace,
                    places,
                    worker,
                    self._server,
                    launcher,
                    self._rng,
                    on_drain=lambda: self.order(Order.FINISH),
                    on_fatal=lambda error: self._orders.put(Fail(error)),
                )
                self._work(crew, workplace)
            finally:
                launcher.close()

    def _find_slots(self) -> tuple[LocalSlot, ...]:
        settings = self._settings
        gpus = visible_gpus(os.environ) if settings.device in ("auto", "cuda") else ()
        return find_slots(settings.device, settings.slots, settings.threads, gpus=gpus, cores=usable_cores())

    def _register(self, workplace: Workplace, places: Sequence[LocalSlot]) -> Worker:
        """Known to the server, which has a short while to answer. Raises ServerUnreachable."""
        body = RegisterWorker(
            name=workplace.name,
            host=socket.gethostname()[:255],
            version=hpsearch.__version__,
            slots=tuple(place.slot for place in places),
            labels=(*self._settings.labels, *self._labels_of_code()),
            interrupted=workplace.interrupted,
            start_id=uuid.uuid4().hex,
        )
        backoff = Backoff(self._rng)
        give_up_at = time.monotonic() + self._settings.limits.patience
        while True:
            try:
                return self._server.register_worker(body)
            except (ServerUnreachable, Unavailable):
                pause = backoff.next_seconds()
                if time.monotonic() + pause > give_up_at or self._told_to_end():
                    raise
                time.sleep(pause)

    def _labels_of_code(self) -> list[str]:
        """Which studies with code of their own may come here."""
        if self._settings.tasks_dir is None:
            return []
        return [TASK_FILES, *([COMMANDS] if self._settings.allow_commands else [])]

    def _told_to_end(self) -> bool:
        return not self._orders.empty()

    def _work(self, crew: Crew, workplace: Workplace) -> None:
        crew.start()
        try:
            order: Order | Fail | None = self._first_order(workplace)
            if order is Order.FINISH:
                log.info("the server drains this worker: it ends when what it trains has ended")
                crew.take_nothing_new()
                order = self._order_before_idle(crew, math.inf)
            if isinstance(order, Fail):
                raise order.error
            if order is not None:
                self._hand_back(crew)
        finally:
            crew.close()

    def _first_order(self, workplace: Workplace) -> Order | Fail:
        """Looks up now and then: a signal that the system hands to another thread does not wake this one."""
        swept_at = time.monotonic()  # when the workplace was taken
        while True:
            try:
                return self._orders.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if time.monotonic() - swept_at > _SWEEP_SECONDS:
                    drop_stale(workplace.folder, now=time.time())
                    swept_at = time.monotonic()

    def _hand_back(self, crew: Crew) -> None:
        log.info("draining: what is trained ends with a checkpoint and goes back to the server")
        crew.drain()
        if self._order_before_idle(crew, time.monotonic() + self._settings.limits.drain) is not None:
            crew.kill()
            crew.idle(_LAST_WORDS_SECONDS)

    def _order_before_idle(self, crew: Crew, deadline: float) -> Order | Fail | None:
        """The next order, DRAIN at the deadline; None once every lease is settled."""
        while not crew.idle(_LOOK_SECONDS):
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                if time.monotonic() > deadline:
                    return Order.DRAIN
            else:
                if order is not Order.FINISH:  # which each heartbeat repeats
                    return order
        return None

    def _cannot_train(self, why: str) -> None:
        error = HpsearchError(why, hint="install it with: pip install 'hpsearch[torch]'")
        self._orders.put(Fail(error))


def run(settings: WorkerSettings) -> int:
    """One worker in this process, from the main thread, until SIGTERM, SIGINT or the server drains it.

    Returns the exit code: 0, or 130 after Ctrl-C. A second signal ends it at once. Raises HpsearchError
    where it can't start or go on, ServerUnreachable where no server answers.
    """
    rng = random.Random()  # noqa: S311 - jitter
    # No patience: the daemon repeats by its own rules. An answer that takes longer than a third of a lease is
    # too late for a heartbeat.
    client = Client(settings.server, settings.token, timeout=_ANSWER_SECONDS, patience_seconds=0)
    daemon = Daemon(settings, client, rng)
    interrupted = False

    def on_signal(number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = interrupted or number == signal.SIGINT
        daemon.order(Order.DRAIN)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        daemon.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        client.close()
    return 130 if interrupted else 0
