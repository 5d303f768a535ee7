"""Holds a history and the database against the promises, as Jepsen does: an empty list means all of them held."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sqlalchemy import select

from hpsearch.records import OPEN_TRIAL_STATES, FailureReason, Run, RunState, StudyId, Trial, TrialState
from hpsearch.service import lookup
from hpsearch.store import events, metrics, runs, trials
from hpsearch.store.engine import Database, Transaction
from hpsearch.store.tables import runs as run_rows
from tests.faults.history import History
from tests.faults.work import POINTS, expected_points, expected_value

RESULTS = (RunState.COMPLETED, RunState.DIVERGED, RunState.PRUNED)
READ_TOGETHER = 1_000  # trials: databases bound a statement's parameters


@dataclass(frozen=True)
class Violation:
    """A broken promise. `lost`: work, or something acknowledged; `repeated`: something there more than once."""

    kind: Literal["lost", "repeated", "wrong"]
    what: str


def lost(what: str) -> Violation:
    return Violation("lost", what)


def repeated(what: str) -> Violation:
    return Violation("repeated", what)


def wrong(what: str) -> Violation:
    return Violation("wrong", what)


def violations(
    db: Database, key: str, history: History, *, planned: int, steady_clock: bool = True
) -> list[Violation]:
    """Every promise of G1-G3 that the study broke, in words. `steady_clock`: the server's times can be compared."""
    with db.read() as tx:
        study = lookup.study(tx, key)
        known = trials.of_study(tx, study.id)
        attempts = _attempts(tx, study.id, known)
        return [
            *_counts(tx, study.id, known, planned),
            *(problem for trial in known for problem in _trial(trial, attempts[trial.id], steady_clock)),
            *_events(tx, study.id, known),
            *_acknowledged(tx, history),
            *_curves(tx, known, attempts),
            *_holders(history),
        ]


def _attempts(tx: Transaction, study_id: StudyId, known: list[Trial]) -> dict[int, list[Run]]:
    """Each trial's runs by epoch, in one reading."""
    found: dict[int, list[Run]] = {trial.id: [] for trial in known}
    wanted = select(run_rows).where(run_rows.c.study_id == study_id).order_by(run_rows.c.epoch)
    for row in tx.execute(wanted):
        found[row.trial_id].append(runs.row_of(row).run)
    return found


def _counts(tx: Transaction, study_id: StudyId, known: list[Trial], planned: int) -> Iterator[Violation]:
    if len(known) != planned:
        yield lost(f"{planned} trials were planned and {len(known)} are there")
    if [trial.number for trial in known] != list(range(len(known))):
        yield lost("the trials' numbers have gaps")
    if len({trial.digest for trial in known}) != len(known):
        yield repeated("a point is there twice")
    row = lookup.study_by_id(tx, study_id) if tx.dialect.name == "sqlite" else lookup.study(tx, str(study_id))
    actual = Counter(trial.state for trial in known)
    for state, count in row.study.trial_counts.items():
        if actual[state] != count:
            yield wrong(f"the study counts {count} {state} trials, there are {actual[state]}")


def _trial(trial: Trial, attempts: list[Run], steady_clock: bool) -> Iterator[Violation]:
    name = f"trial {trial.number}"
    if trial.state in OPEN_TRIAL_STATES:
        yield lost(f"{name} is lost: it is still {trial.state}")
    if [run.epoch for run in attempts] != list(range(1, trial.epoch + 1)):
        yield wrong(f"{name} has epochs {[run.epoch for run in attempts]}, and its own is {trial.epoch}")
    if [run.id for run in attempts] != sorted(run.id for run in attempts):
        yield wrong(f"{name}: fencing tokens do not rise")
    for before, after in pairwise(attempts if steady_clock else []):
        if before.finished_at is None or after.started_at < before.finished_at:
            yield wrong(f"{name}: run {after.id} began before run {before.id} had ended")
    yield from _end_of(trial, attempts)


