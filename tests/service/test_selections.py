"""Something is done to several trials at once, and one sentence says how it went."""

from typing import Any

import pytest

from hpsearch.errors import InvalidInput, NotFound
from hpsearch.records import TrialState
from hpsearch.service import selections, studies
from hpsearch.service.selections import ActionResult


def act(fleet: Any, key: str, action: Any, numbers: list[int]) -> ActionResult:
    ids = [fleet.trials(key)[number].id for number in numbers]
    return selections.act(fleet.db, key, action, ids, now=fleet.clock.now)


def test_what_can_be_stopped_is_and_the_others_are_told_by_their_state(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    for _ in range(2):
        fleet.report(worker.id, fleet.one(worker).run_id, make.done())
    running = fleet.one(worker)
    deed = act(fleet, "grid", "stop", [0, 1, 2, 3, 4])
    assert deed.text == "Stopping 3 of 5 trials; trials 0 and 1 are completed."
    assert [fleet.trials("grid")[i].id for i in (0, 1)] == list(deed.refused)
    assert fleet.states("grid")[:5] == ["completed", "completed", "running", "cancelled", "cancelled"]
    fleet.report(worker.id, running.run_id, make.failed("crashed"))
    assert fleet.states("grid")[2] == "cancelled"  # its worker was told


def test_all_of_one_and_none(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    assert act(fleet, "small", "retry", [0]).text == "Retrying none of 1 trial; trial 0 is waiting."
    assert act(fleet, "small", "stop", [0]) == ActionResult(text="Stopping 1 trial.", refused=())
    assert act(fleet, "small", "retry", [0]).text == "Retrying 1 trial."
    assert fleet.states("small") == [TrialState.WAITING] * 2


def test_a_refusal_of_the_service_stands_for_those_it_concerns(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    act(fleet, "grid", "stop", [0, 1])
    studies.stop(fleet.db, "grid", now=fleet.clock.now)
    deed = act(fleet, "grid", "retry", [0, 1])
    assert deed.text.startswith("Retrying none of 2 trials; trials 0 and 1: study 'grid' is stopped, and its")
    assert len(deed.refused) == 2


def test_clones_are_named_and_what_can_not_be_repeated_is_left(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    assert act(fleet, "small", "clone", [0, 1]).studies == ("small-trial-0", "small-trial-1")
    fleet.study(make.grid("recipe", method="recipe", grid={}))
    deed = act(fleet, "recipe", "clone", [0])
    assert deed.text == "Cloning none of 1 trial; trial 0: only what trains on all the data can be repeated."
    assert deed.studies == ()


def test_many_are_not_all_named(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    text = act(fleet, "grid", "retry", list(range(12))).text
    assert text == "Retrying none of 12 trials; trials 0, 1, 2, 3, 4, 5 and 6 more are waiting."


def test_only_the_studys_own_trials_and_no_more_than_make_sense(fleet: Any, make: Any) -> None:
    fleet.study(make.small("first"))
    fleet.study(make.small("second"))
    other = fleet.trials("second")[0]
    with pytest.raises(NotFound, match=f"no trial {other.id}"):
        selections.act(
            fleet.db, "first", "stop", [fleet.trials("first")[0].id, other.id], now=fleet.clock.now
        )
    assert fleet.states("first") == ["waiting", "waiting"]  # nothing is done by halves
    fleet.study(make.small("long", points=13))
    with pytest.raises(InvalidInput, match="clone at most 12 at once"):
        act(fleet, "long", "clone", list(range(13)))
