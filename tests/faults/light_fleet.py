"""T12: real daemons whose children count instead of importing torch, so that a thousand of them fit on one machine.

The daemon, its threads, its fork server's protocol and the children's process groups are those of every worker; what is
the test's own is the fork server's making and its children, which only count, and that all daemons are forked from one
process, `python -m tests.faults.light_fleet`, which has imported what they need and nothing else: they share its pages.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpcore2  # noqa: F401 - what a client imports when it is made

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
    home: str
    name: str
    step_seconds: float


class LightFleet:
    """One daemon for each of `told`."""

    def __init__(self, told: Sequence[Told]) -> None:
        command = [sys.executable, "-m", "tests.faults.light_fleet"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(one) for one in told]) + "\n")
        self._process.stdin.flush()
        self._pids: list[int] = json.loads(self._process.stdout.readline())

    def drain(self) -> None:
        """SIGTERM to every daemon."""
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)

    def exit_codes(self, seconds: float) -> list[int]:
        """Of all, once all have ended. Raises subprocess.TimeoutExpired."""
        out, _ = self._process.communicate(timeout=seconds)
        codes: list[int] = json.loads(out)
        return codes

    def kill(self) -> None:
        """Whoever is left; a daemon dies with the process that forked it, and its children with it."""
        with self._process:  # waits, and closes the pipes
            self._process.kill()


def fork_daemons() -> None:
    """Read what each is told, fork them, print their pids; once they have ended, print their exit codes."""
    told = [Told(**one) for one in json.loads(sys.stdin.readline())]
    gc.collect()
    gc.freeze()  # a collection would write to each page that the daemons share
    parent = os.getpid()
    pids = [fork_daemon(one, parent) for one in told]
    sys.stdout.write(json.dumps(pids) + "\n")
    sys.stdout.flush()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    sys.stdout.write(json.dumps(codes) + "\n")


def fork_daemon(told: Told, parent: int) -> int:
    """Its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent(parent)
        code = run_daemon(told)
    finally:
        os._exit(code)


def run_daemon(told: Told) -> int:
    """One worker of one slot, until SIGTERM; its exit code."""
    settings = WorkerSettings(
        server=told.url,
        token=told.token,
        home=Path(told.home),
        data_dir=Path(told.home),
        name=told.name,
        device="cpu",
        slots=1,
        max_trials=1,
        limits=Limits(patience=120),  # all register at once, with the cores that they share
    )
    made = fork_server(told.step_seconds)
    daemon.make_launcher = partial(LightForkServer, made)  # type: ignore[assignment]
    return daemon.run(settings)


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


if __name__ == "__main__":
    fork_daemons()
