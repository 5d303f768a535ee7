from pathlib import Path

import pytest

from hpsearch.records import Points, RunId, Series
from hpsearch.worker.backlog import Backlog, join, point_count, split

RUN, OTHER = RunId(1), RunId(2)


def stretch(start: int, count: int, name: str = "loss") -> Series:
    steps = tuple(range(start, start + count))
    return {name: Points(steps=steps, values=tuple(step / 2 for step in steps))}


@pytest.fixture(params=[1_000_000, 0], ids=["memory", "file"])
def backlog(request: pytest.FixtureRequest, tmp_path: Path) -> Backlog:
    return Backlog(tmp_path / "backlog", memory_points=request.param)


def test_points_come_out_in_the_order_they_went_in(backlog: Backlog) -> None:
    for start in range(0, 50, 10):
        backlog.add(RUN, stretch(start, 10))
    assert backlog.take(RUN, 1000) == stretch(0, 50)
    assert not backlog.has(RUN)


def test_no_more_points_are_taken_than_asked_for_and_none_is_lost(backlog: Backlog) -> None:
    for start in range(0, 100, 30):
        backlog.add(RUN, {**stretch(start, 30), **stretch(start, 30, "val_loss")})
    taken = []
    while backlog.has(RUN):
        taken.append(backlog.take(RUN, 7))
    assert max(point_count(series) for series in taken) == 7
    whole = join(taken)
    assert whole["loss"] == stretch(0, 120)["loss"]
    assert whole["val_loss"].values == whole["loss"].values


def test_runs_do_not_mix_and_a_dropped_run_is_forgotten(backlog: Backlog) -> None:
    backlog.add(RUN, stretch(0, 3))
    backlog.add(OTHER, stretch(10, 3))
    backlog.drop(RUN)
    assert not backlog.has(RUN)
    assert backlog.take(OTHER, 100) == stretch(10, 3)


def test_non_finite_values_survive_the_file(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "backlog", memory_points=0)
    backlog.add(RUN, {'a "quoted" name': Points(steps=(1, 2), values=(float("inf"), float("nan")))})
    (name, points), *_ = backlog.take(RUN, 10).items()
    assert name == 'a "quoted" name'
    assert points.values[0] == float("inf")
    assert points.values[1] != points.values[1]


def test_file_shrinks_when_it_is_read_and_goes_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "backlog"
    backlog = Backlog(file, memory_points=10)
    backlog.add(RUN, stretch(0, 10))
    assert not file.exists()
    backlog.add(RUN, stretch(10, 10))
    assert file.stat().st_size > 0
    backlog.take(RUN, 100)
    assert file.stat().st_size == 0
    backlog.close()
    assert not file.exists()


def test_split_takes_the_first_points() -> None:
    head, rest = split({**stretch(0, 5), **stretch(0, 5, "val_loss")}, 7)
    assert point_count(head) == 7
    assert head["loss"].steps == (0, 1, 2, 3, 4)
    assert rest["val_loss"].steps == (2, 3, 4)