def _end_of(trial: Trial, attempts: list[Run]) -> Iterator[Violation]:
    """One result at most, of the last run; a failure only as poison, after three crashes."""
    name = f"trial {trial.number}"
    results = [run for run in attempts if run.state in RESULTS]
    if len(results) > 1:
        yield repeated(f"{name} has {len(results)} results")
    if trial.state is TrialState.COMPLETED:
        if not results or results[0].epoch != trial.epoch:
            yield wrong(f"{name}: its result is not of its last run")
        if trial.value != expected_value(trial.params):
            yield wrong(f"{name} has the value {trial.value}, not {expected_value(trial.params)}")
    elif trial.reason is FailureReason.POISON:
        crashes = sum(run.reason is FailureReason.CRASHED for run in attempts)
        if crashes != 3:
            yield wrong(f"{name} is poison after {crashes} crashes")
    elif trial.state not in OPEN_TRIAL_STATES:
        yield lost(f"{name} ended as {trial.state} ({trial.reason})")


def _events(tx: Transaction, study_id: StudyId, known: list[Trial]) -> Iterator[Violation]:
    ends: Counter[int] = Counter()
    last = 0
    while page := events.after(tx, study_id, last, 1_000):
        last = page[-1].id
        ends.update(event.data["trial_id"] for event in page if event.kind == "trial_finished")
    for trial in known:
        wanted = 0 if trial.state in OPEN_TRIAL_STATES else 1
        if ends[trial.id] != wanted:
            what = f"trial {trial.number} has {ends[trial.id]} events of its end"
            yield repeated(what) if ends[trial.id] > wanted else lost(what)


def _acknowledged(tx: Transaction, history: History) -> Iterator[Violation]:
    """Each write that was answered with ok is there; an unknown one may be."""
    for report in history.reports:
        if report.status == "refused":  # no worker of ours ever says two things of one run
            yield wrong(f"run {report.run}: its own result, repeated, was refused")
    told = [report for report in history.reports if report.status == "ok"]
    stored = {row.id: row for row in tx.execute(select(run_rows))}
    chunks = _chunks_by_seq(tx, {report.run for report in told})
    for report in told:
        row = stored.get(report.run)
        if row is None:
            yield lost(f"run {report.run} was reported on and is gone")
            continue
        if report.points and chunks.get((report.run, report.seq)) != report.points:
            there = chunks.get((report.run, report.seq))
            yield lost(
                f"run {report.run}, report {report.seq}: {report.points} points were acknowledged, {there} are there"
            )
        if report.state is not None and row.state != report.state:
            yield lost(f"run {report.run} was acknowledged as {report.state} and is {row.state}")
        if row.worker_id != report.worker:
            yield wrong(f"worker {report.worker} wrote to run {report.run} of worker {row.worker_id}")


def _chunks_by_seq(tx: Transaction, ids: set[int]) -> dict[tuple[int, int], int]:
    found = {}
    for row in tx.execute(select(metrics.metric_chunks)):
        if row.run_id in ids:
            series = metrics.unpack(row.data)
            found[row.run_id, row.seq] = sum(len(points.steps) for points in series.values())
    return found


def _curves(tx: Transaction, known: list[Trial], attempts: dict[int, list[Run]]) -> Iterator[Violation]:
    """The curve of each completed trial is whole: every point once, in order, with its own values."""
    done = [trial for trial in known if trial.state is TrialState.COMPLETED]
    for start in range(0, len(done), READ_TOGETHER):
        yield from _some_curves(tx, done[start : start + READ_TOGETHER], attempts)


def _some_curves(tx: Transaction, done: list[Trial], attempts: dict[int, list[Run]]) -> Iterator[Violation]:
    curves = metrics.chunks(tx, [attempts[trial.id][-1].id for trial in done])
    for trial in done:
        run = attempts[trial.id][-1]
        pieces = curves[run.id]
        steps = [step for piece in pieces for step in piece["loss"].steps]
        values = [value for piece in pieces for value in piece["loss"].values]
        if steps != list(range(1, POINTS + 1)):
            yield wrong(f"trial {trial.number}, run {run.id}: its curve has the steps {steps}")
        elif values != expected_points(trial.params, run.id):
            yield repeated(f"trial {trial.number}: its curve holds another run's values")


def _holders(history: History) -> Iterator[Violation]:
    """At most one worker per epoch of a trial."""
    holders: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for worker, run, trial, epoch in history.leases:
        holders[trial, epoch].add((worker, run))
    for (trial, epoch), who in holders.items():
        if len(who) > 1:
            yield repeated(f"epoch {epoch} of trial {trial} was held by {sorted(who)}")
