import math
from typing import Any

import pytest

from hpsearch.service import studies


def test_best_names_ties_within_the_winners_error(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=5))
    values = {0: 0.90, 1: 0.95, 2: 0.94, 3: 0.80, 4: math.nan}
    fleet.train_all(fleet.worker(), lambda lease: make.done(values[lease.number], objective_se=0.02))
    best = studies.best(fleet.db, "small", 10).best
    assert [one.number for one in best] == [1, 2, 0, 3]
    assert (best[0].standard_error, best[0].replicates) == (0.02, 1)
    assert [tie.number for tie in best[0].ties] == [2]
    assert studies.get(fleet.db, "small").best_value == 0.95


def test_best_of_a_loss_is_the_lowest(fleet: Any, make: Any) -> None:
    objective = {"metric": "val_loss", "direction": "minimize"}
    fleet.study(make.small(points=3, objective=objective))
    fleet.train_all(fleet.worker(), lambda lease: make.done(1.0 + lease.number))
    (best,) = studies.best(fleet.db, "small", 1).best
    assert (best.number, best.value, best.ties) == (0, 1.0, ())
    assert studies.get(fleet.db, "small").best_value == 1.0


def test_best_of_replicates_is_their_mean_with_its_error(fleet: Any, make: Any) -> None:
    fleet.study(make.small(points=3, replicates=2))
    values = [0.9, 0.7, 0.85, 0.83, 0.84, 0.80]  # a lucky first point
    fleet.train_all(fleet.worker(), lambda lease: make.done(values[lease.number]))
    first, second, third = studies.best(fleet.db, "small", 3).best
    assert [first.number, second.number, third.number] == [2, 4, 0]
    assert first.value == pytest.approx(0.84)
    assert first.standard_error == pytest.approx(0.01)
    assert first.replicates == 2
    assert first.ties == ()


def test_an_open_study_without_values_has_no_best(fleet: Any, make: Any) -> None:
    fleet.study(make.grid())
    assert studies.best(fleet.db, "grid", 3).best == ()
