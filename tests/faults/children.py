"""Processes of a fork server that do not outlive the one that asked for them, even where that one is killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess


class ForkServer:
    """A restart takes milliseconds, not a second of imports: the fork server has `preloaded` modules at once."""

    def __init__(self, preloaded: Sequence[str]) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preloaded))

    def start(self, target: Callable[..., None], *arguments: object) -> BaseProcess:
        process = self._context.Process(target=_bound, args=(target, *arguments), daemon=True)
        process.start()
        return process


def _bound(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=_die_with_parent, name="lifeline", daemon=True).start()
    target(*arguments)


def _die_with_parent() -> None:
    """PDEATHSIG would not do: the parent that the kernel knows is the fork server, which lives as long as any child."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
