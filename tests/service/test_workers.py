from typing import Any

import pytest

from hpsearch.records import FailureReason, TrialState
from hpsearch.service import trials
from hpsearch.wire import Interrupted


def test_a_trial_that_took_its_daemon_down_three_times_is_poison_and_shows_its_log(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker("node")
    for time in range(3):
        lease = fleet.one(worker)
        last = Interrupted(run_id=lease.run_id, log=f"about to die for the {time}. time\n")
        worker = fleet.worker("node", interrupted=(last,))
    (trial,) = fleet.trials("small")
    assert (trial.state, trial.reason, trial.rescues) == (TrialState.FAILED, FailureReason.POISON, 3)
    assert "3 times" in trial.message
    texts = [log.text for log in trials.log(fleet.db, trial.id)]
    assert texts == [f"about to die for the {time}. time\n" for time in range(3)]


def test_of_a_dead_daemons_pack_only_the_trial_in_progress_is_charged(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker("node")
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(seconds=0.01))
    pack = fleet.lease(worker)
    assert len(pack) > 2
    fleet.worker("node", interrupted=(Interrupted(run_id=pack[1].run_id),))
    accounts = {trial.number: (trial.rescues, trial.preemptions) for trial in fleet.trials("grid")}
    assert [accounts[lease.number] for lease in pack[:3]] == [(0, 1), (1, 0), (0, 1)]


@pytest.mark.parametrize(("interrupted", "rescues"), [((), 0), (None, 1)])
def test_a_restarted_daemon_that_trained_nothing_charges_nothing_and_an_unknown_one_the_first(
    fleet: Any, make: Any, interrupted: Any, rescues: int
) -> None:
    fleet.study(make.grid())
    lease = fleet.one(fleet.worker("node"))
    fleet.worker("node", interrupted=interrupted)
    assert trials.get(fleet.db, lease.trial_id).rescues == rescues


def test_last_words_about_another_workers_run_are_ignored(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    lease = fleet.one(fleet.worker("victim"))
    fleet.worker("liar")
    fleet.worker("liar", interrupted=(Interrupted(run_id=lease.run_id, log="lies"),))
    trial = trials.get(fleet.db, lease.trial_id)
    assert (trial.state, trial.rescues) == (TrialState.RUNNING, 0)
    assert [log.text for log in trials.log(fleet.db, lease.trial_id)] == [""]


def test_registering_again_after_a_lost_answer_ends_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker("node", start_id="the-first-start")
    lease = fleet.one(worker)
    assert fleet.worker("node", start_id="the-first-start").id == worker.id
    assert fleet.report(worker.id, lease.run_id, make.done()).status == "ok"
    newer = fleet.worker("node", start_id="the-second-start")
    assert newer.id != worker.id
    assert fleet.worker("node", start_id="the-first-start").id == worker.id
    assert fleet.one(newer).number == lease.number + 1
