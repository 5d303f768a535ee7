"""What keeps a claim as cheap at the hundred-thousandth trial as at the first."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from hpsearch.records import Budget, Program, RunId, StageKind, StudyId, TrialPlan, WorkerId
from hpsearch.spec import parse_spec
from hpsearch.store import events, past_runs, runs, stages, studies, tables, trials
from hpsearch.store.engine import Database, Transaction

SPEC = parse_spec(
    {
        "name": "plain",
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "method": "grid",
        "space": {"learning_rate": [0.1, 0.2]},
    }
)


def plan(rate: float, replicate: int = 0) -> TrialPlan:
    return TrialPlan(
        program=Program(kind="train"),
        params={"learning_rate": rate},
        replicate=replicate,
        budget=Budget(epochs=1),
    )


MANY = 3_000  # so many that the planner weighs its ways


@pytest.fixture
def lived_in(db: Database) -> Database:
    """Two studies of many trials; the first worker's runs, and the first study's events, came long before others."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with db.write() as tx:
        for name in ("first", "second"):
            study = studies.insert_study(tx, SPEC.model_copy(update={"name": name}), now=now)
            stage = stages.insert_stage(tx, study, StageKind.SEARCH, round_number=0, now=now)
            plans = (plan(1 / (number + 1)) for number in range(MANY))
            trials.insert_plans(tx, study, stage, plans, first_number=0, now=now)
        worker = {
            "incarnation": 1,
            "state": "active",
            "host": "h",
            "version": "0",
            "slots": "[]",
            "slot_count": 1,
        }
        when = {"registered_at": now, "last_seen_at": now}
        tx.execute(insert(tables.workers), [{"name": n, "labels": [], **worker, **when} for n in "abcde"])
        run = {"epoch": 1, "slot": 0, "state": "completed", "message": "", "stop": False}
        more = {"study_id": 1, "last_seq": 0, "lease_until": now, "started_at": now}
        known = [(1 if trial <= MANY // 20 else 2 + trial % 4, trial) for trial in range(1, MANY + 1)]
        tx.execute(
            insert(tables.runs),
            [
                {"worker_id": w, "trial_id": t, "request_id": f"request-{t // 16}", **run, **more}
                for w, t in known
            ],
        )
        happened = {"kind": "study_changed", "data": {}, "at": now}
        tx.execute(insert(tables.events), [{"study_id": min(w, 2), **happened} for w, _ in known])
    if db.dialect == "postgresql":  # does it by itself within a minute; SQLite never
        with db.write() as tx:
            tx.execute(text("ANALYZE"))
    return db


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
QUERIES: dict[str, tuple[Callable[[Transaction], Any], str]] = {
    "waiting": (lambda tx: trials.waiting(tx, StudyId(2), 16), "ix_trials_study_id_state_id"),
    "expired": (lambda tx: runs.studies_with_expired(tx, now=LONG_AGO), "ix_runs_state_lease_until"),
    "last states": (lambda tx: past_runs.last_states(tx, [WorkerId(1)]), "ix_runs_worker_id_id"),
    "last ended": (lambda tx: past_runs.last_ended(tx, WorkerId(1), 10), "ix_runs_worker_id_id"),
    "results": (lambda tx: past_runs.last_results(tx, StudyId(1), 10), "ix_runs_study_id_state_id"),
    "others'": (
        lambda tx: past_runs.last_ended_by_others(tx, StudyId(1), WorkerId(1), 3),
        "ix_runs_study_id_state_id",
    ),
    "pack": (
        lambda tx: past_runs.last_end_in_pack(tx, runs.lock(tx, [RunId(7)])[RunId(7)]),
        "ix_runs_worker_id_state_request_id",
    ),
    "events after": (lambda tx: events.after(tx, StudyId(2), 5, 10), "ix_events_study_id_id"),
    "newest event": (lambda tx: events.newest(tx, StudyId(1)), "ix_events_study_id_id"),
    "newest events": (
        lambda tx: events.newest_of(tx, StudyId(1), "x", 5, since=LONG_AGO),
        "ix_events_study_id_id",
    ),
}
SORTED = ("expired", "newest events")  # what the index led to is little


@pytest.mark.parametrize("query", QUERIES)
def test_frequent_queries_are_answered_by_their_index(lived_in: Database, query: str) -> None:
    """And by no other: the primary key's order would lead past all that belongs to others."""
    ask, index = QUERIES[query]
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with lived_in.read() as tx:
        event.listen(tx, "before_cursor_execute", note)
        ask(tx)
        statement, parameters = asked[-1]
        explain = "EXPLAIN QUERY PLAN " if lived_in.dialect == "sqlite" else "EXPLAIN "
        found = " ".join(str(row[-1]) for row in tx.exec_driver_sql(explain + statement, parameters))
    assert index in found
    if lived_in.dialect == "sqlite" and ".id > ?" in statement:
        assert "id>?" in found, "it seeks to the id, and does not walk there"
    if query not in SORTED:
        assert "TEMP B-TREE" not in found
        assert "Sort" not in found


def test_a_digest_is_planned_once_however_often_it_is_asked_for(db: Database) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with db.write() as tx:
        study_id = studies.insert_study(tx, SPEC, now=now)
        stage = stages.insert_stage(tx, study_id, StageKind.SEARCH, round_number=0, now=now)
        twice = [plan(0.1), plan(0.1), plan(0.2)]
        first = trials.insert_plans(tx, study_id, stage, twice, first_number=0, now=now)
        more = [plan(0.2), plan(0.1, replicate=1), plan(0.3)]
        second = trials.insert_plans(tx, study_id, stage, more, first_number=first, now=now)
        found = trials.of_study(tx, study_id)
    assert (first, second) == (2, 2)
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    assert [(trial.params["learning_rate"], trial.replicate) for trial in found] == [
        (0.1, 0),
        (0.2, 0),
        (0.1, 1),
        (0.3, 0),
    ]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_plan_that_was_made_for_an_empty_table_is_not_kept_when_it_has_grown(db: Database) -> None:
    with db.write() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE grown (id bigint PRIMARY KEY, state text) ON COMMIT DROP"))
        tx.execute(text("ANALYZE grown"))
        tx.execute(text("PREPARE one (bigint) AS SELECT state FROM grown WHERE id = $1"))
        for _ in range(6):  # five to see what planning costs, then Postgres would keep a plan for all
            tx.execute(text("EXECUTE one (7)"))
        tx.execute(text("INSERT INTO grown SELECT n, 'active' FROM generate_series(1, 20000) n"))
        shown = " ".join(tx.execute(text("EXPLAIN EXECUTE one (7)")).scalars())
        tx.execute(text("DEALLOCATE one"))
    assert "Index" in shown, shown
    assert "Seq Scan" not in shown, shown
