"""An examination beside its study: whose budget it counts on, what it follows, how it ends."""

import threading
from typing import Any

import pytest

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import (
    FailureReason,
    Outcome,
    StudyState,
    TrialState,
)
from hpsearch.service import diagnoses, retention, studies
from hpsearch.store import studies as study_rows
from hpsearch.vocabulary import VerdictCode
from hpsearch.wire import Lease
from tests.service.slow_trial import ask, digits, slow_grid, trained


def test_a_study_goes_on_and_ends_while_a_trial_of_it_is_examined(fleet: Any, make: Any) -> None:
    fleet.study(slow_grid(make))
    worker = fleet.worker()
    first, second = fleet.one(worker), fleet.one(worker)
    fleet.report(worker.id, first.run_id, digits(first))
    ask(fleet, fleet.trials("slow")[0])
    assert fleet.one(worker).study == "diagnosis:1"
    fleet.report(worker.id, second.run_id, digits(second))
    study = studies.get(fleet.db, "slow")
    assert (study.state, study.trial_counts[TrialState.COMPLETED]) == (StudyState.COMPLETED, 2)
    assert diagnoses.look(fleet.db, first.trial_id).state == "running"


def test_a_random_study_s_points_are_no_budget_of_probes(fleet: Any, make: Any) -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 9e-3, "log": True}}
    trial = trained(fleet, slow_grid(make, method="random", space=space, budget={"trials": 3}))
    ask(fleet, trial)
    fleet.train_all(fleet.worker(), digits)
    assert diagnoses.look(fleet.db, trial.id).verdict is VerdictCode.LR_TOO_LOW


def test_probes_count_on_their_study_s_budget_and_end_with_it(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make, budget={"trials": 4}))
    ask(fleet, trial)
    assert len(fleet.train_all(fleet.worker(), digits)) == 2
    found = diagnoses.look(fleet.db, trial.id)
    assert (found.state, found.passive) == ("ended", True)
    assert "its probes came to no end: its budget of 4 trials is used up" in found.note
    with pytest.raises(
        Conflict, match="can't train probes of trial 2: its budget of 4 trials is used up"
    ) as refused:
        ask(fleet, fleet.trials("slow")[1])
    assert "--no-probes" in str(refused.value.hint)


def test_device_time_of_probes_counts_on_their_study(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make, budget={"device_hours": 1}))
    ask(fleet, trial)
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.clock.advance(3_601)
    fleet.report(worker.id, lease.run_id, digits(lease))
    assert "its budget of 1 device hours is used up" in diagnoses.look(fleet.db, trial.id).note
    with pytest.raises(Conflict, match="device hours is used up"):
        ask(fleet, fleet.trials("slow")[1])


@pytest.mark.parametrize(
    ("move", "words"), [(studies.cancel, "is cancelled"), (studies.pause, "is paused: no probe would be")]
)
def test_a_study_that_trains_nothing_is_not_probed(fleet: Any, make: Any, move: Any, words: str) -> None:
    fleet.study(slow_grid(make))
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.report(worker.id, lease.run_id, digits(lease))
    move(fleet.db, "slow", now=fleet.clock.now)
    with pytest.raises(Conflict, match=words):
        ask(fleet, fleet.trials("slow")[0])
    assert diagnoses.look(fleet.db, lease.trial_id).passive


def test_an_examination_follows_its_study(fleet: Any, make: Any) -> None:
    fleet.study(slow_grid(make))
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.report(worker.id, lease.run_id, digits(lease))
    ask(fleet, fleet.trials("slow")[0])
    seen = []
    for move in (studies.pause, studies.resume, studies.stop, studies.resume, studies.cancel):
        move(fleet.db, "slow", now=fleet.clock.now)
        seen.append(str(studies.get(fleet.db, "diagnosis:1").state))
    assert seen == ["paused", "running", "stopped", "running", "cancelled"]
    assert fleet.lease(worker) == ()


def test_a_study_is_deleted_with_its_examinations(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    ask(fleet, trial)
    with pytest.raises(Conflict, match="'diagnosis:1' is running") as refused:
        studies.delete(fleet.db, "slow")
    assert "hpsearch study cancel diagnosis:1" in str(refused.value.hint)
    fleet.train_all(fleet.worker(), digits)
    studies.delete(fleet.db, "slow")
    assert len(retention.leftovers(fleet.db)) == 2
    with pytest.raises(NotFound):
        studies.get(fleet.db, "diagnosis:1")


def test_an_examination_that_was_cancelled_begins_anew(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    ask(fleet, trial)
    studies.cancel(fleet.db, "diagnosis:1", now=fleet.clock.now)
    found = diagnoses.look(fleet.db, trial.id)
    assert (found.state, found.provable) == ("ended", True)
    assert "its probes came to no end: cancelled by the user" in found.note
    old = studies.get(fleet.db, "diagnosis:1").id
    ask(fleet, trial)
    assert list(retention.leftovers(fleet.db)) == [old]  # the probes may have left files
    fleet.train_all(fleet.worker(), digits)
    assert diagnoses.look(fleet.db, trial.id).verdict is VerdictCode.LR_TOO_LOW


def test_a_check_that_fails_ends_the_examination_with_its_reason(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    ask(fleet, trial)
    fleet.train_all(fleet.worker(), lambda _: make.failed(FailureReason.OOM, "no memory\nmore"))
    assert studies.get(fleet.db, "diagnosis:1").state is StudyState.FAILED
    assert "the check of step 1 failed: no memory" in diagnoses.look(fleet.db, trial.id).note


def test_a_probe_that_fails_is_no_proof_but_the_others_are(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make))
    ask(fleet, trial)

    def mostly(lease: Lease) -> Outcome:
        rate = lease.assignment.program.overrides.get("learning_rate")
        failed: Outcome = make.failed(FailureReason.OOM)
        return failed if rate == 0.1 else digits(lease)

    fleet.train_all(fleet.worker(), mostly)
    assert diagnoses.look(fleet.db, trial.id).verdict is VerdictCode.LR_TOO_LOW


def test_a_claim_of_a_probe_waits_for_the_study_whose_budget_it_shares(fleet: Any, make: Any) -> None:
    trial = trained(fleet, slow_grid(make, budget={"trials": 9}))
    ask(fleet, trial)
    worker, claimed = fleet.worker(), threading.Event()

    def claim() -> None:
        assert fleet.lease(worker)
        claimed.set()

    claiming = threading.Thread(target=claim)
    with fleet.db.write() as tx:
        assert study_rows.lock(tx, trial.study_id) is not None
        claiming.start()
        assert not claimed.wait(0.3), "the study's own claims might be counting at this moment"
    claiming.join()
    assert claimed.is_set()
