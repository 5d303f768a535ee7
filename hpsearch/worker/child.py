"""The process that trains one pack; the only one that runs a user's code. It knows no server and no token."""

import faulthandler
import gc
import os
import signal
import socket
import sys
import traceback

from hpsearch.command import CommandTask
from hpsearch.records import FailureReason, Outcome, RunId, Series
from hpsearch.training.program import Place, run_program
from hpsearch.worker.commands import CommandPlace, run_command
from hpsearch.worker.kept import kept_folder
from hpsearch.worker.lifeline import die_with_parent
from hpsearch.worker.pipe import (
    TO_CHILD,
    Channel,
    Errand,
    Finished,
    Pack,
    Progress,
    Started,
    Stop,
    ToChild,
)
from hpsearch.worker.saved import saved_in

_STDOUT, _STDERR = 1, 2


class StopFlags:
    """Which runs are to end at their next step."""

    def __init__(self, channel: Channel[ToChild]) -> None:
        self._channel = channel
        self._all = False
        self._runs: set[RunId] = set()

    def stop_all(self) -> None:
        self._all = True

    def wanted(self, run_id: RunId) -> bool:
        while not self._all and self._channel.waiting():
            message = self._channel.receive()
            if isinstance(message, Stop) and message.run_id is not None:
                self._runs.add(message.run_id)
            else:  # everything, or the daemon has hung up
                self._all = True
        return self._all or run_id in self._runs


class PackTraining:
    """Trains a pack's trials one after another and says how each went."""

    def __init__(self, channel: Channel[ToChild], pack: Pack, flags: StopFlags, log: int) -> None:
        self._channel = channel
        self._pack = pack
        self._flags = flags
        self._log = log

    def run(self) -> None:
        for errand in self._pack.errands:
            run_id = errand.lease.run_id
            if self._flags.wanted(run_id):
                self._channel.send(Finished(run_id=run_id, outcome=Outcome(state="released")))
                continue
            self._channel.send(Started(run_id=run_id, log_start=self._log_size()))
            outcome = self._train(errand)
            saved = saved_in(errand.folder) if outcome.state != "failed" else ()
            finished = Finished(run_id=run_id, outcome=outcome, saved=saved, log_end=self._log_size())
            self._channel.send(finished)
            gc.collect()  # cycles would keep the model's memory for the next trial

    def _train(self, errand: Errand) -> Outcome:
        """The trial's outcome."""
        run_id = errand.lease.run_id

        def report(series: Series) -> None:
            self._channel.send(Progress(run_id=run_id, series=series))

        def stop() -> bool:
            return self._flags.wanted(run_id)

        assignment = errand.lease.assignment
        try:
            if isinstance(assignment.task, CommandTask):
                return run_command(assignment, self._command_place(errand), report, stop)
            return run_program(assignment, self._place(errand), report, stop)
        except Exception as error:  # run_program answers for a user's code; this is a fault of ours
            traceback.print_exc()
            message = f"training failed with {type(error).__name__}: {error}"[:2000]
            return Outcome(state="failed", reason=FailureReason.ERROR, message=message)

    def _place(self, errand: Errand) -> Place:
        return Place(
            device=self._pack.device,
            work_dir=errand.folder,
            data_dir=self._pack.data_dir,
            tasks_dir=self._pack.tasks_dir,
            threads=self._pack.threads,
            start=errand.start,
            keep_last=errand.lease.keep_last,
        )

    def _command_place(self, errand: Errand) -> CommandPlace:
        return CommandPlace(
            allowed=self._pack.allow_commands,
            tasks_dir=self._pack.tasks_dir,
            run_dir=errand.folder,
            kept_dir=kept_folder(errand.folder.parent.parent, errand.lease.assignment),
            data_dir=self._pack.data_dir,
            device=self._pack.device,
            grace_seconds=self._pack.grace_seconds,
        )

    def _log_size(self) -> int:
        """How much has been printed by now."""
        sys.stdout.flush()
        sys.stderr.flush()
        return os.fstat(self._log).st_size


def serve(channel_descriptor: int, log: int, parent_pid: int) -> int:
    """A child's whole life: leave the parent's group, receive a pack, train it. Returns the exit code."""
    os.setsid()
    die_with_parent(parent_pid)
    _redirect_output(log)
    faulthandler.enable()  # a segmentation fault leaves its Python stack in the log
    os.set_inheritable(channel_descriptor, False)  # received descriptors would pass to programs it starts
    channel = Channel(socket.socket(fileno=channel_descriptor), TO_CHILD)
    flags = StopFlags(channel)
    signal.signal(signal.SIGTERM, lambda *_: flags.stop_all())
    try:
        pack = channel.receive()
        if isinstance(pack, Pack):
            if pack.visible_devices is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = pack.visible_devices  # before the first CUDA call
            PackTraining(channel, pack, flags, log).run()
    except BrokenPipeError:
        return 1  # the daemon is gone, and nobody is left to tell
    return 0


def _redirect_output(log: int) -> None:
    os.set_inheritable(log, False)
    os.dup2(log, _STDOUT)
    os.dup2(log, _STDERR)
    # A fork server's text streams are block-buffered copies; lines must be in the file when the child dies.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), os.dup(_STDERR), int(sys.argv[2])))
