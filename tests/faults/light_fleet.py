"""T12: real daemons whose children count instead of importing torch, so that hundreds of them fit on one machine.

The daemon, its threads, its fork server's protocol and the children's process groups are those of every worker; what is
the test's own is the fork server's making and its children, which only count.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hpsearch.records import Outcome, Points
from hpsearch.worker import daemon
from hpsearch.worker.forkserver import Nursery
from hpsearch.worker.launcher import ForkServer
from hpsearch.worker.lifeline import die_with_parent
from hpsearch.worker.pipe import TO_CHILD, Channel, Errand, Finished, Pack, Progress, Saved, Started, ToChild
from hpsearch.worker.settings import Limits, WorkerSettings


@dataclass(frozen=True)
class Told:
    """What a daemon's process is told."""

    url: str
    token: str
    home: Path
    name: str
    step_seconds: float


def run_daemon(told: Told) -> None:
    """One worker of one slot, until SIGTERM."""
    settings = WorkerSettings(
        server=told.url,
        token=told.token,
        home=told.home,
        data_dir=told.home,
        name=told.name,
        device="cpu",
        slots=1,
        max_trials=1,
        limits=Limits(patience=120),  # all register at once, with the cores that they share
    )
    made = fork_server(told.step_seconds)
    daemon.make_launcher = partial(LightForkServer, made)  # type: ignore[assignment]
    sys.exit(daemon.run(settings))


def fork_server(step_seconds: float) -> tuple[socket.socket, "Forked"]:
    """A fork server of children that count, forked while this process has one thread: it imports nothing anew."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return ours, Forked(pid)
    try:
        ours.close()
        serve(theirs, parent, step_seconds)
    finally:
        os._exit(0)


class Forked:
    """A child as `subprocess.Popen` shows it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fork server", timeout or 0)
            time.sleep(0.01)


class LightForkServer(ForkServer):
    """Speaks to the fork server that is there instead of starting the one that imports torch."""

    def __init__(self, made: tuple[socket.socket, Forked], *rest: object) -> None:
        super().__init__(*rest)  # type: ignore[arg-type]
        self._made = [made]

    def _spawn(self) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
        return self._made.pop()  # type: ignore[return-value]


def serve(control: socket.socket, daemon_pid: int, step_seconds: float) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(daemon_pid)
    control.send(json.dumps({"ready": os.getpid()}).encode())
    Nursery(control, partial(count, step_seconds)).run()


def count(step_seconds: float, descriptor: int, log: int, parent: int) -> int:
    """A child: each errand counts on from its checkpoint, until it is told to stop."""
    os.setsid()
    die_with_parent(parent)
    channel = Channel(socket.socket(fileno=descriptor), TO_CHILD)
    pack = channel.receive()
    if isinstance(pack, Pack):
        for errand in pack.errands:
            count_one(channel, errand, step_seconds)
    return 0


def count_one(channel: Channel[ToChild], errand: Errand, step_seconds: float) -> None:
    run_id = errand.lease.run_id
    step = int(errand.start.read_text()) if errand.start is not None else 0
    channel.send(Started(run_id=run_id))
    while not channel.waiting():  # nothing but a stop comes
        time.sleep(step_seconds)
        step += 1
        channel.send(Progress(run_id=run_id, series={"loss": Points(steps=(step,), values=(1 / step,))}))
    path = errand.folder / "last.safetensors"
    path.write_text(str(step))
    saved = (Saved(name="last", step=step, path=path),)
    channel.send(Finished(run_id=run_id, outcome=Outcome(state="released", steps=step), saved=saved))
