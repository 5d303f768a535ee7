"""For a script that is run as a command: report its metrics, and learn when to stop. Standard library only.

import hpsearch

for step in range(steps):
    ...
    hpsearch.report(step, val_loss=loss)
    if hpsearch.should_stop():
        break
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import SupportsFloat

REPORTS = "HPSEARCH_REPORTS"  # where a worker reads reports; without it they are printed
STOP = "HPSEARCH_STOP"  # a file that is there once the trial is to end


def report(step: int | None = None, /, **metrics: SupportsFloat) -> None:
    """Metrics after `step` steps; without a step, the reports are counted. NaN and infinities may be said.

    Anything that `float` takes will do, a tensor of one element included. Raises ValueError without metrics.
    """
    if not metrics:
        raise ValueError("report needs at least one metric, such as report(10, val_loss=0.3)")
    body = {} if step is None else {"step": int(step)}
    line = json.dumps({**body, **{name: float(value) for name, value in metrics.items()}})
    path = os.environ.get(REPORTS)
    if path is None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    # One write: lines of several processes do not mix (PIPE_BUF, pipe(7)).
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


class StopSignal:
    """Remembers SIGTERM from the first question on; a script that never asks is ended by it."""

    def __init__(self) -> None:
        self._asked = False
        self._told = False

    def __call__(self) -> bool:
        """Whether the trial is to end now: save what is needed to go on, and exit."""
        if not self._asked:
            self._asked = True
            self._listen()
        path = os.environ.get(STOP)
        return self._told or (path is not None and Path(path).exists())

    def _listen(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        if STOP in os.environ and main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._told = True


should_stop: Callable[[], bool] = StopSignal()
