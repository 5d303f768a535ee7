"""One pack in one child: sets it to work, hands on what it says, watches it, and accounts for its end."""

import logging
import signal
import threading
import time

from hpsearch.records import Outcome, RunId
from hpsearch.wire import Lease
from hpsearch.worker.charges import crashed, stalled
from hpsearch.worker.keeping import Keeper
from hpsearch.worker.offspring import Child, Exit
from hpsearch.worker.output import Output
from hpsearch.worker.pipe import Finished, Pack, Progress, Saved, Started, Stop, ToDaemon
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.settings import Limits
from hpsearch.worker.suspects import Suspects
from hpsearch.worker.uploader import Result, Uploader

_LOG_SECONDS = 1.0  # between looks at what a run has printed
_EXIT_SECONDS = 10.0  # between a killed child's last word and its being reaped
_FAULT = Outcome(state="released", message="the worker could not go on with it; its log says why")

log = logging.getLogger(__name__)


class PackRun:
    """Runs in its slot's thread; `stop`, `lose`, `drain` and `kill` are called from others.

    When the child dies, the trial in progress is charged and the others are released. When the daemon killed
    it, nobody is charged, except a trial that made no progress. Where the fork server vanished with the
    children of other slots too, the trial is a suspect (`suspects`) and is not charged.
    """

    def __init__(
        self,
        child: Child,
        pack: Pack,
        reporter: Reporter,
        uploader: Uploader,
        keeper: Keeper,
        suspects: Suspects,
        limits: Limits,
    ) -> None:
        self._child = child
        self._pack = pack
        self._reporter = reporter
        self._uploader = uploader
        self._keeper = keeper
        self._suspects = suspects
        self._limits = limits
        self._lock = threading.Lock()
        self._open = {errand.lease.run_id: errand for errand in pack.errands}
        self._current: RunId | None = None
        self._output: Output | None = None
        self._began_at = self._looked_at = time.monotonic()
        self._stalled: RunId | None = None
        self._killed = False  # by us
        self._lost: set[RunId] = set()
        self._escalations = 0
        self._deadline = time.monotonic() + limits.startup
        self._silence = limits.startup  # what the deadline grants

    # --- the slot's thread -----------------------------------------------------------------------

    def run(self) -> bool:
        """Train the pack to its end. False where the child can't be killed: its device is not usable.

        Raises what goes wrong on this side, as an OSError of a full disk: the child is killed, and what is
        open is released.
        """
        try:
            return self._train()
        except Exception as error:
            log.error("runs %s go back to the server: %s", ", ".join(map(str, self.runs())), error)
            self._give_up()
            raise

    def _train(self) -> bool:
        self._child.busy = True
        self._send(self._pack)
        ended = True
        try:
            while (message := self._receive()) is not None:
                self._take(message)
        except TimeoutError:
            ended = False
            log.error("child %s survives SIGKILL; its slot is closed", self._child.pid)
        self._account(self._wait_exit() if ended else Exit(None))
        self._child.channel.close()
        return ended

    def _give_up(self) -> None:
        self.kill()
        self._wait_exit()
        self._child.channel.close()
        with self._lock:
            left, self._open = self._open, {}
        for run_id, errand in left.items():
            self._uploader.submit(Result(run_id, _FAULT, errand.folder, urgent=True))

    def _receive(self) -> ToDaemon | None:
        """The child's next message, None at its end. Asks, then kills a child that stays silent too long.

        What the run prints meanwhile is handed on: a run whose worker vanishes has told what came before.
        """
        while True:
            left = self._deadline - time.monotonic()
            try:
                return self._child.channel.receive(min(left, _LOG_SECONDS))
            except TimeoutError:
                self._hand_on_output()
                if left > _LOG_SECONDS:
                    continue
                if self._escalations == 2:
                    raise
                self._escalate()

    def _hand_on_output(self) -> None:
        if self._output is not None and self._current is not None:
            self._reporter.add_log(self._current, self._output.new())

    def _escalate(self) -> None:
        with self._lock:
            if self._stalled is None:
                self._stalled = self._current or next(iter(self._open), None)
        number = (signal.SIGTERM, signal.SIGKILL)[self._escalations]
        log.warning("run %s made no progress for %g s: %s", self._stalled, self._silence, number.name)
        self._child.signal(number)
        self._escalations += 1
        self._deadline = time.monotonic() + self._limits.grace

    def _take(self, message: ToDaemon) -> None:
        match message:
            case Started():
                self._begin(message)
            case Progress(run_id=run_id, series=series):
                self._extend(self._limits.no_progress)
                if self._is_open(run_id):
                    self._reporter.add(run_id, series)
                    self._look_at_output()
            case Finished():
                self._end(message)
                self._extend(self._limits.startup if self.runs() else self._limits.grace)

    def _extend(self, seconds: float) -> None:
        if self._escalations == 0:
            self._silence = seconds
            self._deadline = time.monotonic() + seconds

    def _begin(self, started: Started) -> None:
        self._extend(self._limits.startup)
        self._began_at = self._looked_at = time.monotonic()
        with self._lock:
            self._current = started.run_id
            errand = self._open.get(started.run_id)
            lost = started.run_id in self._lost
        if errand is not None:
            self._output = Output.begin(self._child.log, started.log_start, errand.folder)
        if lost:
            self.kill()

    def _look_at_output(self) -> None:
        """A run that reports all the time is looked at now and then as well."""
        if time.monotonic() - self._looked_at >= _LOG_SECONDS:
            self._looked_at = time.monotonic()
            self._hand_on_output()

    def _last_output(self, until: int | None = None) -> str:
        """The end of the current run's output; it is in progress no more."""
        output, self._output = self._output, None
        if output is None:
            return ""
        output.end()
        return output.new(until)

    def _end(self, finished: Finished) -> None:
        # Open until all that may go wrong is done: else a fault would leave the run with nobody.
        printed = self._last_output(finished.log_end)
        with self._lock:
            errand = self._open.get(finished.run_id)
        outcome = stalled(self._silence) if finished.run_id == self._stalled else finished.outcome
        saved = self._worth_keeping(errand.lease, outcome, finished.saved) if errand is not None else ()
        with self._lock:
            self._current = None
            errand = self._open.pop(finished.run_id, None)
            last = not self._open
        if last:
            self._child.busy = False  # it only ends yet
        if errand is None:
            return  # its lease was lost
        self._suspects.clear(errand.lease.trial_id)
        self._uploader.submit(
            Result(
                run_id=finished.run_id,
                outcome=outcome,
                folder=errand.folder,
                saved=saved,
                log=printed,
                urgent=last,
            )
        )

    def _worth_keeping(self, lease: Lease, outcome: Outcome, saved: tuple[Saved, ...]) -> tuple[Saved, ...]:
        if outcome.state == "failed":
            return ()
        best = self._keeper.keeps(lease, outcome, time.monotonic() - self._began_at)
        return tuple(file for file in saved if best or file.name == "last")

    def _is_open(self, run_id: RunId) -> bool:
        with self._lock:
            return run_id in self._open

    def _wait_exit(self) -> Exit:
        if (end := self._child.exit(_EXIT_SECONDS)) is None:  # it closed its channel and lives on
            self._child.signal(signal.SIGKILL)
            end = self._child.exit(_EXIT_SECONDS)
        return end or Exit(None)

    def _account(self, end: Exit) -> None:
        """Settle the runs that the child left open."""
        printed = self._last_output()
        with self._lock:
            left, self._open = self._open, {}
            # A child that dies before its first trial is that trial's: else a pack could kill children forever.
            charged = self._stalled or self._current or next(iter(left), None)
        charge = self._charge(end, printed)
        if charge is None and not self._killed and end.suspects > 1 and charged in left:
            self._suspects.add(left[charged].lease.trial_id)
        for number, (run_id, errand) in enumerate(left.items(), start=1):
            guilty = run_id == charged
            outcome = charge if charge is not None and guilty else Outcome(state="released")
            output = printed if guilty else ""
            result = Result(run_id, outcome, errand.folder, log=output, urgent=number == len(left))
            self._uploader.submit(result)

    def _charge(self, end: Exit, output: str) -> Outcome | None:
        """What the trial in progress has brought on itself, if anything."""
        if self._stalled is not None:
            return stalled(self._silence)
        if self._killed or (end.code is None and end.suspects != 1):
            return None
        return crashed(end, output)

    # --- other threads ---------------------------------------------------------------------------

    def runs(self) -> tuple[RunId, ...]:
        """The runs that are not settled yet."""
        with self._lock:
            return tuple(self._open)

    def stop(self, run_id: RunId) -> None:
        """End this run and release it: at once, or in training by itself within the grace period."""
        with self._lock:
            waiting = run_id != self._current
            errand = self._open.pop(run_id, None) if waiting else self._open.get(run_id)
        if errand is None:
            return
        self._send(Stop(run_id=run_id))
        if waiting:
            self._uploader.submit(Result(run_id, Outcome(state="released"), errand.folder, urgent=True))
            return
        timer = threading.Timer(self._limits.grace, self._kill_if_current, (run_id,))
        timer.daemon = True
        timer.start()

    def lose(self, run_id: RunId) -> None:
        """The lease is over: kill at once if it is being trained, and forget it."""
        with self._lock:
            if self._open.pop(run_id, None) is None:
                return
            self._lost.add(run_id)
            current = self._current == run_id
        if current:
            self.kill()
        else:
            self._send(Stop(run_id=run_id))

    def drain(self) -> None:
        """End every run at its next step, each with its last checkpoint."""
        self._send(Stop())

    def kill(self) -> None:
        """SIGKILL to the whole process group. What is open is released."""
        with self._lock:
            self._killed = True
        self._child.signal(signal.SIGKILL)

    def _kill_if_current(self, run_id: RunId) -> None:
        with self._lock:
            current = self._current == run_id and run_id in self._open
        if current:
            self.kill()

    def _send(self, message: Pack | Stop) -> None:
        try:
            self._child.channel.send(message)
        except OSError:
            log.debug("child %s is gone", self._child.pid)  # its end tells the rest
