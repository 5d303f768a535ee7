"""Tells the curves as they grow, neither too often nor too much at once."""

import time
from collections.abc import Callable

from hpsearch.records import Series
from hpsearch.training.history import History

REPORT_SECONDS = 1.0
REPORT_POINTS = 5_000  # told at once when so many have gathered


class Reporter:
    """Passes the untold part of a history on."""

    def __init__(self, history: History, report: Callable[[Series], None]) -> None:
        self._history = history
        self._report = report
        self._told_at = time.monotonic()

    def tell_when_due(self) -> None:
        waited = time.monotonic() - self._told_at
        if waited >= REPORT_SECONDS or self._history.untold_count() >= REPORT_POINTS:
            self.tell()

    def tell(self) -> None:
        series = self._history.untold()
        if series:
            self._report(series)
        self._told_at = time.monotonic()
