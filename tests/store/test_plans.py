"""What keeps a claim as cheap at the hundred-thousandth trial as at the first."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from hpsearch.records import Budget, Program, StageKind, TrialPlan
from hpsearch.spec import parse_spec
from hpsearch.store import stages, studies, trials
from hpsearch.store.engine import Database

CLAIM = "SELECT id FROM trials WHERE study_id = 1 AND state = 'waiting' AND id > 5 ORDER BY id LIMIT 16"
EXPIRED = "SELECT id FROM runs WHERE state = 'active' AND lease_until < 5.0"
EVENTS = "SELECT id FROM events WHERE study_id = 1 AND id > 5 ORDER BY id LIMIT 10"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (CLAIM, "ix_trials_study_id_state_id"),
        (EXPIRED, "ix_runs_state_lease_until"),
        (EVENTS, "ix_events_study_id_id"),
    ],
)
def test_frequent_queries_are_answered_by_an_index(db: Database, query: str, index: str) -> None:
    if db.dialect == "sqlite":
        with db.read() as tx:
            plan = " ".join(str(row.detail) for row in tx.execute(text(f"EXPLAIN QUERY PLAN {query}")))
        assert index in plan
        assert "TEMP B-TREE" not in plan
        return
    with db.write() as tx:
        tx.execute(text("SET LOCAL enable_seqscan = off"))  # an empty table is scanned otherwise
        tx.execute(text("SET LOCAL enable_bitmapscan = off"))
        plan = " ".join(str(row[0]) for row in tx.execute(text(f"EXPLAIN {query}")))
    assert index in plan


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
