"""A trial's diagnosis by probes: begun once, looked up, and passive where no probe could prove anything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import (
    Outcome,
    StageKind,
    Trial,
    TrialId,
    TrialState,
)
from hpsearch.service import checkpoints, diagnoses, studies
from hpsearch.service.checkpoints import NewCheckpoint
from hpsearch.vocabulary import VerdictCode
from hpsearch.wire import Lease
from tests.recipe.world import Law, check_outcome, plan_of, quadratic, rising
from tests.service.slow_trial import EPOCHS, ask, digits, slow_grid, told, trained


def test_probes_prove_what_is_wrong_with_a_trial_and_leave_its_study_as_it_was(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    before = told(fleet, "slow")
    first = ask(fleet, trial)
    assert (first.state, first.passive, first.open_probes) == ("running", True, 1)
    assert first.note.startswith("unproven so far, 1 probe under way")
    probes = fleet.train_all(fleet.worker(), digits)
    found = diagnoses.look(fleet.db, trial.id)
    assert (found.state, found.verdict, found.passive) == ("ended", VerdictCode.LR_TOO_LOW, False)
    assert found.probe is not None
    assert found.probe["after"] > 0.6 > found.probe["before"]
    assert found.remedy is not None
    assert found.remedy.changes["learning_rate"] >= 0.01
    assert told(fleet, "slow") == before
    assert studies.page(fleet.db).total == 1
    spent = sum(lease.assignment.budget.epochs for lease in probes if lease.assignment.budget)
    assert 0 < spent <= EPOCHS
    assert found.cost == {"probe_steps": 17 * spent}
    assert diagnoses.of_study(fleet.db, "slow").diagnoses == (found,)
    examination = studies.get(fleet.db, "diagnosis:1")
    assert (examination.state, examination.examines, examination.best_value) == ("completed", trial.id, None)
    assert studies.best(fleet.db, "diagnosis:1", 9).best == ()


def test_a_trial_is_examined_once(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    assert ask(fleet, trial) == ask(fleet, trial)
    probes = fleet.train_all(fleet.worker(), digits)
    found = ask(fleet, trial)
    assert found.verdict is VerdictCode.LR_TOO_LOW
    assert fleet.lease(fleet.worker()) == ()
    assert len(fleet.trials("diagnosis:1")) == len(probes)


def test_looking_begins_nothing(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    found = diagnoses.look(fleet.db, trial.id)
    assert (found.state, found.passive, found.provable, found.examination) == ("ended", True, True, None)
    assert fleet.lease(fleet.worker()) == ()


@pytest.mark.parametrize("kept", [True, False])
def test_a_longer_probe_goes_on_from_the_trial_s_checkpoint_where_it_was_kept(
    fleet: Any, make: Any, kept: bool
) -> None:
    def still_rising(lease: Lease) -> Outcome:
        if lease.assignment.program.kind == "check":
            return check_outcome()
        budget = lease.assignment.budget
        assert budget is not None
        assert budget.epochs is not None
        return rising(0.05 * budget.epochs, budget.epochs)

    fleet.study(slow_grid(make))
    worker = fleet.worker()
    lease = fleet.one(worker)
    if kept:
        new = NewCheckpoint(lease.run_id, worker.id, "last", 204, 9, "a" * 64, Path("last"))
        checkpoints.register(fleet.db, new, now=fleet.clock.now)
    fleet.report(worker.id, lease.run_id, still_rising(lease))
    ask(fleet, fleet.trials("slow")[0])
    fleet.train_all(worker, still_rising)
    probes = fleet.trials("diagnosis:1")
    repeats = [trial.id for trial in probes if trial.role == "repeat"]
    assert len(repeats) == (0 if kept else 1)
    longer = {t.continues for t in probes if t.budget and t.budget.epochs and t.budget.epochs > EPOCHS}
    assert longer == ({lease.trial_id} if kept else set(repeats))


def test_probes_are_not_probed(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    ask(fleet, trial)
    fleet.train_all(fleet.worker(), digits)
    probe = fleet.trials("diagnosis:1")[-1]
    assert not diagnoses.look(fleet.db, probe.id).provable
    with pytest.raises(Conflict, match="is a probe of trial 1"):
        ask(fleet, probe)


def test_a_trial_without_measurements_is_judged_passively_and_says_so(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    fleet.train_all(fleet.worker(), lambda lease: make.done(0.5))
    found = ask(fleet, fleet.trials("small")[0])
    assert (found.state, found.passive, found.provable) == ("ended", True, False)
    assert "no probe was trained: the trial has no measurements" in found.note


def test_a_command_s_trial_is_judged_passively_and_says_so(fleet: Any, make: Any) -> None:
    task = {"kind": "command", "argv": ["python", "train.py"]}
    fleet.study(make.small(task=task))
    fleet.train_all(fleet.worker(labels=("commands",)), lambda lease: make.done(0.5))
    assert "a command can't be measured from inside" in ask(fleet, fleet.trials("small")[0]).note


def measured(law: Law) -> Callable[[Lease], Outcome]:
    """The law's outcomes, with what a worker measures of each run."""

    def outcome(lease: Lease) -> Outcome:
        found = law(plan_of(lease))
        return found.model_copy(update={"measurements": {**found.measurements, "steps_per_epoch": 17.0}})

    return outcome


def recipe_spec(make: Any) -> Any:
    space = {"learning_rate": {"low": 1e-6, "high": 10, "log": True}, "weight_decay": [0, 1e-5, 1e-4]}
    fixed = {"optimizer": "sgd", "momentum": 0.9}
    recipe = {"rounds": 1}
    return make.grid("recipe", method="recipe", space=space, grid={}, fixed=fixed, recipe=recipe)


def test_the_recipe_s_own_verdict_on_a_run_is_the_answer(fleet: Any, make: Any) -> None:
    fleet.study(recipe_spec(make))
    fleet.train_all(fleet.worker(), measured(quadratic()))
    (stage,) = (s for s in studies.stages(fleet.db, "recipe").stages if s.kind is StageKind.CURVES)
    assert stage.verdict is not None
    known = [(trial, diagnoses.look(fleet.db, trial.id)) for trial in completed_runs(fleet)]
    ((run, found),) = [(trial, found) for trial, found in known if not found.passive]
    assert (found.text, found.examination) == (stage.verdict.text, None)
    assert ask(fleet, run) == found
    assert fleet.lease(fleet.worker()) == ()


def test_a_recipe_s_check_serves_the_examination_of_another_of_its_runs(fleet: Any, make: Any) -> None:
    fleet.study(recipe_spec(make))
    fleet.train_all(fleet.worker(), measured(quadratic()))
    before = told(fleet, "recipe")
    coarse = next(t for t in completed_runs(fleet) if t.stage_id == before[2].stages[3].id)
    found = ask(fleet, coarse)
    assert found.examination == f"diagnosis:{coarse.id}"
    probes = fleet.trials(found.examination)
    assert all(probe.program.kind == "train" for probe in probes)
    assert told(fleet, "recipe") == before


def completed_runs(fleet: Any) -> list[Trial]:
    shown: list[Trial] = fleet.trials("recipe")
    return [t for t in shown if t.program.kind == "train" and t.state is TrialState.COMPLETED and t.value]


def test_an_open_or_unknown_trial_is_refused(fleet: Any, make: Any) -> None:
    fleet.study(slow_grid(make))
    with pytest.raises(Conflict, match="is waiting; it can be judged once it has ended"):
        ask(fleet, fleet.trials("slow")[0])
    with pytest.raises(NotFound):
        diagnoses.look(fleet.db, TrialId(99))
