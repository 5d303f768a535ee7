"""Rows of examinations: kept beside the studies they serve, listed with none of them, gone with theirs."""

from datetime import UTC, datetime, timedelta

import pytest

from hpsearch.records import StudyId, StudyState, TrialId, TrialState
from hpsearch.spec import parse_spec
from hpsearch.store import catalogue, examinations, studies
from hpsearch.store.engine import Database, Transaction, TransactionConflict
from hpsearch.store.study_row import StudyRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = {
    "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
    "method": "grid",
    "space": {"learning_rate": [0.1, 0.2]},
    "resources": {"priority": 3, "labels": ["big"]},
}


def study(tx: Transaction, name: str) -> StudyRow:
    row = studies.get(tx, studies.insert_study(tx, parse_spec({**SPEC, "name": name}), now=NOW))
    assert row is not None
    return row


def examine(tx: Transaction, parent: StudyRow, trial: int) -> StudyRow:
    made = examinations.insert_examination(tx, parent, TrialId(trial), f"diagnosis:{trial}", now=NOW)
    row = studies.get(tx, made)
    assert row is not None
    return row


def test_an_examination_stands_on_its_study_s_terms(db: Database) -> None:
    with db.write() as tx:
        parent = study(tx, "one")
        studies.change(tx, parent.id, deadline=NOW + timedelta(hours=1))
        parent = study_again(tx, parent.id)
        made = examine(tx, parent, 7)
        assert (made.parent_id, made.study.examines) == (parent.id, 7)
        assert (made.spec, made.labels, made.deadline) == (parent.spec, parent.labels, parent.deadline)
        assert (made.state, made.planned, made.study.best_value) == (StudyState.RUNNING, 0, None)
        assert sum(made.study.trial_counts.values()) == 0
        assert (parent.parent_id, parent.study.examines) == (None, None)


def study_again(tx: Transaction, study_id: StudyId) -> StudyRow:
    row = studies.lock(tx, study_id)
    assert row is not None
    return row


def test_it_is_found_by_trial_and_study_and_listed_among_no_studies(db: Database) -> None:
    with db.write() as tx:
        first, second = study(tx, "one"), study(tx, "two")
        examine(tx, first, 7)
        examine(tx, first, 5)
        examine(tx, second, 9)
        assert [row.study.examines for row in examinations.of_study(tx, first.id)] == [7, 5]
        found = examinations.of_trial(tx, TrialId(9), lock=True)
        assert found is not None
        assert found.parent_id == second.id
        assert examinations.of_trial(tx, TrialId(8)) is None
        listed, total = catalogue.page(tx, state=None, before=None, limit=10)
        assert ([one.name for one in listed], total) == (["two", "one"], 2)
        assert catalogue.names(tx) == ["two", "one"]


def test_relatives_share_one_budget(db: Database) -> None:
    with db.write() as tx:
        first, second = study(tx, "one"), study(tx, "two")
        one, other = examine(tx, first, 7), examine(tx, first, 5)
        examine(tx, second, 9)
        assert {row.id for row in examinations.relatives(tx, first)} == {one.id, other.id}
        assert {row.id for row in examinations.relatives(tx, one)} == {first.id, other.id}


def test_a_trial_has_one_examination_whoever_asks(db: Database) -> None:
    with db.write() as tx:
        parent = study(tx, "one")
        examine(tx, parent, 7)
    with pytest.raises(TransactionConflict, match="duplicate"), db.write() as tx:
        examinations.insert_examination(tx, parent, TrialId(7), "another", now=NOW)


def test_a_study_takes_its_examinations_with_it(db: Database) -> None:
    with db.write() as tx:
        first, second = study(tx, "one"), study(tx, "two")
        examine(tx, first, 7)
        kept = examine(tx, second, 9)
        studies.count_trials(tx, kept.id, {TrialState.WAITING: 1}, planned=1)
        studies.delete_study(tx, first.id)
        assert examinations.of_study(tx, first.id) == []
        assert [row.id for row in examinations.of_study(tx, second.id)] == [kept.id]
        studies.delete_study(tx, kept.id)
        assert studies.get(tx, second.id) is not None
