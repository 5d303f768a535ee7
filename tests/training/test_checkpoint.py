import logging
from pathlib import Path
from typing import Any

import pytest

from hpsearch.records import Points
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE
from tests.training.bench import Bench, StopAt, digits

OPTIMIZATIONS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    {"optimizer": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
    {"optimizer": "sgd", "learning_rate": 0.05, "dropout": 0.5},
    {"optimizer": "rmsprop", "learning_rate": 1e-3, "schedule": "cosine"},
    {"optimizer": "adagrad", "learning_rate": 1e-2, "clip_norm": 0.5, "l1": 1e-4},
]


def put_together(*parts: dict[str, Points]) -> dict[str, Points]:
    names = {name for part in parts for name in part}
    return {
        name: Points(
            steps=tuple(s for part in parts if name in part for s in part[name].steps),
            values=tuple(v for part in parts if name in part for v in part[name].values),
        )
        for name in names
    }


def timeless(measurements: dict[str, Any]) -> dict[str, Any]:
    clocks = ("seconds", "samples_per_second", "peak_memory")
    return {name: value for name, value in measurements.items() if name not in clocks}


# Questions come at steps 10, 17 (an epoch's end), 20, 30, 34, ...
@pytest.mark.parametrize("params", OPTIMIZATIONS, ids=lambda p: "-".join(map(str, p.values())))
@pytest.mark.parametrize("question", [3, 5], ids=["mid-epoch", "epoch-end"])
def test_a_stopped_run_resumes_bit_for_bit(bench: Bench, params: dict[str, Any], question: int) -> None:
    straight, whole = bench.run(digits(epochs=4, **params))
    best = (bench.place.work_dir / BEST_FILE).read_bytes()
    stopped, before = bench.run(digits(epochs=4, **params), StopAt(question))
    assert stopped.state == "released"
    last = bench.place.work_dir / LAST_FILE
    resumed, after = bench.run(digits(epochs=4, **params), start=last)
    assert put_together(before, after) == whole
    assert stopped.steps + resumed.steps == straight.steps
    assert 0 < stopped.steps < straight.steps
    assert (resumed.value, resumed.metrics) == (straight.value, straight.metrics)
    assert timeless(resumed.measurements) == timeless(straight.measurements)
    assert (bench.place.work_dir / BEST_FILE).read_bytes() == best


@pytest.mark.parametrize("short", [3, 2.4], ids=["whole-epochs", "part-of-an-epoch"])
def test_a_longer_run_continues_a_finished_one(bench: Bench, short: float) -> None:
    params = {"learning_rate": 0.1, "momentum": 0.9, "dropout": 0.3}
    straight, whole = bench.run(digits(epochs=15, **params))
    first, _ = bench.run(digits(epochs=short, **params), keep_last=True)
    longer, after = bench.run(digits(epochs=15, **params), start=bench.place.work_dir / LAST_FILE)
    assert first.state == longer.state == "completed"
    assert first.steps + longer.steps == straight.steps
    assert (longer.value, longer.metrics) == (straight.value, straight.metrics)
    assert timeless(longer.measurements) == timeless(straight.measurements)
    assert after["loss"].values == whole["loss"].values[first.steps :]


def test_a_checkpoint_of_the_end_has_nothing_left_to_train(bench: Bench) -> None:
    first, _ = bench.run(digits(epochs=2.5), keep_last=True)
    again, _ = bench.run(digits(epochs=2.5), start=bench.place.work_dir / LAST_FILE)
    assert again.steps == 0
    assert (again.value, again.metrics) == (first.value, first.metrics)


@pytest.fixture
def stopped(bench: Bench) -> Path:
    bench.run(digits(epochs=3), StopAt(2))
    return bench.place.work_dir / LAST_FILE


@pytest.mark.parametrize("place", [0, 4, 100, -1, -5000])
def test_a_flipped_bit_is_noticed_and_training_starts_afresh(
    bench: Bench, stopped: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    raw = bytearray(stopped.read_bytes())
    raw[place] ^= 0x10
    stopped.write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        outcome, curves = bench.run(digits(epochs=3), start=stopped)
    assert outcome.steps == 51
    assert curves["loss"].steps[0] == 1
    assert "from scratch" in caplog.text


@pytest.mark.parametrize("size", [0, 7, 500, 20_000])
def test_a_truncated_or_missing_checkpoint_is_noticed(
    bench: Bench, stopped: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    stopped.write_bytes(stopped.read_bytes()[:size])
    assert bench.run(digits(epochs=3), start=stopped)[0].steps == 51
    stopped.unlink()
    assert bench.run(digits(epochs=3), start=stopped)[0].steps == 51
    assert caplog.text.count("from scratch") == 2


@pytest.mark.parametrize(
    "other",
    [{"learning_rate": 0.5}, {"seed": 1}, {"replicate": 1}, {"hidden_units": 64}, {"model": "cnn"}],
    ids=lambda change: next(iter(change)),
)
def test_another_trials_checkpoint_is_not_continued(
    bench: Bench, stopped: Path, other: dict[str, Any]
) -> None:
    outcome, _ = bench.run(digits(epochs=3, **other), start=stopped)
    assert outcome.steps == 51


def test_a_schedule_over_the_whole_budget_is_not_continued_into_a_longer_one(bench: Bench) -> None:
    bench.run(digits(epochs=2, schedule="cosine"), keep_last=True)
    outcome, _ = bench.run(digits(epochs=3, schedule="cosine"), start=bench.place.work_dir / LAST_FILE)
    assert outcome.steps == 51


def test_a_run_goes_on_at_a_lower_rate_from_its_last_checkpoint(bench: Bench) -> None:
    params = {"learning_rate": 0.1, "momentum": 0.9}
    lowered = {**params, "schedule": "step", "step_epochs": 4.0, "step_factor": 0.1}
    straight, whole = bench.run(digits(epochs=5, **lowered))
    _, before = bench.run(digits(epochs=4, **params), keep_last=True)
    on, after = bench.run(digits(epochs=5, **lowered), start=bench.place.work_dir / LAST_FILE)
    assert put_together(before, after) == whole
    assert on.value == straight.value
    assert on.steps == straight.steps // 5


def test_a_run_that_was_cut_earlier_is_not_gone_on_with(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    params = {"learning_rate": 0.1, "momentum": 0.9}
    bench.run(digits(epochs=4, **params), keep_last=True)
    cut = {**params, "schedule": "step", "step_epochs": 2.0}
    with caplog.at_level(logging.WARNING):
        again, _ = bench.run(digits(epochs=5, **cut), start=bench.place.work_dir / LAST_FILE)
    assert "other learning rates" in caplog.text
    assert again.steps == bench.run(digits(epochs=5, **cut))[0].steps
