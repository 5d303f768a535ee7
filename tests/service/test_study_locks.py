"""Two transactions that lock one study go one after the other."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from hpsearch.records import RunId, StudyId, WorkerId
from hpsearch.store import studies
from hpsearch.store.engine import Transaction

Lock = Callable[[Transaction, StudyId, RunId, WorkerId], Any]
LOCKS: dict[str, Lock] = {
    "by id": lambda tx, study, run, worker: studies.lock(tx, study),
    "by name": lambda tx, study, run, worker: studies.find(tx, "small", lock=True),
    "with its parent": lambda tx, study, run, worker: studies.lock_with_parent(tx, study),
    "of runs": lambda tx, study, run, worker: studies.lock_of_runs(tx, [run]),
    "of a worker": lambda tx, study, run, worker: studies.lock_of_worker(tx, worker),
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_who_locks_a_study_waits_for_who_has_it(fleet: Any, make: Any, lock: Lock) -> None:
    study, worker = fleet.study(make.small()), fleet.worker()
    run = fleet.one(worker).run_id
    order = []

    def come_second() -> None:
        with fleet.db.write() as tx:
            lock(tx, study.id, run, worker.id)
            order.append("second")

    second = threading.Thread(target=come_second)
    with fleet.db.write() as tx:
        lock(tx, study.id, run, worker.id)
        second.start()
        second.join(timeout=0.3)
        order.append("first")
    second.join(timeout=20)
    assert order == ["first", "second"]
