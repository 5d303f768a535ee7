import math

import pytest

from hpsearch.records import Outcome, Program, RunId, StudyId, TrialId
from hpsearch.spec import Objective
from hpsearch.tasks import NamedTask
from hpsearch.wire import Assignment, Lease
from hpsearch.worker.keeping import LONG_SECONDS, Keeper


def lease(
    study: str = "s",
    direction: str = "maximize",
    *,
    test: bool = False,
    number: int = 1,
    epoch: int = 1,
    study_id: int | None = None,
) -> Lease:
    assignment = Assignment(
        task=NamedTask(dataset="digits", model="mlp"),
        program=Program(kind="train", test=test),
        objective=Objective.model_validate({"direction": direction}),
    )
    return Lease(
        run_id=RunId(1),
        study=study,
        study_id=None if study_id is None else StudyId(study_id),
        trial_id=TrialId(1),
        number=number,
        epoch=epoch,
        assignment=assignment,
        lease_seconds=30,
    )


def of(value: float | None) -> Outcome:
    return Outcome(state="completed", value=value)


@pytest.mark.parametrize(("direction", "better", "worse"), [("maximize", 0.9, 0.8), ("minimize", 0.8, 0.9)])
def test_of_short_trials_each_record_of_its_study_is_kept(
    direction: str, better: float, worse: float
) -> None:
    keeper = Keeper()
    assert keeper.keeps(lease("a", direction), of(worse), 0.01)
    assert keeper.keeps(lease("a", direction), of(better), 0.01)
    assert not keeper.keeps(lease("a", direction), of(worse), 0.01)
    assert not keeper.keeps(lease("a", direction, number=2), of(better), 0.01)
    assert keeper.keeps(lease("b", direction), of(worse), 0.01)


def test_long_trials_and_those_that_open_the_test_set_are_kept() -> None:
    keeper = Keeper()
    keeper.keeps(lease(), of(1.0), 0.01)
    assert keeper.keeps(lease(), of(0.1), LONG_SECONDS)
    assert keeper.keeps(lease(test=True), of(0.1), 0.01)


def test_of_equals_those_are_kept_that_the_study_ranks_first() -> None:
    keeper = Keeper()
    assert keeper.keeps(lease(number=3), of(0.9), 0.01)
    assert not keeper.keeps(lease(number=4), of(0.9), 0.01)
    assert keeper.keeps(lease(number=2), of(0.9), 0.01)
    assert not keeper.keeps(lease(number=3), of(0.9), 0.01)


def test_a_trial_that_is_run_again_keeps_its_best_though_it_is_no_better_than_the_first_time() -> None:
    keeper = Keeper()
    assert keeper.keeps(lease(), of(0.9), 0.01)
    assert keeper.keeps(lease(), of(0.9), 0.01)


def test_a_later_run_replaces_what_an_earlier_one_has_sent() -> None:
    keeper = Keeper()
    keeper.keeps(lease(number=1), of(0.99), 0.01)
    assert keeper.keeps(lease(number=2), Outcome(state="released"), LONG_SECONDS)
    assert keeper.keeps(lease(number=2, epoch=2), of(0.9), 0.01)


def test_a_study_made_again_under_its_name_has_no_record_yet() -> None:
    keeper = Keeper()
    assert keeper.keeps(lease(study_id=1), of(0.99), 0.01)
    assert keeper.keeps(lease(study_id=2), of(0.5), 0.01)
    assert not keeper.keeps(lease(study_id=2), of(0.4), 0.01)


def test_without_an_id_as_from_an_older_server_the_name_tells_studies_apart() -> None:
    raw = lease("a", study_id=1).model_dump(exclude={"study_id"})
    assert Lease.model_validate(raw).study_id is None
    keeper = Keeper()
    assert keeper.keeps(lease("a"), of(0.9), 0.01)
    assert not keeper.keeps(lease("a"), of(0.8), 0.01)
    assert keeper.keeps(lease("b"), of(0.8), 0.01)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_no_number_is_no_record(value: float | None) -> None:
    assert not Keeper().keeps(lease(), of(value), 0.01)
