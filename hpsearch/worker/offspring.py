"""The daemon's side of a child: what it talks to, and how it ended."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.worker.pipe import Channel, ToDaemon


@dataclass(frozen=True)
class Exit:
    """How a child ended. `code` is negative for a signal, None where its fork server vanished with it.

    `suspects`: how many children were at work when the fork server vanished; 0 where this one was not.
    """

    code: int | None
    suspects: int = 0


class Child:
    """A training process: its channel, the file that takes its output, and its end. `busy`: it has a pack."""

    def __init__(self, channel: Channel[ToDaemon], log: Path, send_signal: Callable[[int], None]) -> None:
        self.channel = channel
        self.log = log
        self.pid: int | None = None  # known once it has started
        self.busy = False
        self._send_signal = send_signal
        self._exit: Exit | None = None
        self._ended = threading.Event()

    def signal(self, number: int) -> None:
        """To its whole process group; nothing where it has ended."""
        if not self._ended.is_set():
            self._send_signal(number)

    def exit(self, timeout_seconds: float | None = None) -> Exit | None:
        """How it ended, when neither it nor its group lives any more; None while it still does."""
        self._ended.wait(timeout_seconds)
        return self._exit

    def has_ended(self, exit: Exit) -> None:  # noqa: A002
        """Called by its launcher, once."""
        self._exit = exit
        self._ended.set()
        self.channel.hang_up()


def open_log(path: Path) -> int:
    """Empty, and appended to: it is emptied while children write (`output`), and must not get a hole."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
