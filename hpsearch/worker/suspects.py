"""Trials that may have taken the fork server down with them."""

import threading
from collections.abc import Iterable

from hpsearch.records import TrialId
from hpsearch.wire import Lease


class Suspects:
    """Known to all slots of a worker. When the fork server vanishes, any trial then in training may be why.

    A suspect trains next time apart, with a fork server of its own: if that vanishes too, it was the trial's
    doing, and no other trial is charged.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trials: set[TrialId] = set()

    def add(self, trial_id: TrialId) -> None:
        with self._lock:
            self._trials.add(trial_id)

    def clear(self, trial_id: TrialId) -> None:
        """The trial has ended by itself."""
        with self._lock:
            self._trials.discard(trial_id)

    def any_of(self, leases: Iterable[Lease]) -> bool:
        with self._lock:
            return any(lease.trial_id in self._trials for lease in leases)
