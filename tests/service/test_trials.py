import math
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import IllegalMove, InvalidInput, LeaseLost, NotFound
from hpsearch.records import FailureReason, Outcome, Points, StudyState, TrialId, TrialState
from hpsearch.service import checkpoints, leases, studies, trials
from hpsearch.service.checkpoints import NewCheckpoint
from hpsearch.wire import HeartbeatRequest

SHA = "a" * 64


def put(fleet: Any, lease: Any, worker: Any, name: str = "last", step: int = 10) -> Any:
    path = Path(f"trial-{lease.trial_id}/{lease.epoch}/{name}")
    new = NewCheckpoint(lease.run_id, worker.id, name, step, 100, SHA, path)  # type: ignore[arg-type]
    return checkpoints.register(fleet.db, new, now=fleet.clock.now)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_objective_is_a_diverged_result(fleet: Any, make: Any, value: float) -> None:
    fleet.study(make.small(points=1))
    fleet.train_all(fleet.worker(), lambda _: make.done(value))
    assert fleet.states("small") == [TrialState.DIVERGED]
    assert studies.get(fleet.db, "small").best_value is None
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED


def test_a_diverged_run_keeps_what_it_measured(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    outcome = Outcome(
        state="diverged", metrics={"loss": 2.5}, measurements={"diverged_at": 17, "losses": [1.0, math.inf]}
    )
    fleet.train_all(fleet.worker(), lambda _: outcome)
    (trial,) = fleet.trials("small")
    assert trial.metrics == {"loss": 2.5}
    assert trial.measurement("diverged_at") == 17
    assert trial.measurement_list("losses") == [1.0, math.inf]


def test_an_objective_that_was_never_measured_fails_the_trial_with_the_reason(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    fleet.train_all(
        fleet.worker(), lambda _: Outcome(state="completed", metrics={"val_loss": 1.0, "loss": 2.0})
    )
    (trial,) = fleet.trials("small")
    assert trial.reason is FailureReason.ERROR
    assert trial.message == "the objective 'val_accuracy' was never measured; the run reported loss, val_loss"


def test_an_exception_is_tried_again_as_often_as_the_study_says(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1, max_failures=2))
    trained = fleet.train_all(fleet.worker(), lambda _: make.failed(FailureReason.ERROR))
    assert [lease.epoch for lease in trained] == [1, 2, 3]
    (trial,) = fleet.trials("small")
    assert (trial.state, trial.reason, trial.failures) == (TrialState.FAILED, FailureReason.ERROR, 3)


@pytest.mark.parametrize("reason", [FailureReason.CRASHED, FailureReason.STALLED])
def test_the_third_crash_is_poison_with_the_last_words(fleet: Any, make: Any, reason: FailureReason) -> None:
    fleet.study(make.small(points=1))
    trained = fleet.train_all(fleet.worker(), lambda _: make.failed(reason, "signal 11"))
    assert len(trained) == 3
    (trial,) = fleet.trials("small")
    assert trial.reason is FailureReason.POISON
    assert "signal 11" in trial.message


@pytest.mark.parametrize("reason", [FailureReason.OOM, FailureReason.TIMEOUT, FailureReason.TASK_NOT_ALLOWED])
def test_what_would_fail_again_is_not_retried(fleet: Any, make: Any, reason: FailureReason) -> None:
    fleet.study(make.small(points=1, max_failures=5))
    assert len(fleet.train_all(fleet.worker(), lambda _: make.failed(reason))) == 1
    assert fleet.trials("small")[0].reason is reason


def test_a_released_run_charges_no_failure_however_often(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    for _ in range(5):
        fleet.report(worker.id, fleet.one(worker).run_id, Outcome(state="released"))
    (trial,) = fleet.trials("small")
    assert (trial.state, trial.preemptions, trial.rescues, trial.failures) == (TrialState.WAITING, 5, 0, 0)


def test_a_waiting_trial_is_stopped_at_once_and_ends_the_study_when_it_was_the_last(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.small(points=2))
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, make.done())
    waiting = fleet.trials("small")[1]
    assert trials.stop(fleet.db, waiting.id, now=fleet.clock.now).state is TrialState.CANCELLED
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED


def test_a_running_trial_is_stopped_through_its_worker_and_can_be_retried(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert trials.stop(fleet.db, lease.trial_id, now=fleet.clock.now).state is TrialState.RUNNING
    body = HeartbeatRequest(runs=(lease.run_id,))
    assert leases.heartbeat(fleet.db, worker.id, body, now=fleet.clock.now).stop == (lease.run_id,)
    fleet.report(worker.id, lease.run_id, Outcome(state="released"))
    assert fleet.states("small") == [TrialState.CANCELLED]
    trials.retry(fleet.db, lease.trial_id, now=fleet.clock.now)
    assert studies.get(fleet.db, "small").state is StudyState.RUNNING
    fleet.train_all(worker, lambda _: make.done())
    assert studies.get(fleet.db, "small").state is StudyState.COMPLETED


def test_a_finished_trial_is_neither_stopped_nor_retried(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    (lease,) = fleet.train_all(fleet.worker(), lambda _: make.done())
    for move in (trials.stop, trials.retry):
        with pytest.raises(IllegalMove, match="completed"):
            move(fleet.db, lease.trial_id, now=fleet.clock.now)


def test_trials_are_ordered_filtered_and_paged(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=5))
    values = [0.3, 0.5, math.nan, 0.1, 0.4]
    fleet.train_all(fleet.worker(), lambda lease: make.done(values[lease.number]))
    numbers, token = [], None
    while True:
        page = trials.page(fleet.db, "small", order_by="-value", page_size=2, page_token=token)
        numbers += [trial.number for trial in page.trials]
        assert page.total == 5
        token = page.next_page_token
        if token is None:
            break
    assert numbers == [1, 4, 0, 3, 2]  # the one without a value goes last
    diverged = trials.page(fleet.db, "small", state=TrialState.DIVERGED)
    assert [trial.number for trial in diverged.trials] == [2]


@pytest.mark.parametrize("order_by", ["params", "valu", "value; DROP TABLE trials", "--value", ""])
def test_an_order_outside_the_list_is_refused(fleet: Any, make: Any, order_by: str) -> None:
    fleet.study(make.small())
    with pytest.raises(InvalidInput, match="unknown order"):
        trials.page(fleet.db, "small", order_by=order_by)


@pytest.mark.parametrize("trial_id", [0, -1, 99, 10**30])
def test_a_trial_that_is_not_there_is_not_found(fleet: Any, trial_id: int) -> None:
    with pytest.raises(NotFound, match="no trial"):
        trials.get(fleet.db, TrialId(trial_id))


def test_curves_keep_nan_and_the_order_of_reports(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    chunks = [
        {"loss": Points(steps=(1, 2), values=(2.0, math.nan))},
        {"loss": Points(steps=(3,), values=(math.inf,)), "val_loss": Points(steps=(3,), values=(1.5,))},
    ]
    for seq, series in enumerate(chunks):
        for _ in range(2):  # said twice, stored once
            fleet.report(worker.id, lease.run_id, seq=seq, series=series)
    series = trials.metrics(fleet.db, lease.trial_id)
    assert series["loss"].steps == (1, 2, 3)
    assert series["loss"].values[0] == 2.0
    assert math.isnan(series["loss"].values[1])
    assert series["loss"].values[2] == math.inf
    assert series["val_loss"] == Points(steps=(3,), values=(1.5,))


def test_curves_of_a_resumed_run_go_on_from_the_lost_ones_checkpoint(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    lost = {"loss": Points(steps=(1, 2, 3, 4), values=(9.0, 8.0, 7.0, 6.0))}
    fleet.report(worker.id, lease.run_id, Outcome(state="released"), series=lost)
    again = fleet.one(worker)
    resumed = {"loss": Points(steps=(3, 4, 5), values=(7.5, 6.5, 5.5))}
    fleet.report(worker.id, again.run_id, make.done(), series=resumed)
    series = trials.metrics(fleet.db, lease.trial_id)
    assert series["loss"] == Points(steps=(1, 2, 3, 4, 5), values=(9.0, 8.0, 7.5, 6.5, 5.5))


def test_a_run_that_started_over_shows_nothing_of_the_lost_one(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    lost = {"loss": Points(steps=(1, 2), values=(9.0, 8.0)), "extra": Points(steps=(2,), values=(0.0,))}
    fleet.report(worker.id, lease.run_id, Outcome(state="released"), series=lost)
    again = fleet.one(worker)
    fresh = {"loss": Points(steps=(1,), values=(5.0,))}
    fleet.report(worker.id, again.run_id, make.done(), series=fresh)
    assert trials.metrics(fleet.db, lease.trial_id) == fresh


def test_curves_are_smoothed_thinned_and_ranked(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=3))
    worker = fleet.worker()
    for number in range(3):
        lease = fleet.one(worker)
        steps = tuple(range(1, 101))
        series = {"loss": Points(steps=steps, values=tuple(float(i % 2) for i in steps))}
        fleet.report(worker.id, lease.run_id, make.done(0.1 * number), series=series)
    shown = trials.curves(fleet.db, "small", metric="loss", points=10, top=2, smoothing=0.9)
    assert (shown.shown, shown.total) == (2, 3)
    assert [curve.number for curve in shown.curves] == [2, 1]
    loss = shown.curves[0].series["loss"]
    assert (len(loss.steps), loss.steps[0], loss.steps[-1]) == (10, 1, 100)
    assert loss.values[-1] == pytest.approx(0.5, abs=0.1)
    raw = trials.curves(fleet.db, "small", metric="loss, val_loss", points=100)
    assert set(raw.curves[0].series["loss"].values) == {0.0, 1.0}


def test_logs_keep_their_tail(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.report(worker.id, lease.run_id, seq=0, log="first\n" + "x" * 60_000)
    fleet.report(worker.id, lease.run_id, seq=1, log="é" * 10_000 + "last\0")
    fleet.report(worker.id, lease.run_id, seq=1, log="said again")
    (log,) = trials.log(fleet.db, lease.trial_id)
    assert len(log.text.encode()) <= 65_536
    assert "first" not in log.text
    assert log.text.endswith("last\ufffd")


def test_a_checkpoint_is_found_and_the_next_run_starts_from_it(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert lease.start is None
    put(fleet, lease, worker, step=10)
    newest = put(fleet, lease, worker, step=20)
    fleet.report(worker.id, lease.run_id, Outcome(state="released"))
    again = fleet.one(worker)
    assert again.start == newest
    found, path = checkpoints.find(fleet.db, lease.trial_id, "last")
    assert (found.step, path) == (20, Path(f"trial-{lease.trial_id}/1/last"))
    with pytest.raises(NotFound, match="no 'best' checkpoint"):
        checkpoints.find(fleet.db, lease.trial_id, "best")


def test_a_checkpoint_under_a_lease_that_is_over_is_refused(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker, other = fleet.worker(), fleet.worker("other")
    lease = fleet.one(worker)
    with pytest.raises(LeaseLost, match="not this worker's"):
        put(fleet, lease, other)
    fleet.report(worker.id, lease.run_id, make.done())
    with pytest.raises(LeaseLost, match="is completed"):
        put(fleet, lease, worker)


def test_numbers_beyond_the_database_are_refused_not_a_crash(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    with pytest.raises(InvalidInput, match="out of"):
        fleet.report(worker.id, lease.run_id, seq=10**30)
    with pytest.raises(InvalidInput, match="out of"):
        fleet.report(worker.id, lease.run_id, series={"loss": Points(steps=(10**30,), values=(1.0,))})
