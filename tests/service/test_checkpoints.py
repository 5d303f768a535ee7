"""Which checkpoints a run may register, which of them it has then, and which is found."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from hpsearch.errors import LeaseLost, NotFound, Unavailable
from hpsearch.records import FailureReason, RunId, WorkerId
from hpsearch.service import (
    checkpoints,
    studies,
)
from hpsearch.service.checkpoints import Kept, NewCheckpoint
from hpsearch.store.engine import Database


def test_a_checkpoint_is_registered_by_its_own_run_while_that_is_active(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    owner, thief = fleet.worker("owner"), fleet.worker("thief")
    run = fleet.one(owner).run_id

    def register(worker: Any) -> Any:
        new = NewCheckpoint(run, worker.id, "last", 1, 10, "0" * 64, Path("a"))
        return checkpoints.register(fleet.db, new, now=fleet.clock.now)

    assert register(owner).step == 1
    with pytest.raises(LeaseLost, match="not this worker's"):
        register(thief)
    fleet.report(owner.id, run, make.done())
    with pytest.raises(LeaseLost, match="is completed"):
        register(owner)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("name", "steps", "kept", "file"),
    [
        ("last", [20, 10], [20, 20], "0"),  # whose sender gave up waiting and went on
        ("last", [10, 20, 15, 30], [10, 20, 20, 30], "3"),
        ("last", [10, 10], [10, 10], "1"),
        ("best", [20, 10], [20, 10], "1"),  # the best so far may turn out to be an earlier one
    ],
)
def test_a_last_checkpoint_that_comes_after_a_later_one_changes_nothing(
    fleet: Any, make: Any, name: Any, steps: list[int], kept: list[int], file: str, together: bool
) -> None:
    fleet.study(make.small())
    owner = fleet.worker("owner")
    run = fleet.one(owner).run_id
    new = [
        NewCheckpoint(run, owner.id, name, step, 10, f"{place}" * 64, Path(f"{place}"))
        for place, step in enumerate(steps)
    ]
    other = NewCheckpoint(
        run, owner.id, "last" if name == "best" else "best", 99, 10, "f" * 64, Path("other")
    )
    checkpoints.register(fleet.db, other, now=fleet.clock.now)
    batches = [new] if together else [[one] for one in new]
    found = [
        one for batch in batches for one in checkpoints.register_all(fleet.db, batch, now=fleet.clock.now)
    ]
    assert [step_of(one) for one in found] == kept
    assert [one.late for one in found] == [one != own for one, own in zip(kept, steps, strict=True)]
    checkpoint, path = checkpoints.find(fleet.db, fleet.trials("small")[0].id, name)
    assert (checkpoint.step, checkpoint.sha256, path) == (kept[-1], file * 64, Path(file))


def test_a_checkpoint_whose_file_was_replaced_meanwhile_is_to_be_sent_again_unless_a_later_one_came(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small())
    owner = fleet.worker("owner")
    run = fleet.one(owner).run_id
    new = [
        NewCheckpoint(run, owner.id, "last", step, 10, "0" * 64, Path(f"{step}")) for step in (10, 20, 5, 30)
    ]
    gone = {Path("20"), Path("5")}
    found = checkpoints.register_all(fleet.db, new, now=fleet.clock.now, gone=gone)
    assert [step_of(one) for one in found] == [10, Unavailable, 10, 30]
    assert checkpoints.find(fleet.db, fleet.trials("small")[0].id, "last")[1] == Path("30")


def step_of(answer: Any) -> Any:
    return answer.checkpoint.step if isinstance(answer, Kept) else type(answer)


def test_checkpoints_that_come_together_are_each_judged_alone(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    owner, thief = fleet.worker("owner"), fleet.worker("thief")
    run = fleet.one(owner).run_id
    new = [
        NewCheckpoint(run, owner.id, "last", 1, 10, "0" * 64, Path("a")),
        NewCheckpoint(run, thief.id, "last", 2, 10, "0" * 64, Path("b")),
        NewCheckpoint(RunId(999), owner.id, "last", 3, 10, "0" * 64, Path("c")),
        NewCheckpoint(run, owner.id, "last", 4, 10, "0" * 64, Path("d")),
    ]
    found = checkpoints.register_all(fleet.db, new, now=fleet.clock.now)
    assert [step_of(one) for one in found] == [1, LeaseLost, LeaseLost, 4]
    kept, path = checkpoints.find(fleet.db, fleet.trials("small")[0].id, "last")
    assert (kept.step, path) == (4, Path("d"))
    assert [event.kind for event in studies.events(fleet.db, "small", after=0, limit=100)][
        -1
    ] == "write_refused"


def test_who_does_not_hold_a_run_is_told_so_before_a_file_is_taken(fleet: Any, make: Any) -> None:
    study = fleet.study(make.grid())
    owner, thief = fleet.worker("owner"), fleet.worker("thief")
    run = fleet.one(owner).run_id
    assert checkpoints.study_of_holder(fleet.db, run, owner.id, now=fleet.clock.now) == study.id
    for run_id, worker in ((run, thief), (RunId(999), owner)):
        with pytest.raises(LeaseLost):
            checkpoints.study_of_holder(fleet.db, run_id, worker.id, now=fleet.clock.now)
    fleet.report(owner.id, run, make.done())
    with pytest.raises(LeaseLost, match="is completed"):
        checkpoints.study_of_holder(fleet.db, run, owner.id, now=fleet.clock.now)


def test_what_a_silent_database_may_have_registered_is_taken_for_registered(
    fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: Database) -> NoReturn:
        raise Unavailable("no answer")

    monkeypatch.setattr(Database, "write", silent)
    new = NewCheckpoint(RunId(1), WorkerId(1), "last", 1, 10, "0" * 64, Path("a"))
    assert checkpoints.may_be_registered(fleet.db, new)


def test_of_a_trials_checkpoints_the_newest_whole_one_is_found(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    worker = fleet.worker()
    for step in (1, 2):
        lease = fleet.one(worker)
        new = NewCheckpoint(lease.run_id, worker.id, "last", step, 10, "0" * 64, Path(f"step-{step}"))
        checkpoints.register(fleet.db, new, now=fleet.clock.now)
        fleet.report(worker.id, lease.run_id, make.failed(FailureReason.CRASHED))
    found, path = checkpoints.find(fleet.db, lease.trial_id, "last")
    assert (found.step, path) == (2, Path("step-2"))
    found, path = checkpoints.find(fleet.db, lease.trial_id, "last", lambda one, path: one.step < 2)
    assert (found.step, path) == (1, Path("step-1"))
    with pytest.raises(NotFound, match="no 'last' checkpoint that is whole"):
        checkpoints.find(fleet.db, lease.trial_id, "last", lambda one, path: False)
