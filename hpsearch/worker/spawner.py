"""A new interpreter per child, where forking is not safe."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from hpsearch.worker.offspring import Child, Exit, open_log
from hpsearch.worker.pipe import TO_DAEMON, Channel


class Spawner:
    """Makes children as a `Launcher` does (macOS). None ends with another: each is a process of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._processes: set[subprocess.Popen[bytes]] = set()

    def start(self) -> None:
        """Nothing to prepare."""

    def start_child(self, log: Path) -> Child:
        with os.fdopen(open_log(log), "wb") as output:
            ours, theirs = socket.socketpair()
            with theirs:
                process = self._spawn(theirs.fileno(), output)
        child = Child(Channel(ours, TO_DAEMON), log, lambda number: _signal_group(process, number))
        child.pid = process.pid
        self._processes.add(process)
        threading.Thread(target=self._wait, args=(process, child), daemon=True).start()
        return child

    def apart(self) -> "Spawner":
        return Spawner(self._environment)

    def close(self) -> None:
        for process in list(self._processes):
            _signal_group(process, signal.SIGKILL)
            process.wait()

    def _spawn(self, channel: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "hpsearch.worker.child", str(channel), str(os.getpid())],
            pass_fds=[channel],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def _wait(self, process: subprocess.Popen[bytes], child: Child) -> None:
        code = process.wait()
        self._processes.discard(process)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        child.has_ended(Exit(code))


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:  # before its setsid
        process.send_signal(number)
