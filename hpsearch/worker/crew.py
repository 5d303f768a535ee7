"""The parts of a registered worker, wired together: slots with their uploaders, one reporter, one heart."""

import random
from collections.abc import Callable, Sequence

from hpsearch.errors import HpsearchError
from hpsearch.records import RunId, Worker
from hpsearch.wire import HeartbeatResponse, Lease
from hpsearch.worker.backlog import Backlog
from hpsearch.worker.devices import LocalSlot
from hpsearch.worker.heart import Heart
from hpsearch.worker.keeping import Keeper
from hpsearch.worker.launcher import Launcher
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.server import Server
from hpsearch.worker.settings import WorkerSettings
from hpsearch.worker.slot import SlotLoop
from hpsearch.worker.suspects import Suspects
from hpsearch.worker.uploader import Uploader
from hpsearch.worker.workplace import Workplace

_FIRST_LEASE_SECONDS = 30.0  # until a lease says how long it lasts


class Crew:
    """Works from `start` on. `on_drain`: the server wants this worker drained; `on_fatal`: it can't go on."""

    def __init__(
        self,
        settings: WorkerSettings,
        workplace: Workplace,
        places: Sequence[LocalSlot],
        worker: Worker,
        server: Server,
        launcher: Launcher,
        rng: random.Random,
        on_drain: Callable[[], None],
        on_fatal: Callable[[HpsearchError], None],
    ) -> None:
        self._on_drain = on_drain
        self._reporter = Reporter(
            server,
            worker.id,
            Backlog(workplace.folder / "backlog.jsonl"),
            rng,
            self._lose,
            on_fatal,
            interval_seconds=settings.report_interval_seconds,
        )
        self._heart = Heart(
            server,
            worker.id,
            self._reporter.held,
            self._obey,
            on_fatal,
            rng,
            lease_seconds=_FIRST_LEASE_SECONDS,
            orphan_seconds=settings.limits.orphan,
        )
        keeper = Keeper()
        suspects = Suspects()
        self._slots = tuple(
            SlotLoop(
                place,
                settings,
                workplace.folder,
                worker.id,
                server,
                launcher,
                self._reporter,
                Uploader(server, worker.id, self._reporter, rng, self._lose, on_fatal),
                keeper,
                suspects,
                rng,
                self._expect,
                on_fatal,
            )
            for place in places
        )

    def start(self) -> None:
        self._reporter.start()
        self._heart.start()
        for slot in self._slots:
            slot.start()

    def take_nothing_new(self) -> None:
        """Lease no more; what is trained goes on to its end."""
        for slot in self._slots:
            slot.take_nothing_new()

    def drain(self) -> None:
        """Lease no more, end what is trained with a last checkpoint."""
        for slot in self._slots:
            slot.drain()

    def kill(self) -> None:
        """End what is trained at once, give up uploads, give every lease back."""
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.give_up_uploads()
        self._reporter.release_rest()

    def idle(self, timeout_seconds: float) -> bool:
        """Wait until every lease is settled with the server."""
        return self._reporter.flush(timeout_seconds)

    def close(self) -> None:
        """End the threads. A slot that is in a long poll ends with its answer, and gives leases back."""
        self._heart.close()
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.give_up_uploads()
        self._reporter.close()

    def _obey(self, answer: HeartbeatResponse) -> None:
        for run_id in answer.lost:
            self._lose(run_id)
        for run_id in answer.stop:
            for slot in self._slots:
                slot.stop(run_id)
        if answer.drain:
            self._on_drain()

    def _lose(self, run_id: RunId) -> None:
        """The lease is over: first the child, then what was to be said about it."""
        for slot in self._slots:
            slot.lose(run_id)
        self._reporter.drop(run_id)

    def _expect(self, leases: tuple[Lease, ...]) -> None:
        self._heart.expect(min(lease.lease_seconds for lease in leases))
