"""Which best snapshots are worth sending to the server."""

import math
import threading

from hpsearch.records import Outcome, StudyId
from hpsearch.wire import Lease

# Storing a small checkpoint durably takes the server 25-55 ms (two fsyncs and a commit, measured on a 2-core
# VM): little beside a trial of this length, three times as long as training one of 15 ms.
LONG_SECONDS = 2.0


class Keeper:
    """Decides for all slots of a worker.

    Kept are snapshots of long trials, of the trials that open the test set, of trials that have run before,
    whose earlier run may have sent one that would stand for the trial, and of each trial that beats all of
    its study that this worker has trained before: the best trial of a study is always among them.
    Of equals the study's best is the one with the lowest number; the same trial again equals itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[StudyId | str, tuple[float, int]] = {}

    def keeps(self, lease: Lease, outcome: Outcome, seconds: float) -> bool:
        """`seconds`: how long the trial took."""
        record = self._is_record(lease, outcome.value)
        again = lease.epoch > 1
        return record or again or seconds >= LONG_SECONDS or lease.assignment.program.test

    def _is_record(self, lease: Lease, value: float | None) -> bool:
        if value is None or not math.isfinite(value):
            return False
        rank = (value * lease.assignment.objective.sign, -lease.number)
        study = lease.study if lease.study_id is None else lease.study_id
        with self._lock:
            record = self._records.get(study)
            if record is not None and rank < record:
                return False
            self._records[study] = rank
            return True
