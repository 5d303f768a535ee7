"""The processes that a command starts beside itself: the home's server and local workers.

Each runs in its own process group, so that Ctrl-C reaches only the command, which ends them in order;
and each dies with the command, however that dies (`worker.lifeline`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import HpsearchError, ServerUnreachable
from hpsearch.home import Home, ServerAddress

POLL_SECONDS = 0.02
START_SECONDS = 60.0


@dataclass(frozen=True)
class Companion:
    """A process started by `start`. `name` is for messages; its output goes to `log`."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def last_words(self) -> str:
        """The error that its output ends with, and that error's hint; else its last line."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        *_, error, hint = ["", "", *lines]
        if not hint.startswith("Hint:"):
            return hint.removeprefix("Error: ").strip()
        return f"{error.removeprefix('Error: ').strip()}: {hint.removeprefix('Hint:').strip()}"

    def check(self) -> None:
        """Raise HpsearchError where the process has ended by itself."""
        code = self.process.poll()
        if code is not None:
            words = self.last_words()
            raise HpsearchError(
                f"the {self.name} ended with exit code {code}{': ' + words if words else ''}",
                hint=f"its output is in {self.log}",
            )

    def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, and after `grace_seconds` SIGKILL to the whole group. Returns when it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(
    name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Companion:
    """Run `hpsearch ARGUMENTS` beside this process, its output in `log`, `environment` added to ours."""
    # -P: a module `api` or `hpsearch` in the current folder must not come before ours.
    command = [sys.executable, "-P", "-m", "hpsearch.cli.main", *arguments, "--parent", str(os.getpid())]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            env={**os.environ, **(environment or {})},
        )
    return Companion(name, process, log)


def start_server(home: Home, database_url: str | None = None, *, passing: bool = False) -> Companion:
    """Start the home's server on a free port of this machine; it isn't ready yet. One that is `passing` leaves the home
    to a server that comes to stay."""
    database = ["--database-url", database_url] if database_url else []
    database += ["--passing"] if passing else []
    # --host: HPSEARCH_HOST is for servers that others reach; this one lives for one command.
    arguments = ["serve", "--host", "127.0.0.1", "--port", "0", "--home", str(home.path), *database]
    return start("server", arguments, home.logs / "server.log")


def wait_for_server(server: Companion, home: Home) -> ServerAddress:
    """Where `server` listens. Raises HpsearchError where it ended or did not come up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for address in home.read_addresses():
            if address.pid == server.process.pid:
                return address
        server.check()
        time.sleep(POLL_SECONDS)
    raise ServerUnreachable(
        f"the server did not start within {START_SECONDS:g} s", hint=f"its output is in {server.log}"
    )


def wait_for_address(home: Home, seconds: float) -> ServerAddress | None:
    """The address of the server that starts on this home now, or None after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        for address in home.read_addresses():
            if _alive(address.pid):
                return address
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_SECONDS)


def _alive(pid: int) -> bool:
    """Whether a process of this machine has that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
