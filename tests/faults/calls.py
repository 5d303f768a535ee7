"""T1: calls, replays, losses, outages and clock jumps, and a model of what must follow each."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import bindparam, delete, select

from hpsearch.records import (
    FailureReason,
    Outcome,
    Points,
    RunId,
    RunState,
    Slot,
    TokenId,
    Trial,
    TrialId,
    TrialState,
    WorkerId,
)
from hpsearch.service import leases, lookup, reaper, studies, trials, workers
from hpsearch.spec import parse_spec
from hpsearch.store import metrics
from hpsearch.store import trials as trial_rows
from hpsearch.store.engine import Database
from hpsearch.store.tables import metadata
from hpsearch.store.tables import runs as runs_table
from hpsearch.wire import (
    HeartbeatRequest,
    Interrupted,
    LeaseRequest,
    RegisterWorker,
    ReportRequest,
    RunReport,
)
from tests.faults.attempt import Attempt

LEASE = 30.0
NAMES = ("a", "b", "c")
TOKENS = {"a": TokenId(1), "b": TokenId(1), "c": TokenId(2)}  # one speaks for two of the workers
RESULTS = (TrialState.COMPLETED, TrialState.DIVERGED, TrialState.PRUNED)
STORED = select(runs_table).where(runs_table.c.study_id == bindparam("study")).order_by(runs_table.c.id)
STUDY = "model"


def outcome_of(kind: str, value: float) -> Outcome:
    if kind in ("completed", "diverged", "pruned"):
        return Outcome(state=kind, value=value)  # type: ignore[arg-type]
    if kind == "released":
        return Outcome(state="released")
    return Outcome(state="failed", reason=FailureReason(kind), message=f"{value}")


class Calls(RuleBasedStateMachine):
    """`db` and `tally` are set by the test; each example begins with the database empty.

    Nothing of the others may be left: their workers' slots would count, and one example would have two outcomes.
    `tally`: how many examples there were, calls in them, and leases given.
    """

    db: Database
    tally: Counter[str]

    @initialize(points=st.integers(1, 5), failures=st.integers(0, 1), budget=st.none() | st.integers(1, 4))
    def begin(self, points: int, failures: int, budget: int | None) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.steady = 0.0
        self.runs: dict[RunId, Attempt] = {}
        self.requests: dict[str, tuple[WorkerId, tuple[RunId, ...]]] = {}
        self.current: dict[str, WorkerId] = {}
        self.tokens: dict[WorkerId, TokenId] = {}
        self.results: dict[TrialId, tuple[TrialState, float | None]] = {}
        self.budget = budget
        self.max_failures = failures
        spec = {
            "name": STUDY,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
            "grid": {"learning_rate": points},
            "max_failures": failures,
            "budget": {"trials": budget},
        }
        with self.db.write() as tx:
            for table in reversed(metadata.sorted_tables):
                tx.execute(delete(table))
        studies.create(self.db, parse_spec(spec), now=self.now)
        self.tally["runs"] += 1
        self._pass(0, 0)

    # --- what can happen ---------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), knows=st.sampled_from(["all", "none", "unknown"]))
    def register(self, name: str, knows: str) -> None:
        """A worker starts, or starts again while the old one's trials were in progress or not."""
        old = self.current.get(name)
        held = [run for run, one in self.runs.items() if one.active and one.worker == old]
        told = {"all": tuple(Interrupted(run_id=run) for run in held), "none": (), "unknown": None}[knows]
        slot = Slot(device="cpu", index=0, name="cpu")
        body = RegisterWorker(name=name, host="h", version="0", slots=(slot,), interrupted=told)
        self.current[name] = workers.register(self.db, body, by=TOKENS[name], now=self.now).id
        self.tokens[self.current[name]] = TOKENS[name]
        for run in held:
            self.runs[run].active = False

    @precondition(lambda self: self.current)
    @rule(data=st.data(), replay=st.booleans(), most=st.integers(1, 3))
    def lease(self, data: st.DataObject, replay: bool, most: int) -> None:
        """A request; or one asked again, which has the same leases while they are active."""
        worker = data.draw(st.sampled_from(sorted(self.current.values())))
        mine = [key for key, (who, _) in self.requests.items() if who == worker]
        if replay and mine:
            request = data.draw(st.sampled_from(mine))
            before = tuple(run for run in self.requests[request][1] if self.runs[run].active)
        else:
            request, before = f"request-{len(self.requests)}", ()
        body = LeaseRequest(worker_id=worker, request_id=request, max_trials=most)
        by = self.tokens[worker]
        given = leases.lease(self.db, body, by=by, now=self.now, lease_seconds=LEASE).leases
        ids = tuple(one.run_id for one in given)
        if before:
            assert ids == before, "a repeated request is given what it was given"
            return
        assert not set(ids) & self.runs.keys(), "a fencing token is never given twice"
        self.requests[request] = (worker, ids)
        self.tally["leases"] += len(ids)
        term = timedelta(seconds=LEASE)
        for one in given:
            assert not any(r.active and r.trial == one.trial_id for r in self.runs.values())
            *before_it, this = trials.runs(self.db, one.trial_id)
            ended = [run.finished_at for run in before_it if run.finished_at is not None]
            assert this.started_at == max([self.now, *ended]), "no earlier than any run before it ended"
            # A whole term from there; where the clock was set back since, two terms from now at most.
            until = min(this.started_at, self.now + term) + term
            self.runs[one.run_id] = Attempt(worker, by, one.trial_id, one.epoch, until)

    @precondition(lambda self: self.runs)
    @rule(
        data=st.data(),
        seq=st.integers(0, 3),
        count=st.integers(1, 3),
        foreign=st.booleans(),
        by=st.none() | st.sampled_from(sorted(set(TOKENS.values()))),
    )
    def measure(self, data: st.DataObject, seq: int, count: int, foreign: bool, by: TokenId | None) -> None:
        """Points of any run, by its worker or another, with its own token or any, numbered anew or again."""
        run, worker = self._pick(data, foreign)
        series = {"loss": Points(steps=tuple(range(count)), values=(0.5,) * count)}
        status = self._report(worker, RunReport(run_id=run, seq=seq, series=series), by)
        one = self.runs[run]
        if by not in (None, one.token):
            assert status == "lease_lost"
        elif one.active and worker == one.worker:
            assert status == "ok"
            one.seqs.setdefault(seq, count)
        elif status == "ok":  # only what was said before the end
            assert one.outcome is not None
            assert worker == one.worker

    @precondition(lambda self: self.runs)
    @rule(
        data=st.data(),
        kind=st.sampled_from(
            ["completed", "completed", "diverged", "pruned", "released", "error", "crashed", "oom"]
        ),
        value=st.sampled_from([0.25, 0.5, math.inf]),
        foreign=st.booleans(),
        again=st.booleans(),
    )
    def finish(self, data: st.DataObject, kind: str, value: float, foreign: bool, again: bool) -> None:
        """An outcome: the first, the same again, another one, or one of a run that is not the worker's."""
        run, worker = self._pick(data, foreign)
        one = self.runs[run]
        outcome = one.outcome if again and one.outcome else outcome_of(kind, value)
        status = self._report(worker, RunReport(run_id=run, seq=9, outcome=outcome))
        if worker != one.worker:
            assert status == "lease_lost"
        elif one.active:
            assert status == "ok"
            one.active, one.outcome = False, outcome
            self._note(one, outcome)
        elif one.outcome is None:
            assert status == "lease_lost"
        else:
            assert status == ("ok" if outcome == one.outcome else "refused")

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.current.values())))
        claimed = data.draw(st.sets(st.sampled_from(sorted(self.runs)))) if self.runs else set()
        body = HeartbeatRequest(runs=tuple(sorted(claimed)))
        by = self.tokens[worker]
        answer = leases.heartbeat(self.db, worker, body, by=by, now=self.now, lease_seconds=LEASE)
        held = {run for run in claimed if self.runs[run].active and self.runs[run].worker == worker}
        assert set(answer.lost) == claimed - held
        for run in held:
            self.runs[run].lease_until = self.now + timedelta(seconds=LEASE)

    @rule(seconds=st.integers(0, 14), jump=st.sampled_from([0, 0, 0, 3_600, -3_600, 315_360_000]))
    def tick(self, seconds: int, jump: int) -> None:
        """Time passes with a tick of the reaper; sometimes the clock is set in between."""
        self._pass(seconds, jump)

    @rule(seconds=st.integers(16, 2_000))
    def outage(self, seconds: int) -> None:
        """No server for a while, then one: no live worker pays for it."""
        self._pass(seconds, 0)

    # --- what must hold after each -------------------------------------------------------------------

    @invariant()
    def rows_agree_with_the_model(self) -> None:
        self.tally["calls"] += 1
        with self.db.read() as tx:
            study = lookup.study(tx, STUDY)
            known = trial_rows.of_study(tx, study.id)
            stored = tx.execute(STORED, {"study": study.id}).all()
            for trial in known:
                attempts = [row for row in stored if row.trial_id == trial.id]
                active = [run.id for run in attempts if run.state == RunState.ACTIVE]
                mine = [run for run, one in self.runs.items() if one.trial == trial.id]
                assert [run.id for run in attempts] == mine
                assert [run.epoch for run in attempts] == list(range(1, trial.epoch + 1))
                assert active == [run for run in mine if self.runs[run].active]
                assert (trial.state is TrialState.RUNNING) == (len(active) == 1)
                self._check_trial(trial)
            for state in TrialState:
                assert study.study.trial_counts[state] == sum(trial.state is state for trial in known)
            assert self.budget is None or study.started <= self.budget
            chunks = metrics.chunks(tx, list(self.runs))
            for run, one in self.runs.items():
                pieces = chunks[run]
                assert [len(p["loss"].steps) for p in pieces] == [one.seqs[seq] for seq in sorted(one.seqs)]

    def _check_trial(self, trial: Trial) -> None:
        if trial.id in self.results:
            assert (trial.state, trial.value) == self.results[trial.id], "a result is for ever"
        else:
            assert trial.state not in RESULTS, "a result that nobody brought"
        assert trial.rescues <= 3
        assert (trial.reason is FailureReason.POISON) == (trial.rescues == 3)
        assert trial.failures <= self.max_failures + 1

    # --- the model -----------------------------------------------------------------------------------

    def _pick(self, data: st.DataObject, foreign: bool) -> tuple[RunId, WorkerId]:
        run = data.draw(st.sampled_from(sorted(self.runs)))
        others = sorted({one.worker for one in self.runs.values()} - {self.runs[run].worker})
        if foreign and others:
            return run, data.draw(st.sampled_from(others))
        return run, self.runs[run].worker

    def _report(self, worker: WorkerId, one: RunReport, by: TokenId | None = None) -> str:
        """With the worker's own token where none is given."""
        body = ReportRequest(worker_id=worker, reports=(one,))
        (result,) = leases.report(self.db, body, by=by or self.tokens[worker], now=self.now).results
        return result.status

    def _note(self, one: Attempt, outcome: Outcome) -> None:
        if outcome.state in ("completed", "diverged", "pruned"):
            finite = outcome.value is None or math.isfinite(outcome.value)
            state = TrialState(outcome.state)
            if state is TrialState.COMPLETED and not finite:
                state = TrialState.DIVERGED
            assert one.trial not in self.results, "two results of one trial"
            self.results[one.trial] = (state, outcome.value)

    def _pass(self, seconds: float, jump: float) -> None:
        self.now += timedelta(seconds=seconds + jump)
        self.steady += seconds
        reaper.tick(self.db, now=self.now, monotonic=self.steady, lease_seconds=LEASE, server="one")
        renewed = seconds > LEASE / 2 or abs(jump) > LEASE / 2
        for one in self._open():
            if renewed:
                one.lease_until = self.now + timedelta(seconds=LEASE)
            elif one.lease_until < self.now:
                one.active = False

    def _open(self) -> Iterator[Attempt]:
        return iter([one for one in self.runs.values() if one.active])
