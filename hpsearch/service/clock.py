"""The server's clock: what the database's clock said last, and the machine's steady clock since then.

Servers of one Postgres agree on the time however their machines' clocks differ, and a clock that is set while a
server runs is seen where the reaper reads it and nowhere else: the reaper gives live leases a new term then.
"""

import platform
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SteadyClock:
    """Call it for the time. `wall`: the clock that is followed; `monotonic`: seconds that never jump."""

    def __init__(self, wall: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._anchor = (wall(), monotonic())

    def __call__(self) -> datetime:
        with self._lock:
            said, at = self._anchor
        return said + timedelta(seconds=self._monotonic() - at)

    def read(self) -> None:
        """Follow the wall clock again from what it says now."""
        anchor = (self._wall(), self._monotonic())
        with self._lock:
            self._anchor = anchor


def steady_clock_name() -> str:
    """Names the steady clock that this process reads: what two of one name read can be compared.

    The host's name alone would not do: machines share one, and the clock begins again with each start of a machine.
    """
    try:
        start = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:  # no Linux: the network card's address, or else a number of this process's own
        start = f"{uuid.getnode():x}"
    return f"{platform.node()} {start}"
