"""T12: real daemons whose children count instead of importing torch, so that fifty of them fit on one machine.

The daemon, its threads, its fork server's protocol and the children's process groups are those of every worker; what is
the test's own is the program of the fork server, which forks children that only count.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hpsearch.records import Outcome, Points
from hpsearch.worker import daemon
from hpsearch.worker.forkserver import Nursery
from hpsearch.worker.launcher import ForkServer
from hpsearch.worker.lifeline import die_with_parent
from hpsearch.worker.pipe import TO_CHILD, Channel, Errand, Finished, Pack, Progress, Saved, Started, ToChild
from hpsearch.worker.settings import WorkerSettings

STEP_SECONDS = 0.25
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Told:
    """What a daemon's process is told."""

    url: str
    token: str
    home: Path
    name: str


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
    )
    daemon.make_launcher = LightForkServer  # type: ignore[assignment]
    sys.exit(daemon.run(settings))


class LightForkServer(ForkServer):
    """Starts this file's fork server instead of the one that imports torch."""

    def _spawn(self) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.light_fleet", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env={**self._environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,
            )
        return ours, process


def main(descriptor: int, daemon_pid: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(daemon_pid)
    control = socket.socket(fileno=descriptor)
    control.send(json.dumps({"ready": os.getpid()}).encode())
    Nursery(control, count).run()


def count(descriptor: int, log: int, parent: int) -> int:
    """A child: each errand counts on from its checkpoint, until it is told to stop."""
    os.setsid()
    die_with_parent(parent)
    channel = Channel(socket.socket(fileno=descriptor), TO_CHILD)
    pack = channel.receive()
    if isinstance(pack, Pack):
        for errand in pack.errands:
            count_one(channel, errand)
    return 0


def count_one(channel: Channel[ToChild], errand: Errand) -> None:
    run_id = errand.lease.run_id
    step = int(errand.start.read_text()) if errand.start is not None else 0
    channel.send(Started(run_id=run_id))
    while not channel.waiting():  # nothing but a stop comes
        time.sleep(STEP_SECONDS)
        step += 1
        channel.send(Progress(run_id=run_id, series={"loss": Points(steps=(step,), values=(1 / step,))}))
    path = errand.folder / "last.safetensors"
    path.write_text(str(step))
    saved = (Saved(name="last", step=step, path=path),)
    channel.send(Finished(run_id=run_id, outcome=Outcome(state="released", steps=step), saved=saved))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
