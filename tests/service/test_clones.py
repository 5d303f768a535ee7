"""A trial's point trained again on other seeds."""

from typing import Any

import pytest

from hpsearch.errors import Conflict, StudyExists
from hpsearch.records import Budget, Program, TrialState
from hpsearch.service import clones, lookup, studies, trials
from hpsearch.wire import Clone
from tests.recipe.world import plan_of, quadratic, spec


def cloned(fleet: Any, trial: Any, **changes: Any) -> tuple[Any, bool]:
    return clones.clone(fleet.db, trial.id, Clone(**changes), now=fleet.clock.now)


def test_a_clone_is_the_same_point_on_other_seeds_in_a_study_of_its_own(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(fixed={"epochs": 4, "optimizer": "adam"}, seed=7, budget={"trials": 5}))
    original = fleet.trials("grid")[3]
    made, new = cloned(fleet, original)
    assert (made.name, new, made.method) == ("grid-trial-3", True, "grid")
    again = fleet.trials("grid-trial-3")
    assert [trial.params for trial in again] == [original.params] * 3
    assert [trial.replicate for trial in again] == [0, 1, 2]
    assert {trial.budget for trial in again} == {original.budget}
    assert made.spec["fixed"]["optimizer"] == "adam"
    assert made.spec["seed"] != 7
    assert made.spec["budget"]["trials"] is None
    assert "trial 3 of grid again" in made.spec["description"]


def test_nothing_of_the_trials_own_study_changes(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"trials": 2}))
    before = studies.get(fleet.db, "grid"), fleet.trials("grid")
    cloned(fleet, fleet.trials("grid")[0])
    assert (studies.get(fleet.db, "grid"), fleet.trials("grid")) == before
    worker = fleet.worker()
    fleet.train_all(worker, lambda _: make.done())
    counts = studies.get(fleet.db, "grid").trial_counts
    assert (counts[TrialState.COMPLETED], counts[TrialState.CANCELLED]) == (2, 10)
    assert studies.get(fleet.db, "grid-trial-0").trial_counts[TrialState.COMPLETED] == 3


def test_the_same_request_is_the_same_study_and_another_needs_another_name(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    trial = fleet.trials("small")[0]
    first, _ = cloned(fleet, trial)
    again, new = cloned(fleet, trial)
    assert (again.id, new) == (first.id, False)
    with pytest.raises(StudyExists):
        cloned(fleet, trial, replicates=5)
    more, new = cloned(fleet, trial, replicates=5, name="five")
    assert (new, more.trial_counts[TrialState.WAITING]) == (True, 5)


def test_a_clone_of_a_long_name_still_has_one(fleet: Any, make: Any) -> None:
    fleet.study(make.small("x" * 100))
    made, _ = cloned(fleet, fleet.trials("x" * 100)[1])
    assert made.name == "x" * 80 + "-trial-1"


def test_a_recipe_goes_its_way_while_its_trials_are_cloned(fleet: Any) -> None:
    law, worker = quadratic(best_rate=0.03), fleet.worker()
    fleet.study(spec(name="alone"))
    fleet.train_all(worker, lambda lease: law(plan_of(lease)))
    recipe = fleet.study(spec(name="recipe"))
    names = []
    while pack := fleet.lease(worker):
        for lease in pack:
            fleet.report(worker.id, lease.run_id, law(plan_of(lease)))
            trial = trials.get(fleet.db, lease.trial_id)
            if trial.study_id == recipe.id and clones.why_not(recipe, trial) is None and len(names) < 5:
                names.append(cloned(fleet, trial)[0].name)
    assert len(names) == 5
    assert studies.get(fleet.db, "recipe").state == "completed"
    alone, beside = ([trial.digest for trial in fleet.trials(name)] for name in ("alone", "recipe"))
    assert alone == beside
    assert {studies.get(fleet.db, name).state for name in names} == {"completed"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"program": Program(kind="check"), "budget": None}, "all the data"),
        ({"program": Program(kind="train", subset_batches=5)}, "all the data"),
        ({"budget": Budget(steps=100)}, "whole epochs"),
        ({"budget": Budget(epochs=1.5)}, "whole epochs"),
    ],
)
def test_what_no_plain_study_can_repeat_is_refused(
    changes: dict[str, Any], why: str, fleet: Any, make: Any
) -> None:
    study = fleet.study(make.small())
    trial = fleet.trials("small")[0]
    assert clones.why_not(study, trial) is None
    assert why in str(clones.why_not(study, trial.model_copy(update=changes)))


def test_a_probe_is_not_cloned(fleet: Any, make: Any) -> None:
    study = fleet.study(make.small())
    trial = fleet.trials("small")[0]
    probing = study.model_copy(update={"examines": trial.id})
    assert "probe" in str(clones.why_not(probing, trial))


def test_overrides_and_budget_of_the_trial_win(fleet: Any, make: Any) -> None:
    fleet.study(make.small(fixed={"epochs": 4, "weight_decay": 0.1}))
    trial = fleet.trials("small")[0]
    changed = trial.model_copy(
        update={
            "program": Program(kind="train", overrides={"weight_decay": 0.0, "learning_rate": 0.5}),
            "budget": Budget(epochs=9),
        }
    )
    with fleet.db.read() as tx:
        own = lookup.study(tx, "small").spec
    raw = clones._spec(own, "small", changed, Clone())
    assert raw["space"] == {"learning_rate": [0.5]}
    assert raw["fixed"] == {"epochs": 9, "weight_decay": 0.0}


def test_a_refusal_says_which_and_why(fleet: Any, make: Any) -> None:
    fleet.study(make.grid("recipe", method="recipe", grid={}))
    with pytest.raises(Conflict, match="trial 0 of 'recipe' can't be cloned: only what trains"):
        cloned(fleet, fleet.trials("recipe")[0])
