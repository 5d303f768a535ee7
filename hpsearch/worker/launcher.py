"""The daemon's side of making children: by the fork server where there is one, else by a new interpreter."""

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from hpsearch.errors import HpsearchError
from hpsearch.worker.guard import guarded
from hpsearch.worker.offspring import Child, Exit, open_log
from hpsearch.worker.pipe import TO_DAEMON, Channel
from hpsearch.worker.spawner import Spawner

_MOST_DEATHS = 3  # of fork servers in a row that never got ready


class Launcher(Protocol):
    """Makes children. Safe to call from several threads."""

    def start(self) -> None:
        """Get ready in the background."""

    def start_child(self, log: Path) -> Child:
        """A new child in its own process group. Raises HpsearchError where this machine can't train, and OSError
        where there is no room for `log`."""

    def apart(self) -> "Launcher":
        """Another one, whose children share no fork server with this one's. Not started yet."""

    def close(self) -> None:
        """Kill every child and wait for it."""


class ForkServer:
    """Keeps a fork server running, and its children's fates. `on_broken` is told when it can't be kept."""

    def __init__(self, environment: Mapping[str, str], on_broken: Callable[[str], None]) -> None:
        self._environment = dict(environment)
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._control: socket.socket | None = None
        self._broken: str | None = None
        self._closing = False
        self._ready = False
        self._deaths = 0
        self._children: dict[int, Child] = {}
        self._keys = itertools.count()
        # PDEATHSIG follows the thread that makes the process: this one lives as long as the daemon.
        self._keeper = guarded("fork-server", self._keep, self._give_up)

    def start(self) -> None:
        self._keeper.start()

    def start_child(self, log: Path) -> Child:
        descriptor = open_log(log)
        ours, theirs = socket.socketpair()
        key = next(self._keys)
        child = Child(Channel(ours, TO_DAEMON), log, lambda number: self._signal(key, number))
        try:
            self._request_start(key, child, theirs.fileno(), descriptor)
        except HpsearchError:
            child.channel.close()
            raise
        finally:
            theirs.close()
            os.close(descriptor)
        return child

    def apart(self) -> "ForkServer":
        return ForkServer(self._environment, self._on_broken)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            if self._control is not None:
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)
            self._changed.notify_all()
        self._keeper.join(timeout=10)

    def _request_start(self, key: int, child: Child, channel: int, log: int) -> None:
        packet = json.dumps({"start": key}).encode()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._control or self._broken or self._closing)
                if self._control is None:
                    raise HpsearchError(self._broken or "the worker is closing; no training starts any more")
                self._children[key] = child
                try:
                    socket.send_fds(self._control, [packet], [channel, log])
                except OSError:  # it has just died; its keeper makes another
                    del self._children[key]
                    self._control = None
                else:
                    return

    def _signal(self, key: int, number: int) -> None:
        with self._changed, suppress(OSError):  # where the fork server is gone, so is the child
            if self._control is not None:
                self._control.send(json.dumps({"signal": number, "key": key}).encode())

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._closing or self._broken:
                    break
                control, process = self._spawn()
                self._control = control
                self._ready = False
                self._changed.notify_all()
            self._listen(control)
            self._bury(control, process)

    def _spawn(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -P: the current folder, where a `torch.py` may lie, is not on the path. Output to stderr: stdout
            # belongs to the command. A session of its own: Ctrl-C is the daemon's to handle.
            command = [sys.executable, "-P", "-m", "hpsearch.worker.forkserver"]
            process = subprocess.Popen(  # noqa: S603
                [*command, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,
            )
        return ours, process

    def _listen(self, control: socket.socket) -> None:
        while True:
            try:
                packet = control.recv(65_536)
            except OSError:
                return
            if not packet:
                return
            self._note(json.loads(packet))

    def _note(self, event: dict[str, Any]) -> None:
        with self._changed:
            if "ready" in event:
                self._ready = True
                self._deaths = 0
            elif "started" in event:
                self._children[event["started"]].pid = int(event["pid"])
            elif "exited" in event:
                self._children.pop(event["exited"]).has_ended(Exit(int(event["code"])))
            else:
                self._broken = str(event["broken"])

    def _give_up(self, error: HpsearchError) -> None:
        """The keeper has ended, and with it its fork server: nobody may wait for another."""
        with self._changed:
            self._control = None
            self._broken = error.message
            self._changed.notify_all()
        self._on_broken(error.message)

    def _bury(self, control: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """The fork server is gone, and by PDEATHSIG all its children."""
        if not self._ready:  # it would finish its imports first
            process.kill()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with self._changed:
            self._control = None
            control.close()
            self._deaths += 1
            if self._broken is None and self._deaths >= _MOST_DEATHS and not self._closing:
                self._broken = f"the fork server ended {self._deaths} times before it was ready"
            orphans, self._children = list(self._children.values()), {}
            busy = [] if self._closing else [child for child in orphans if child.busy]
            self._changed.notify_all()
        for child in orphans:
            child.has_ended(Exit(None, suspects=len(busy) if child in busy else 0))
        if self._broken is not None:
            self._on_broken(self._broken)


def make_launcher(environment: Mapping[str, str], on_broken: Callable[[str], None]) -> Launcher:
    """The fork server on Linux; elsewhere the spawner (macOS: frameworks break in a fork, no PDEATHSIG)."""
    return ForkServer(environment, on_broken) if sys.platform == "linux" else Spawner(environment)
