"""The time left of real studies, with workers led by hand."""

from typing import Any

import pytest

from hpsearch.eta import ELSEWHERE, NO_WORKER, PAUSED, Eta
from hpsearch.records import Outcome
from hpsearch.service import etas, studies, workers
from tests.recipe.world import plan_of, threshold


def eta(fleet: Any, key: str) -> Eta:
    return etas.of_study(fleet.db, key, now=fleet.clock.now)


def trains(fleet: Any, worker: Any, outcome: Any, seconds: float) -> None:
    lease = fleet.one(worker)
    fleet.clock.advance(seconds)
    assert fleet.report(worker.id, lease.run_id, outcome).status == "ok"


def steps(state: str, count: int) -> Outcome:
    value = 0.5 if state == "completed" else None
    return Outcome(state=state, value=value, steps=count, measurements={"steps_per_epoch": 10.0})  # type: ignore[arg-type]


def test_a_grid_ends_when_its_points_are_trained(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}))
    worker = fleet.worker()
    assert eta(fleet, "grid") == Eta()  # nothing has ended yet
    trains(fleet, worker, steps("completed", 40), 20)
    assert eta(fleet, "grid") == Eta(seconds=11 * 20, whole=True)
    fleet.one(worker)
    fleet.clock.advance(5)
    assert eta(fleet, "grid").seconds == 11 * 20 - 5


def test_a_trial_that_diverges_at_once_does_not_shorten_the_others(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}))
    worker = fleet.worker()
    trains(fleet, worker, steps("completed", 40), 20)
    trains(fleet, worker, steps("diverged", 2), 1)
    assert eta(fleet, "grid").seconds == pytest.approx(10 * 20)


def test_one_that_says_nothing_of_its_steps_counts_only_where_it_came_to_its_end(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}))
    worker = fleet.worker()
    trains(fleet, worker, Outcome(state="diverged"), 1)
    assert eta(fleet, "grid") == Eta()
    trains(fleet, worker, make.done(), 8)
    assert eta(fleet, "grid").seconds == 10 * 8


def test_packs_count_as_what_they_held_trial_by_trial(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}))
    worker, short = fleet.worker(), make.done(seconds=0.4)  # and a tenth of a second beside
    trains(fleet, worker, short, 2.5)  # with the start
    pack = fleet.lease(worker, most=3)
    assert len(pack) == 3
    for lease in pack:  # one after another, leased at once
        fleet.clock.advance(0.5)
        fleet.report(worker.id, lease.run_id, short)
    assert eta(fleet, "grid").seconds == pytest.approx(8 * 0.5)
    first, *_ = fleet.lease(worker, most=3)
    fleet.clock.advance(0.5)
    fleet.report(worker.id, first.run_id, short)
    fleet.clock.advance(0.2)  # of the pack's second
    assert eta(fleet, "grid").seconds == pytest.approx(7 * 0.5 - 0.2)


def test_slots_of_workers_that_may_take_it_share_it(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}, resources={"labels": ["big"]}))
    worker = fleet.worker("labelled", slots=2, labels=("big",))
    fleet.worker("other", slots=8)
    trains(fleet, worker, steps("completed", 40), 20)
    assert eta(fleet, "grid").seconds == 6 * 20  # eleven trials over two slots


