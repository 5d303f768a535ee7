"""One slot's thread: lease a pack, train it in a fresh child, again."""

import logging
import random
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome, RunId, WorkerId
from hpsearch.wire import Lease, LeaseRequest, ReportRequest, RunReport
from hpsearch.worker.backoff import Backoff
from hpsearch.worker.devices import LocalSlot
from hpsearch.worker.guard import guarded
from hpsearch.worker.keeping import Keeper
from hpsearch.worker.launcher import Launcher
from hpsearch.worker.offspring import Child
from hpsearch.worker.outage import Outage
from hpsearch.worker.pipe import Errand, Pack
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.runner import PackRun
from hpsearch.worker.server import REFUSALS, Server
from hpsearch.worker.settings import WorkerSettings
from hpsearch.worker.suspects import Suspects
from hpsearch.worker.uploader import Uploader
from hpsearch.worker.workplace import check_room

_SHORT_POLL_SECONDS = 0.5  # an empty answer sooner than this was no long poll: don't ask in a busy loop

_UNTRAINED = Outcome(state="released", message="the worker could not train it; its log says why")

log = logging.getLogger(__name__)


class SlotLoop:
    """Leases and trains until it is drained. `on_fatal` is told what makes the whole worker useless."""

    def __init__(
        self,
        place: LocalSlot,
        settings: WorkerSettings,
        folder: Path,
        worker_id: WorkerId,
        server: Server,
        launcher: Launcher,
        reporter: Reporter,
        uploader: Uploader,
        keeper: Keeper,
        suspects: Suspects,
        rng: random.Random,
        on_leases: Callable[[tuple[Lease, ...]], None],
        on_fatal: Callable[[HpsearchError], None],
    ) -> None:
        self._place = place
        self._settings = settings
        self._folder = folder
        self._worker_id = worker_id
        self._server = server
        self._launcher = launcher
        self._reporter = reporter
        self._uploader = uploader
        self._keeper = keeper
        self._suspects = suspects
        self._rng = rng
        self._on_leases = on_leases
        self._backoff = Backoff(rng)
        self._outage = Outage(
            f"slot {place.slot.index} waits for trials", f"slot {place.slot.index} asks for trials"
        )
        self._draining = threading.Event()
        self._stopping = False
        self._lock = threading.Lock()
        self._pack: PackRun | None = None
        self._packs = 0
        self._told = ""  # why the server gave nothing
        self._spare: Child | None = None
        self._trouble = Backoff(rng)
        self._thread = guarded(f"slot-{place.slot.index}", self._work, on_fatal)

    # --- other threads ---------------------------------------------------------------------------

    def start(self) -> None:
        self._uploader.start()
        self._thread.start()

    def stop(self, run_id: RunId) -> None:
        if (pack := self._current()) is not None:
            pack.stop(run_id)

    def lose(self, run_id: RunId) -> None:
        if (pack := self._current()) is not None:
            pack.lose(run_id)

    def take_nothing_new(self) -> None:
        """Lease no more; what is being trained goes on."""
        self._draining.set()

    def drain(self) -> None:
        """Lease no more; end what is being trained with a last checkpoint."""
        self._stopping = True
        self._draining.set()
        if (pack := self._current()) is not None:
            pack.drain()

    def kill(self) -> None:
        """End what is being trained now; it is released."""
        self._stopping = True
        self._draining.set()
        if (pack := self._current()) is not None:
            pack.kill()

    def give_up_uploads(self) -> None:
        """Outcomes that wait for an upload go without it."""
        self._uploader.close()

    def _current(self) -> PackRun | None:
        with self._lock:
            return self._pack

    # --- its thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while not self._draining.is_set() and self._take_turn():
                pass
        finally:
            if self._spare is not None:
                self._spare.channel.close()  # it ends by itself

    def _take_turn(self) -> bool:
        """Lease and train at most one pack; False where the slot is of no more use.

        What goes wrong on this machine, as on a full disk, may pass: the slot waits, and asks for nothing
        that it could not train. Raises HpsearchError where the worker can't go on.
        """
        try:
            check_room(self._folder / "runs" / f"room-{self._place.slot.index}")
            self._ready_spare()  # forked while the lease is asked for
            leases = self._lease()
            usable = not leases or self._train(leases)
        except OSError as error:
            log.error("slot %d waits until this machine can train again: %s", self._place.slot.index, error)
        except HpsearchError:
            raise
        except Exception:
            log.exception("slot %d tries again after a fault of the worker's own", self._place.slot.index)
        else:
            self._trouble.reset()
            return usable
        self._draining.wait(self._trouble.next_seconds())
        return True

    def _ready_spare(self) -> None:
        if self._spare is not None and self._spare.exit(0) is None:
            return
        self._packs += 1
        self._spare = self._launcher.start_child(
            self._folder / f"slot-{self._place.slot.index}-{self._packs % 2}.log"
        )

    def _lease(self) -> tuple[Lease, ...]:
        """A pack, or nothing after the server's long poll. A lost answer is asked for again by its id."""
        body = LeaseRequest(
            worker_id=self._worker_id,
            request_id=uuid.uuid4().hex,
            slot=self._place.slot.index,
            max_trials=self._settings.max_trials,
            wait_seconds=min(60.0, self._settings.lease_wait_seconds * self._rng.uniform(0.9, 1.1)),
        )
        while not self._draining.is_set():
            asked_at = time.monotonic()
            try:
                answer = self._server.lease(body)
            except REFUSALS:
                raise
            except HpsearchError as error:
                self._outage.note(error)
                self._draining.wait(self._backoff.next_seconds(error))
                continue
            leases = answer.leases
            self._backoff.reset()
            self._outage.over()
            if answer.detail != self._told:
                self._told = answer.detail
                log.warning("%s", answer.detail or f"slot {body.slot} is given trials again")
            if not leases and time.monotonic() - asked_at < _SHORT_POLL_SECONDS:
                self._draining.wait(_SHORT_POLL_SECONDS)
            return leases
        return ()

    def _train(self, leases: tuple[Lease, ...]) -> bool:
        """Train a pack; False where the slot is of no more use."""
        self._reporter.open(lease.run_id for lease in leases)
        self._on_leases(leases)
        if self._draining.is_set():
            self._give_back(leases)
            return False
        with ExitStack() as afterwards:
            pack = self._make_pack(leases, afterwards)
            with self._lock:
                self._pack = pack
            try:
                if self._stopping:  # since the last look
                    pack.drain()
                return pack.run()
            finally:
                with self._lock:
                    self._pack = None

    def _make_pack(self, leases: tuple[Lease, ...], afterwards: ExitStack) -> PackRun:
        """Raises OSError where there is no room for a run: then all are released, and the child ends."""
        try:
            child = self._take_child(leases, afterwards)
            afterwards.callback(child.channel.close)
            errands = tuple(self._errand(lease) for lease in leases)
        except Exception:
            for lease in leases:
                log.error("run %d goes back to the server untrained", lease.run_id)
                self._reporter.finish(lease.run_id, _UNTRAINED, urgent=True)
                shutil.rmtree(self._run_folder(lease), ignore_errors=True)
            raise
        return PackRun(
            child,
            self._pack_of(errands),
            self._reporter,
            self._uploader,
            self._keeper,
            self._suspects,
            self._settings.limits,
        )

    def _take_child(self, leases: tuple[Lease, ...], afterwards: ExitStack) -> Child:
        """The spare one; for a suspect, one of a fork server that it can take down alone."""
        if not self._suspects.any_of(leases):
            child, self._spare = self._spare, None
            assert child is not None
            return child
        apart = self._launcher.apart()
        apart.start()
        afterwards.callback(apart.close)
        return apart.start_child(self._folder / f"slot-{self._place.slot.index}-apart.log")

    def _pack_of(self, errands: tuple[Errand, ...]) -> Pack:
        return Pack(
            errands=errands,
            device=self._place.slot.device,
            visible_devices=self._place.visible_devices,
            threads=self._place.slot.threads,
            data_dir=self._settings.data_dir.absolute(),
            tasks_dir=self._settings.tasks_dir and self._settings.tasks_dir.absolute(),
            allow_commands=self._settings.allow_commands,
            grace_seconds=self._settings.limits.grace,
        )

    def _errand(self, lease: Lease) -> Errand:
        folder = self._run_folder(lease)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Errand(lease=lease, folder=folder, start=self._fetch_start(lease, folder))

    def _run_folder(self, lease: Lease) -> Path:
        return self._folder / "runs" / str(lease.run_id)

    def _fetch_start(self, lease: Lease, folder: Path) -> Path | None:
        """The checkpoint to continue from; without it the trial trains from the start, with the same numbers."""
        start = lease.start
        while start is not None and self._reporter.holds(lease.run_id) and not self._draining.is_set():
            try:
                return self._server.download_checkpoint(
                    start.trial_id, start.name, folder / "start.safetensors"
                )
            except (*REFUSALS, OSError) as error:
                log.warning("run %s starts afresh, its checkpoint can't be had: %s", lease.run_id, error)
                break
            except HpsearchError as error:
                log.warning("run %s waits for its checkpoint: %s", lease.run_id, error)
                self._draining.wait(self._backoff.next_seconds(error))
        return None

    def _give_back(self, leases: tuple[Lease, ...]) -> None:
        """Leases that came when the worker was closing: said directly, the reporter may have ended."""
        released = Outcome(state="released", message="the worker stopped")
        reports = tuple(RunReport(run_id=lease.run_id, seq=0, outcome=released) for lease in leases)
        with suppress(HpsearchError):
            self._server.report(ReportRequest(worker_id=self._worker_id, reports=reports))
        for lease in leases:
            self._reporter.drop(lease.run_id)
