"""The process that has torch imported and forks a child per pack: `python -m hpsearch.worker.forkserver FD PID`.

FD is one end of a SOCK_SEQPACKET pair, one JSON object per packet. The daemon sends `{"start": key}` with the
child's socket and log file attached, and `{"signal": number, "key": key}`. It is told `{"ready": pid}` once,
`{"started": key, "pid": pid}`, `{"exited": key, "code": code}` (negative: a signal), or `{"broken": why}`.
This process never touches CUDA and has one thread: both are lost in a fork.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from hpsearch.worker.lifeline import die_with_parent

Serve = Callable[[int, int, int], int]  # (socket, log file, parent's pid) -> exit code


class Nursery:
    """Forks children, passes signals on to their process groups, and reports each one's end."""

    def __init__(self, control: socket.socket, serve: Serve) -> None:
        self._control = control
        self._serve = serve
        self._pids: dict[int, int] = {}  # key -> pid
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)

    def run(self) -> None:
        """Serve until the daemon hangs up; then nothing is left alive."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken in ready:
                self._reap()
            if self._control.fileno() in ready and not self._obey():
                break
        for key in list(self._pids):
            self._signal(key, signal.SIGKILL)

    def _obey(self) -> bool:
        """Do what the daemon asks; False when it has hung up."""
        packet, descriptors, _, _ = socket.recv_fds(self._control, 65_536, 2)
        if not packet:
            return False
        request = json.loads(packet)
        if "start" in request:
            self._start(int(request["start"]), *descriptors)
        else:
            self._signal(int(request["key"]), int(request["signal"]))
        return True

    def _start(self, key: int, channel: int, log: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_child(channel, log, parent)
        os.close(channel)
        os.close(log)
        self._pids[key] = pid
        _tell(self._control, {"started": key, "pid": pid})

    def _be_child(self, channel: int, log: int, parent: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.close(self._woken)
            os.close(self._waker)
            code = self._serve(channel, log, parent)
        finally:
            # Not sys.exit: the fork server's own clean-up must not run in a child.
            os._exit(code)

    def _signal(self, key: int, number: int) -> None:
        """To the child's whole group. It is not reaped yet, so its number is nobody else's."""
        pid = self._pids.get(key)
        if pid is None:
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # between its fork and its setsid
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        for key, pid in list(self._pids.items()):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            with suppress(ProcessLookupError, PermissionError):  # what the leader left behind goes with it
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            del self._pids[key]
            _tell(self._control, {"exited": key, "code": os.waitstatus_to_exitcode(status)})


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(ConnectionError):  # the daemon is gone; the next receive says so
        control.send(json.dumps(message).encode())


def main(descriptor: int, daemon_pid: int) -> int:
    # The daemon alone answers to Ctrl-C and to SIGTERM; this process ends when the daemon hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(daemon_pid)
    control = socket.socket(fileno=descriptor)
    try:
        # Here, not at the top: a machine without torch must be able to say so.
        from hpsearch.training.preload import preload  # noqa: PLC0415
        from hpsearch.worker.child import serve  # noqa: PLC0415

        preload()
    except ImportError as error:
        _tell(control, {"broken": f"this worker can't train: {error}"})
        return 1
    gc.collect()
    gc.freeze()  # collections in a child then don't touch, and so don't copy, the shared pages
    _tell(control, {"ready": os.getpid()})
    Nursery(control, serve).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