def test_without_a_worker_or_while_paused_there_is_a_reason_and_no_figure(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    assert eta(fleet, "grid").reason == NO_WORKER
    worker = fleet.worker()
    trains(fleet, worker, make.done(), 8)
    studies.pause(fleet.db, "grid", now=fleet.clock.now)
    assert eta(fleet, "grid").reason == PAUSED
    studies.resume(fleet.db, "grid", now=fleet.clock.now)
    assert eta(fleet, "grid").seconds
    workers.drain(fleet.db, worker.name, now=fleet.clock.now)
    assert eta(fleet, "grid").reason == NO_WORKER


@pytest.mark.parametrize(
    ("resources", "lacking"),
    [
        ({"labels": ["big", "near"]}, f"{NO_WORKER} labelled big, near"),
        ({"gpus": 1}, f"{NO_WORKER} with a GPU"),
    ],
)
def test_what_the_workers_that_are_there_lack_is_the_reason(
    fleet: Any, make: Any, resources: Any, lacking: str
) -> None:
    fleet.study(make.grid(resources=resources))
    assert eta(fleet, "grid").reason == NO_WORKER
    fleet.worker()
    assert eta(fleet, "grid").reason == lacking


def test_what_a_studys_own_code_needs_is_the_reason(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(task={"kind": "file", "file": "task.py", "sha256": "0" * 64, "class_name": "Task"}))
    fleet.worker()
    assert eta(fleet, "grid").reason == f"{NO_WORKER} started with --tasks FOLDER"


def test_a_worker_that_is_gone_takes_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    trains(fleet, fleet.worker(), make.done(), 8)
    fleet.clock.advance(91)
    assert eta(fleet, "grid").reason == NO_WORKER


def test_workers_may_be_busy_with_other_studies(fleet: Any, make: Any) -> None:
    fleet.study(make.small("first"))
    worker = fleet.worker()
    fleet.one(worker)
    fleet.study(make.small("second"))
    assert eta(fleet, "second").reason == ELSEWHERE


def test_a_budget_of_trials_bounds_what_is_counted(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4}, budget={"trials": 3}))
    trains(fleet, fleet.worker(), make.done(), 8)
    assert eta(fleet, "grid").seconds == 2 * 8


def test_a_budget_of_minutes_or_device_hours_ends_it_sooner(fleet: Any, make: Any) -> None:
    fleet.study(make.grid("minutes", fixed={"epochs": 4}, budget={"minutes": 1}))
    worker = fleet.worker()
    trains(fleet, worker, make.done(), 20)
    assert eta(fleet, "minutes") == Eta(seconds=40, whole=True)
    studies.cancel(fleet.db, "minutes", now=fleet.clock.now)
    fleet.study(make.grid("hours", fixed={"epochs": 4}, budget={"device_hours": 0.05}))
    trains(fleet, worker, make.done(), 20)
    assert eta(fleet, "hours").seconds == pytest.approx(180 - 20)


def test_a_recipe_speaks_of_what_its_stage_has_planned(fleet: Any, make: Any) -> None:
    fleet.study(make.grid("recipe", method="recipe", grid={}))
    worker, law = fleet.worker(), threshold(0.01)
    told = []
    for _ in range(12):
        lease = fleet.one(worker)
        fleet.clock.advance(10)
        fleet.report(worker.id, lease.run_id, law(plan_of(lease)))
        told.append(eta(fleet, "recipe"))
    assert studies.get(fleet.db, "recipe").state == "running"
    assert told[0] == Eta()  # after the check nothing is known of training
    known = [one for one in told if one.seconds is not None]
    assert len(known) > 5
    assert not any(one.whole or one.reason for one in known)


def test_of_many_studies_those_under_way_are_told(fleet: Any, make: Any) -> None:
    worker = fleet.worker()
    fleet.study(make.small("ended"))
    fleet.train_all(worker, lambda _: make.done())
    open_ = fleet.study(make.small("open"))
    shown = studies.page(fleet.db).studies
    trains(fleet, worker, make.done(), 8)
    assert etas.of_studies(fleet.db, shown, now=fleet.clock.now) == {open_.id: Eta(seconds=8, whole=True)}


def test_a_longer_trial_that_continues_a_shorter_one_costs_the_difference(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=2, fixed={"epochs": 4}))
    first, second = fleet.trials("small")
    longer = second.model_copy(
        update={"budget": first.budget.model_copy(update={"epochs": 10.0}), "continues": first.id}
    )
    with fleet.db.read() as tx:
        assert etas._works(tx, [longer])[longer.id].units == 6
