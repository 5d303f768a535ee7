import platform
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hpsearch.records import FailureReason, Outcome, RunState, StudyState, TrialState
from hpsearch.service import clock, leases, reaper, studies, trials
from hpsearch.store import ticks
from hpsearch.wire import HeartbeatRequest, LeaseRequest
from tests.faults.simulator import Crashed, MortalDatabase


class Server:
    """Ticks as a server would: its steady clock moves with the wall's unless a test says otherwise."""

    def __init__(self, fleet: Any, lease_seconds: float = leases.LEASE_SECONDS) -> None:
        self.fleet = fleet
        self.lease_seconds = lease_seconds
        self.steady = 1_000.0

    def tick(self) -> int:
        return reaper.tick(
            self.fleet.db,
            now=self.fleet.clock.now,
            monotonic=self.steady,
            lease_seconds=self.lease_seconds,
            server="one",
        )

    def passing(self, seconds: float) -> int:
        """Time passes with a tick every two seconds; returns how many leases were lost."""
        lost = 0
        for _ in range(round(seconds / 2)):
            self.fleet.clock.advance(2)
            self.steady += 2
            lost += self.tick()
        return lost


def test_an_expired_lease_returns_its_trial_and_the_late_report_is_refused(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    lease = fleet.one(worker)
    assert server.passing(30) == 0
    assert server.passing(4) == 1
    trial = trials.get(fleet.db, lease.trial_id)
    assert (trial.state, trial.rescues) == (TrialState.WAITING, 1)
    assert trials.runs(fleet.db, lease.trial_id)[0].state is RunState.LOST
    assert fleet.report(worker.id, lease.run_id, make.done()).status == "lease_lost"


def test_a_report_after_expiry_but_before_the_reaper_counts(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.clock.advance(31)
    assert fleet.report(worker.id, lease.run_id, make.done()).status == "ok"
    assert reaper.tick(fleet.db, now=fleet.clock.now, monotonic=0.0) == 0


def test_a_renewed_lease_does_not_expire(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    lease = fleet.one(worker)
    for _ in range(5):
        assert server.passing(20) == 0
        leases.heartbeat(fleet.db, worker.id, HeartbeatRequest(runs=(lease.run_id,)), now=fleet.clock.now)


def test_the_third_lost_run_is_poison(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=1))
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    for epoch in (1, 2, 3):
        assert fleet.one(worker).epoch == epoch
        server.passing(34)
    (trial,) = fleet.trials("small")
    assert (trial.state, trial.reason) == (TrialState.FAILED, FailureReason.POISON)
    assert studies.get(fleet.db, "small").state is StudyState.FAILED


def test_a_lost_pack_charges_only_the_trial_it_was_training(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, make.done(seconds=0.01))
    pack = fleet.lease(worker)
    assert len(pack) > 2
    fleet.report(worker.id, pack[0].run_id, make.done(seconds=0.01))
    assert server.passing(34) == len(pack) - 1
    rescues = {trial.number: trial.rescues for trial in fleet.trials("grid")}
    assert rescues[pack[1].number] == 1
    assert all(rescues[lease.number] == 0 for lease in pack[2:])


def test_an_outage_longer_than_the_lease_reruns_nothing(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.clock.advance(900)
    server.steady += 900
    assert server.tick() == 0
    assert fleet.report(worker.id, lease.run_id, make.done()).status == "ok"


def test_the_shortest_lease_that_settings_allow_expires_and_is_renewed_after_an_outage(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid())
    server = Server(fleet, lease_seconds=8)  # of four ticks
    server.tick()
    worker = fleet.worker()
    request = LeaseRequest(worker_id=worker.id, request_id="request-short", max_trials=1)
    leases.lease(fleet.db, request, now=fleet.clock.now, lease_seconds=8)
    fleet.clock.advance(60)
    server.steady += 60
    assert server.tick() == 0
    assert server.passing(8) == 0
    assert server.passing(4) == 1


def test_a_server_that_crashes_in_a_loop_does_not_strand_a_dead_workers_trial(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    fleet.one(fleet.worker())
    lost = 0
    for _ in range(
        4
    ):  # each start ticks once, ten seconds after the last; the machine's steady clock goes on
        fleet.clock.advance(10)
        server.steady += 10
        lost += server.tick()
    assert lost == 1


def test_a_clock_that_jumps_forward_rescues_nothing_falsely(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    lease = fleet.one(fleet.worker())
    fleet.clock.advance(3600)
    server.steady += 2
    assert server.tick() == 0
    assert trials.get(fleet.db, lease.trial_id).state is TrialState.RUNNING


def test_a_clock_that_jumps_back_still_lets_dead_leases_expire(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    fleet.one(fleet.worker())
    fleet.clock.advance(-3600)
    server.steady += 2
    server.tick()
    assert server.passing(34) == 1


def test_a_lease_after_the_clock_was_set_back_lasts_two_terms_at_most_though_its_trial_ran_before(
    fleet: Any, make: Any
) -> None:
    """The run begins no earlier than the one before it ended, which lies an hour ahead; its lease is not so long."""
    fleet.study(make.small(points=1))
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    fleet.report(worker.id, fleet.one(worker).run_id, Outcome(state="released"))
    fleet.clock.advance(-3_600)
    server.tick()
    lease = fleet.one(worker)
    assert server.passing(64) == 1
    before, after = trials.runs(fleet.db, lease.trial_id)
    assert after.state is RunState.LOST
    assert after.started_at == before.finished_at


@pytest.mark.parametrize(("back", "expires_after"), [(10, 30 + 10), (20, 30)])
def test_a_clock_set_back_by_more_than_half_a_lease_gives_a_new_term_from_then_on(
    fleet: Any, make: Any, back: int, expires_after: int
) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    fleet.one(fleet.worker())
    fleet.clock.advance(-back)
    assert server.tick() == 0
    assert server.passing(expires_after) == 0
    assert server.passing(4) == 1


def test_a_study_whose_minutes_are_up_stops(fleet: Any, make: Any) -> None:
    fleet.study(make.grid(budget={"minutes": 1}))
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.clock.advance(61)
    assert fleet.lease(worker) == ()
    server.steady += 61
    server.tick()
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.STOPPING
    fleet.report(worker.id, lease.run_id, make.done())
    study = studies.get(fleet.db, "grid")
    assert study.state is StudyState.STOPPED
    assert "budget of 1 minutes" in study.reason


def test_a_heartbeat_between_the_reapers_look_and_its_lock_saves_the_lease(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    worker, dead = fleet.worker(), fleet.worker("dead")
    mine, _ = fleet.one(worker), fleet.one(dead)
    fleet.clock.advance(14)
    server.steady += 14
    server.tick()
    fleet.clock.advance(14)
    server.steady += 14
    server.tick()
    reap = reaper._reap

    def beat_and_reap(db: Any, study_id: Any, *, now: Any) -> int:
        leases.heartbeat(fleet.db, worker.id, HeartbeatRequest(runs=(mine.run_id,)), now=now)
        return reap(db, study_id, now=now)

    monkeypatch.setattr(reaper, "_reap", beat_and_reap)
    fleet.clock.advance(4)
    server.steady += 4
    assert server.tick() == 1
    assert fleet.report(worker.id, mine.run_id, make.done()).status == "ok"


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("spared", range(4))
def test_a_reaper_that_dies_at_any_commit_leaves_no_trial_behind(
    fleet: Any, make: Any, database_url: str, fate: str, spared: int
) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    lease = fleet.one(fleet.worker())
    server.passing(30)
    mortal = MortalDatabase.open(database_url, migrate=False)
    assert isinstance(mortal, MortalDatabase)
    mortal.fate, mortal.spared = fate, spared
    fleet.clock.advance(4)
    server.steady += 4
    with suppress(Crashed):
        reaper.tick(mortal, now=fleet.clock.now, monotonic=server.steady, server="one")
    mortal.close()
    server.tick()
    trial = trials.get(fleet.db, lease.trial_id)
    assert (trial.state, trial.rescues) == (TrialState.WAITING, 1)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_jumps_by_ten_years_rescues_nothing_and_dead_leases_still_expire(
    fleet: Any, make: Any, years: int
) -> None:
    fleet.study(make.grid())
    server = Server(fleet)
    server.tick()
    lease = fleet.one(fleet.worker())
    fleet.clock.advance(years * 365 * 86_400)
    server.steady += 2
    assert server.tick() == 0
    assert trials.get(fleet.db, lease.trial_id).state is TrialState.RUNNING
    assert server.passing(34) == 1


def test_two_machines_of_one_name_do_not_compare_their_steady_clocks(
    fleet: Any, make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fleet.study(make.grid())
    fleet.one(fleet.worker())
    booted = {86_400.0: tmp_path / "for a day", 3_600.0: tmp_path / "for an hour"}
    for path in booted.values():
        path.write_text(f"{path.name}\n")
    monkeypatch.setattr(platform, "node", lambda: "localhost")
    lost = 0
    for second in range(40):
        for up, path in booted.items():
            monkeypatch.setattr(clock, "BOOT_ID", path)
            lost += reaper.tick(fleet.db, now=fleet.clock.advance(0.5), monotonic=up + second)
    assert lost == 1


def test_a_tick_from_the_future_of_a_server_that_is_gone_hides_no_outage(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    reaper.tick(fleet.db, now=fleet.clock.now + timedelta(days=365), monotonic=0.0, server="gone")
    server = Server(fleet)
    server.tick()
    worker = fleet.worker()
    lease = fleet.one(worker)
    fleet.clock.advance(900)
    server.steady += 900
    assert server.tick() == 0
    assert fleet.report(worker.id, lease.run_id, make.done()).status == "ok"
    fleet.one(worker)
    assert server.passing(34) == 1


def test_a_clock_set_back_while_the_machine_was_off_still_lets_dead_leases_expire(
    fleet: Any, make: Any
) -> None:
    fleet.study(make.grid())
    reaper.tick(fleet.db, now=fleet.clock.now, monotonic=9_000.0, server="before the start")
    fleet.one(fleet.worker())
    fleet.clock.advance(-3_600)
    server = Server(fleet)  # its steady clock began with the machine
    assert server.tick() == 0
    assert server.passing(30) == 0
    assert server.passing(4) == 1


def test_a_new_server_forgets_those_that_have_not_ticked_for_a_day(fleet: Any) -> None:
    def known() -> list[str]:
        with fleet.db.read() as tx:
            return sorted(name for name in ("a", "b", "c") if ticks.last(tx, name))

    reaper.tick(fleet.db, now=fleet.clock.now, monotonic=0.0, server="a")
    reaper.tick(fleet.db, now=fleet.clock.advance(80_000), monotonic=0.0, server="b")
    assert known() == ["a", "b"]
    reaper.tick(fleet.db, now=fleet.clock.advance(80_000), monotonic=0.0, server="c")
    assert known() == ["b", "c"]
