"""Packs in real child processes of a real fork server, against a server in memory."""

import os
import signal
import time
from pathlib import Path

import pytest

from hpsearch.records import Checkpoint, FailureReason, TrialId
from hpsearch.worker.settings import Limits
from tests.worker.conftest import MakeCrew
from tests.worker.fake_server import FakeServer, file_task
from tests.worker.processes import child_running, gone, wait_until_gone

TASKS = Path(__file__).with_name("tasks.py")
GOOD, BAD = {"learning_rate": 0.1}, {"learning_rate": 2.0}


def test_digits_trials_train_in_packs_and_every_point_arrives_once(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    runs = server.plan({"learning_rate": 0.1}, {"learning_rate": 0.01}, epochs=2)
    make_crew()
    outcomes = server.wait_for_outcomes(runs)
    assert [outcome.state for outcome in outcomes] == ["completed", "completed"]
    assert outcomes[0].value is not None
    assert outcomes[0].value > 0.5
    for run in runs:
        steps = [step for step, _ in server.points[run]["loss"]]
        assert steps == sorted(set(steps))
        assert len(steps) == server.outcomes[run].steps
        assert server.sequences[run] == list(range(len(server.sequences[run])))
    # Both are short; the second is no record of the study (`keeping`).
    assert set(server.checkpoints) == {(runs[0], "best")}


def test_numbers_do_not_depend_on_the_slot_or_the_pack(server: FakeServer, make_crew: MakeCrew) -> None:
    together = server.plan(GOOD, {"learning_rate": 0.03})
    alone = server.plan({"learning_rate": 0.03})
    make_crew(slots=2)
    server.wait_for_outcomes(together + alone)
    assert server.points[together[1]] == server.points[alone[0]]


def test_an_exception_of_the_task_fails_its_trial_only(server: FakeServer, make_crew: MakeCrew) -> None:
    runs = server.plan(BAD, GOOD, task=file_task(TASKS, "Raises"))
    make_crew()
    failed, completed = server.wait_for_outcomes(runs)
    assert (failed.state, failed.reason) == ("failed", FailureReason.ERROR)
    assert "no model for you" in failed.message
    assert completed.state == "completed"


def test_a_killed_child_charges_the_trial_in_progress_and_releases_the_others(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    runs = server.plan(GOOD, BAD, GOOD, GOOD, task=file_task(TASKS, "Killed"))
    make_crew()
    before, charged, *others = server.wait_for_outcomes(runs)
    assert before.state == "completed"
    assert (charged.state, charged.reason) == ("failed", FailureReason.CRASHED)
    assert "SIGKILL" in charged.message
    assert "memory" in charged.message
    assert "about to be killed" in charged.message
    assert [outcome.state for outcome in others] == ["released", "released"]


def test_a_child_that_exits_in_the_middle_has_crashed(server: FakeServer, make_crew: MakeCrew) -> None:
    runs = server.plan(GOOD, task=file_task(TASKS, "Exits"))
    make_crew()
    (outcome,) = server.wait_for_outcomes(runs)
    assert outcome.reason is FailureReason.CRASHED
    assert "exit code 3" in outcome.message


def test_the_slot_goes_on_after_a_crash(server: FakeServer, make_crew: MakeCrew) -> None:
    server.plan(BAD, task=file_task(TASKS, "Killed"))
    runs = server.plan(GOOD, task=file_task(TASKS, "Well"))
    make_crew()
    assert server.wait_for_outcomes(runs)[0].state == "completed"


def test_a_hung_trial_is_stalled_even_when_it_sleeps_through_sigterm(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    runs = server.plan(BAD, GOOD, task=file_task(TASKS, "Hangs"))
    make_crew(limits=Limits(startup=1.0, no_progress=1.0, grace=0.5))
    stalled, released = server.wait_for_outcomes(runs, seconds=10)
    assert (stalled.state, stalled.reason) == ("failed", FailureReason.STALLED)
    assert "no progress for 1 s" in stalled.message
    assert released.state == "released"


def test_two_slots_train_at_the_same_time(server: FakeServer, make_crew: MakeCrew) -> None:
    task = file_task(TASKS, "Slow")
    first = server.plan(GOOD, task=task, epochs=1000)
    second = server.plan(GOOD, task=task, epochs=1000)
    crew = make_crew(slots=2)
    server.wait_for_points(first[0])
    server.wait_for_points(second[0])
    assert not server.outcomes
    crew.kill()
    assert {outcome.state for outcome in server.wait_for_outcomes(first + second)} == {"released"}


def test_children_see_no_token_and_no_gpu_of_another_slot(
    server: FakeServer, make_crew: MakeCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = server.plan(GOOD, task=file_task(TASKS, "ShowsEnvironment"))
    make_crew()
    server.wait_for_outcomes(runs)
    shown = server.logs[runs[0]]
    assert "'PATH'" in shown
    assert "HPSEARCH_TOKEN" not in shown
    assert "CUDA: ''" in shown


def test_a_lost_lease_kills_the_whole_process_group_and_reports_nothing(
    server: FakeServer, make_crew: MakeCrew, tmp_path: Path
) -> None:
    server.lease_seconds = 0.3
    lost, *others = server.plan(GOOD, GOOD, task=file_task(TASKS, "Forks"))
    make_crew()
    log = tmp_path / "worker" / "slot-0-1.log"
    server.wait_for(lambda: server.asked)
    while not (log.exists() and "grandchild" in log.read_text()):
        time.sleep(0.01)
    grandchild = int(log.read_text().split()[1])
    assert not gone(grandchild)
    with server.changed:
        server.lost.add(lost)
    (outcome,) = server.wait_for_outcomes(others, seconds=10)
    assert outcome.state == "released"
    assert lost not in server.outcomes
    wait_until_gone(grandchild, seconds=1)


def test_a_stopped_run_is_released_and_its_neighbours_go_on(server: FakeServer, make_crew: MakeCrew) -> None:
    server.lease_seconds = 0.3
    task = file_task(TASKS, "Slow")
    runs = server.plan(GOOD, {"learning_rate": 0.2}, {"learning_rate": 0.3}, task=task, epochs=20)
    server.stop = {runs[0], runs[1]}
    make_crew()
    outcomes = server.wait_for_outcomes(runs, seconds=20)
    assert [outcome.state for outcome in outcomes] == ["released", "released", "completed"]


def test_draining_releases_with_a_last_checkpoint_from_which_another_run_continues(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    task = file_task(TASKS, "Slow")
    (run,) = server.plan(GOOD, task=task, epochs=1000)
    crew = make_crew()
    server.wait_for_points(run)
    crew.drain()
    (outcome,) = server.wait_for_outcomes([run], seconds=10)
    assert outcome.state == "released"
    assert outcome.steps > 0
    assert crew.idle(5)
    content = server.checkpoints[run, "last"]
    start = Checkpoint(
        trial_id=TrialId(run), run_id=run, name="last", step=outcome.steps, size=len(content), sha256=""
    )
    (next_run,) = server.plan(GOOD, task=task, epochs=1000, start=start)
    make_crew()
    server.wait_for_points(next_run)
    first_step, _ = server.points[next_run]["loss"][0]
    assert first_step == server.points[run]["loss"][-1][0] + 1


def test_training_goes_on_while_the_server_is_away_and_nothing_is_lost(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    (run,) = server.plan(GOOD, task=file_task(TASKS, "Slow"), epochs=40)
    make_crew()
    server.wait_for_points(run)
    server.away = True
    known = len(server.points[run]["loss"])
    time.sleep(1.0)
    server.away = False
    (outcome,) = server.wait_for_outcomes([run], seconds=20)
    assert outcome.state == "completed"
    steps = [step for step, _ in server.points[run]["loss"]]
    assert len(steps) == outcome.steps > known
    assert steps == sorted(set(steps))


def test_folders_of_runs_are_gone_when_they_have_ended(
    server: FakeServer, make_crew: MakeCrew, tmp_path: Path
) -> None:
    runs = server.plan(GOOD, GOOD)
    crew = make_crew()
    server.wait_for_outcomes(runs)
    assert crew.idle(5)
    deadline = time.monotonic() + 5
    while list((tmp_path / "worker" / "runs").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_dead_fork_server_is_restarted_and_its_trials_released(
    server: FakeServer, make_crew: MakeCrew
) -> None:
    slow = file_task(TASKS, "Slow")
    together = server.plan(GOOD, task=slow, epochs=1000) + server.plan(GOOD, task=slow, epochs=1000)
    make_crew(slots=2)
    for run in together:
        server.wait_for_points(run)
    os.kill(child_running("hpsearch.worker.forkserver"), signal.SIGKILL)
    outcomes = server.wait_for_outcomes(together, seconds=10)
    assert [outcome.state for outcome in outcomes] == ["released", "released"]
    runs = server.plan(GOOD)
    assert server.wait_for_outcomes(runs)[0].state == "completed"


def test_what_a_run_prints_arrives_while_it_hangs(server: FakeServer, make_crew: MakeCrew) -> None:
    (run,) = server.plan(GOOD, task=file_task(TASKS, "Forks"))
    make_crew()
    server.wait_for(lambda: "grandchild" in server.logs.get(run, ""), seconds=20)
    assert run not in server.outcomes
