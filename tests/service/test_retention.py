"""What the retention rule finds, beyond the curves and checkpoints of `tests/operations/test_retention.py`."""

from typing import Any

from hpsearch.records import FailureReason, Outcome
from hpsearch.service import retention, studies, trials
from hpsearch.store import studies as rows
from hpsearch.wire import Prune

DAY = 86_400


def play(fleet: Any, spec: Any, *outcomes: Outcome) -> None:
    """A study of commands, as it were: its trials print, and neither draw curves nor keep checkpoints."""
    fleet.study(spec)
    worker = fleet.worker()
    for outcome in outcomes:
        run = fleet.one(worker).run_id
        fleet.report(worker.id, run, seq=0, log="words")
        fleet.report(worker.id, run, outcome, seq=1)


def logs(fleet: Any, key: str) -> list[str]:
    return ["".join(log.text for log in trials.log(fleet.db, trial.id)) for trial in fleet.trials(key)]


def pruned(fleet: Any) -> tuple[int, ...]:
    return retention.prune(fleet.db, Prune(days=30, keep_best=1), now=fleet.clock.now).studies


def test_logs_go_also_where_there_are_no_curves_and_those_of_the_best_and_of_failed_trials_stay(
    fleet: Any, make: Any
) -> None:
    outcomes = [make.done(0.1), make.done(0.9), make.failed(FailureReason.ERROR)]
    play(fleet, make.small(points=3), *outcomes)
    assert pruned(fleet) == ()
    fleet.clock.advance(31 * DAY)
    assert pruned(fleet) == (studies.get(fleet.db, "small").id,)
    assert logs(fleet, "small") == ["", "words", "words"]


def test_a_study_that_holds_only_the_logs_of_failed_trials_is_not_spoken_of(fleet: Any, make: Any) -> None:
    play(fleet, make.small(points=1), make.failed(FailureReason.ERROR))
    fleet.clock.advance(31 * DAY)
    assert pruned(fleet) == ()
    assert logs(fleet, "small") == ["words"]


def test_a_study_whose_spec_can_not_be_read_keeps_all_and_the_others_are_pruned(
    fleet: Any, make: Any
) -> None:
    for name in ("older", "small"):
        play(fleet, make.small(name), make.done(0.1), make.done(0.9))
    older = studies.get(fleet.db, "older")
    with fleet.db.write() as tx:
        rows.change(tx, older.id, spec={**older.spec, "colour": "blue"})
    fleet.clock.advance(31 * DAY)
    assert pruned(fleet) == (studies.get(fleet.db, "small").id,)
    assert (logs(fleet, "older"), logs(fleet, "small")) == (["words", "words"], ["", "words"])
