import threading
from typing import Any

import pytest

from hpsearch.errors import Conflict, IllegalMove, InvalidInput, NotFound, StudyExists
from hpsearch.records import (
    FailureReason,
    Outcome,
    StageState,
    StudyState,
    TrialState,
)
from hpsearch.service import leases, studies, trials
from hpsearch.wire import HeartbeatRequest, StudyPatch


def test_the_same_spec_again_is_the_same_study(fleet: Any, make: Any) -> None:
    first, created = studies.create(fleet.db, make.grid(), now=fleet.clock.now)
    again, created_again = studies.create(fleet.db, make.grid(description="words"), now=fleet.clock.now)
    assert (created, created_again) == (True, False)
    assert first.id == again.id
    assert len(fleet.trials("grid")) == 12


def test_the_same_name_with_another_spec_names_the_changed_keys(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    with pytest.raises(StudyExists, match=r"changed: grid\.learning_rate, seed"):
        fleet.study(make.grid(grid={"learning_rate": 5}, seed=1))
    assert len(fleet.trials("grid")) == 12


def test_two_who_create_the_same_study_at_once_get_one(fleet: Any, make: Any) -> None:
    together = threading.Barrier(2)
    found: list[Any] = []

    def create() -> None:
        together.wait(timeout=10)
        found.append(studies.create(fleet.db, make.grid(), now=fleet.clock.now))

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(created for _, created in found) == [False, True]
    assert len({study.id for study, _ in found}) == 1


def test_an_unknown_study_is_named_with_the_nearest(fleet: Any, make: Any) -> None:
    fleet.study(make.grid("digits-grid"))
    with pytest.raises(NotFound, match="no study 'digits-gird'") as caught:
        studies.get(fleet.db, "digits-gird")
    assert caught.value.hint == "did you mean 'digits-grid'?"


def test_a_study_is_found_by_its_id(fleet: Any, make: Any) -> None:
    study = fleet.study(make.grid())
    assert studies.get(fleet.db, str(study.id)) == study


def test_more_gpus_than_a_slot_has_are_refused(fleet: Any, make: Any) -> None:
    with pytest.raises(InvalidInput, match="one GPU") as caught:
        fleet.study(make.grid(resources={"gpus": 2}))
    assert caught.value.problems[0].pointer == "/resources/gpus"
    assert studies.page(fleet.db).total == 0


def test_pages_of_studies_are_whole_and_newest_first(fleet: Any, make: Any) -> None:
    for i in range(5):
        fleet.study(make.small(f"study-{i}"))
    first = studies.page(fleet.db, page_size=2)
    second = studies.page(fleet.db, page_size=2, page_token=first.next_page_token)
    third = studies.page(fleet.db, page_size=2, page_token=second.next_page_token)
    shown = [study.name for page in (first, second, third) for study in page.studies]
    assert shown == [f"study-{i}" for i in reversed(range(5))]
    assert (first.total, third.next_page_token) == (5, None)


@pytest.mark.parametrize("token", ["x", "AAAA", "WzEsMl0", "é", "a" * 10_000, "bnVsbA", "W1tbW10"])
def test_a_made_up_page_token_is_refused(fleet: Any, token: str) -> None:
    with pytest.raises(InvalidInput, match="page token"):
        studies.page(fleet.db, page_token=token)


def test_a_page_token_of_another_list_is_refused(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    token = trials.page(fleet.db, "grid", page_size=2).next_page_token
    with pytest.raises(InvalidInput, match="page token"):
        trials.page(fleet.db, "grid", page_size=2, page_token=token, order_by="-value")


def test_a_paused_study_leases_nothing_until_it_is_resumed(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    running = fleet.one(worker)
    studies.pause(fleet.db, "grid", now=fleet.clock.now)
    assert fleet.lease(worker) == ()
    assert fleet.report(worker.id, running.run_id, make.done()).status == "ok"
    studies.resume(fleet.db, "grid", now=fleet.clock.now)
    assert fleet.one(worker).number == 1


def test_a_paused_study_whose_last_trial_ended_completes_when_resumed(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    studies.pause(fleet.db, "small", now=fleet.clock.now)
    fleet.report(worker.id, lease.run_id, make.done())
    assert studies.get(fleet.db, "small").state is StudyState.PAUSED
    assert studies.resume(fleet.db, "small", now=fleet.clock.now).state is StudyState.COMPLETED


def test_a_stopped_study_lets_running_trials_finish_and_resumes_with_the_rest(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    running = fleet.one(worker)
    assert studies.stop(fleet.db, "grid", now=fleet.clock.now).state is StudyState.STOPPING
    assert studies.get(fleet.db, "grid").trial_counts[TrialState.CANCELLED] == 11
    fleet.report(worker.id, running.run_id, make.done())
    assert studies.get(fleet.db, "grid").state is StudyState.STOPPED
    resumed, created = studies.create(fleet.db, make.grid(), now=fleet.clock.now)
    assert (resumed.state, created) == (StudyState.RUNNING, False)
    fleet.train_all(worker, lambda _: make.done())
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.COMPLETED
    assert study.trial_counts[TrialState.COMPLETED] == 12


def test_a_trial_released_while_its_study_stops_waits_for_the_resumption(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    lease = fleet.one(worker)
    studies.stop(fleet.db, "small", now=fleet.clock.now)
    fleet.report(worker.id, lease.run_id, Outcome(state="released"))
    assert studies.get(fleet.db, "small").state is StudyState.STOPPED
    studies.resume(fleet.db, "small", now=fleet.clock.now)
    assert fleet.one(worker).epoch == 2


def test_cancelling_tells_workers_to_kill(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert studies.cancel(fleet.db, "grid", now=fleet.clock.now).state is StudyState.CANCELLED
    body = HeartbeatRequest(runs=(lease.run_id,))
    answer = leases.heartbeat(fleet.db, worker.id, body, now=fleet.clock.now)
    assert (answer.stop, answer.lost) == ((lease.run_id,), ())
    fleet.report(worker.id, lease.run_id, Outcome(state="released"))
    assert set(fleet.states("grid")) == {TrialState.CANCELLED}
    assert studies.stages(fleet.db, "grid").stages[0].state is StageState.SKIPPED
    with pytest.raises(Conflict, match="can't be resumed"):
        studies.resume(fleet.db, "grid", now=fleet.clock.now)


def test_steering_twice_is_steering_once(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    for move in (studies.pause, studies.resume, studies.stop, studies.cancel):
        once = move(fleet.db, "grid", now=fleet.clock.now)
        assert move(fleet.db, "grid", now=fleet.clock.now) == once


def test_a_completed_study_can_not_be_paused(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    fleet.train_all(fleet.worker(), lambda _: make.done())
    with pytest.raises(IllegalMove, match="is completed and can't become paused"):
        studies.pause(fleet.db, "small", now=fleet.clock.now)


def test_failed_trials_run_again_on_retry_and_the_study_with_them(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    fleet.train_all(
        worker, lambda lease: make.failed(FailureReason.ERROR) if lease.number == 3 else make.done()
    )
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.COMPLETED
    assert "trial 3: it broke" in study.reason
    assert studies.stages(fleet.db, "grid").stages[0].state is StageState.WARNED
    assert studies.retry(fleet.db, "grid", now=fleet.clock.now).state is StudyState.RUNNING
    (again,) = fleet.train_all(worker, lambda _: make.done())
    assert (again.number, again.epoch) == (3, 2)
    study = studies.get(fleet.db, "grid")
    assert (study.state, study.reason) == (StudyState.COMPLETED, "")
    assert studies.stages(fleet.db, "grid").stages[0].state is StageState.PASSED


def test_a_study_none_of_whose_trials_has_a_result_fails_with_the_reason(fleet: Any, make: Any) -> None:
    fleet.study(make.small())
    fleet.train_all(fleet.worker(), lambda _: make.failed(FailureReason.OOM, "CUDA out of memory"))
    study = studies.get(fleet.db, "small")
    assert study.state is StudyState.FAILED
    assert "CUDA out of memory" in study.reason


def test_a_budget_of_trials_is_counted_when_they_are_claimed(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"trials": 5}))
    pair = [fleet.worker("one"), fleet.worker("two")]
    claimed = [lease for _ in range(4) for worker in pair for lease in fleet.lease(worker)]
    assert len(claimed) == 5
    for lease, worker in zip(claimed, pair * 3, strict=False):
        fleet.report(worker.id, lease.run_id, make.done())
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.STOPPED
    assert "budget of 5 trials" in study.reason
    assert study.trial_counts[TrialState.CANCELLED] == 7


def test_a_random_budget_counts_points_and_every_replicate_is_trained(fleet: Any, make: Any) -> None:
    spec = make.grid("random", method="random", grid={}, budget={"trials": 3}, replicates=2)
    fleet.study(spec)
    assert len(fleet.train_all(fleet.worker(), lambda _: make.done())) == 6
    assert studies.get(fleet.db, "random").state is StudyState.COMPLETED


def test_a_study_under_way_is_not_deleted(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    with pytest.raises(Conflict, match="running"):
        studies.delete(fleet.db, "grid")


def test_a_deleted_study_is_gone_with_all_of_it_and_its_run_ids_are_not_reused(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    worker = fleet.worker()
    (lease,) = fleet.train_all(worker, lambda _: make.done())
    studies.delete(fleet.db, "small")
    with pytest.raises(NotFound):
        trials.get(fleet.db, lease.trial_id)
    fleet.study(make.small(points=1))
    assert fleet.one(worker).run_id > lease.run_id


def test_priority_and_description_can_change(fleet: Any, make: Any) -> None:
    fleet.study(make.small("first"))
    fleet.study(make.small("second"))
    patched = studies.patch(fleet.db, "second", StudyPatch(priority=3, description="now"))
    assert patched.spec["description"] == "now"
    assert fleet.one(fleet.worker()).study == "second"
    assert studies.create(fleet.db, make.small("second"), now=fleet.clock.now)[1] is False


def test_events_tell_the_study_in_order(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    fleet.train_all(fleet.worker(), lambda _: make.done(0.5))
    events = studies.events(fleet.db, "small", after=0, limit=100)
    assert [event.kind for event in events] == [
        "study_changed", "stage_opened", "trials_planned", "trial_finished", "stage_closed", "study_changed",
    ]  # fmt: skip
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert events[3].data["value"] == 0.5
    assert studies.events(fleet.db, "small", after=events[3].id, limit=1) == [events[4]]


def test_export_has_every_trial_and_the_promised_columns(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(seed=7))
    fleet.train_all(fleet.worker(), lambda lease: make.done(lease.number / 100))
    rows = list(studies.export(fleet.db, "grid"))
    assert [row["number"] for row in rows] == list(range(12))
    assert set(rows[0]) == {
        "number", "stage", "round", "state", "program", "params", "replicate", "seed", "budget", "value",
        "metrics", "runs", "started_at", "finished_at", "reason",
    }  # fmt: skip
    assert (rows[3]["value"], rows[3]["runs"], rows[3]["seed"], rows[3]["stage"]) == (0.03, 1, 7, "search")


@pytest.mark.parametrize(
    "key", ["", "\0", "a\0b", "\ud800", "'; DROP TABLE studies; --", "9" * 90, "é" * 5000]
)
def test_a_hostile_key_is_only_an_unknown_name(fleet: Any, key: str) -> None:
    with pytest.raises(NotFound, match="no study"):
        studies.get(fleet.db, key)
