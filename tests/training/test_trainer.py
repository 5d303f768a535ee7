import json
import math
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hpsearch.records import Program
from hpsearch.spec import Objective
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE
from tests.training.bench import Bench, digits

GOLDEN = Path(__file__).parent / "golden_losses.json"


def golden_case(name: str) -> Any:
    cases = {
        "mlp": digits(steps=40, learning_rate=0.05, momentum=0.9, dropout=0.2),
        "cnn": digits(steps=20, model="cnn", optimizer="adamw", learning_rate=1e-3, channels=4),
    }
    return cases[name]


def machine() -> dict[str, str]:
    """What bit-identical floating-point results depend on."""
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "vendor": processor_vendor(),
    }


def processor_vendor() -> str:
    """MKL multiplies in another order on another maker's processor; empty where nothing tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_losses_are_the_committed_ones(bench: Bench, name: str) -> None:
    """Refactors keep numbers: bit for bit on the machine they were written on, within rounding elsewhere."""
    golden = json.loads(GOLDEN.read_text())
    _, curves = bench.run(golden_case(name))
    losses = list(curves["loss"].values)
    if golden["machine"] == machine():
        assert losses == golden["losses"][name]
    assert losses == pytest.approx(golden["losses"][name], rel=2e-3)


SCRIPT = """
import json, sys, pathlib
from tests.training.bench import Bench, digits
from hpsearch.training.program import Place
folder = pathlib.Path(sys.argv[1])
_, curves = Bench(Place("cpu", folder, folder, None)).run(digits(steps=40, dropout=0.3, learning_rate=0.05))
print(json.dumps(curves["loss"].values))
"""


def test_losses_are_the_same_in_any_process_and_after_any_other_trial(bench: Bench, tmp_path: Path) -> None:
    wanted = digits(steps=40, dropout=0.3, learning_rate=0.05)
    _, first = bench.run(wanted)
    torch.manual_seed(99)
    bench.run(digits(steps=30, model="cnn", optimizer="adam", seed=5, dropout=0.5))
    _, again = bench.run(wanted)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "other")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert again == first
    assert json.loads(run.stdout) == list(first["loss"].values)


def test_trials_of_one_replicate_share_initial_weights_and_data_order(bench: Bench) -> None:
    _, slow = bench.run(digits(steps=1, learning_rate=1e-4))
    _, fast = bench.run(digits(steps=1, learning_rate=1.0))
    _, other = bench.run(digits(steps=1, learning_rate=1.0, replicate=1))
    assert slow["loss"] == fast["loss"]
    assert other["loss"] != fast["loss"]


def test_curves_have_the_promised_steps(bench: Bench) -> None:
    outcome, curves = bench.run(digits(epochs=2.5, learning_rate=0.05))
    assert outcome.state == "completed"
    assert outcome.steps == 42  # 17 steps an epoch, 2.5 epochs
    assert curves["loss"].steps == tuple(range(1, 43))
    measured = (1, 11, 21, 31, 41)
    assert (
        curves["grad_norm"].steps == curves["update_ratio"].steps == curves["learning_rate"].steps == measured
    )
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert curves[name].steps == (17, 34, 42)


def test_an_epoch_sees_each_sample_at_most_once_and_drops_the_partial_batch(bench: Bench) -> None:
    outcome, _ = bench.run(digits(epochs=1, batch_size=1000))
    assert outcome.measurements["steps_per_epoch"] == 1
    outcome, curves = bench.run(digits(epochs=2, batch_size=5000))
    assert outcome.measurements["steps_per_epoch"] == 1  # the batch is the set
    assert len(curves["loss"].steps) == 2


def test_digits_reach_96_percent(bench: Bench) -> None:
    outcome, _ = bench.run(digits(epochs=15, learning_rate=0.1, momentum=0.9, weight_decay=1e-4))
    assert outcome.value is not None
    assert outcome.value >= 0.96
    assert outcome.value == outcome.metrics["best_val_accuracy"]
    assert outcome.measurements["train_size"] == 1150


def test_measurements_hold_the_features_and_sizes(bench: Bench) -> None:
    outcome, curves = bench.run(digits(epochs=4, learning_rate=0.05))
    found = outcome.measurements
    losses = curves["loss"].values
    assert found["last_losses"] == list(losses[-20:])
    assert found["first_loss"] == losses[0]
    assert (found["classes"], found["val_size"], found["steps_per_epoch"]) == (10, 287, 17)
    assert "val_loss_best" in found
    assert found["seconds"] > 0  # type: ignore[operator]


def test_the_best_snapshot_is_kept_and_tested(bench: Bench) -> None:
    program = Program(kind="train", test=True)
    assignment = digits(epochs=6, learning_rate=0.2, momentum=0.9, program=program)
    outcome, curves = bench.run(assignment)
    best = max(curves["val_accuracy"].values)
    assert outcome.value == best
    assert 0.5 < outcome.metrics["test_accuracy"] <= 1
    weights = load_file(bench.place.work_dir / BEST_FILE)
    assert set(weights) == {"1.weight", "1.bias", "3.weight", "3.bias"}
    assert not (bench.place.work_dir / LAST_FILE).exists()


def test_an_objective_to_minimize_picks_the_lowest(bench: Bench) -> None:
    objective = Objective(metric="val_loss", direction="minimize")
    outcome, curves = bench.run(digits(epochs=6, learning_rate=0.2, momentum=0.9, objective=objective))
    assert outcome.value == min(curves["val_loss"].values)


def test_the_test_set_stays_closed_unless_asked_for(bench: Bench) -> None:
    outcome, _ = bench.run(digits(epochs=1))
    assert not [name for name in outcome.metrics if name.startswith("test_")]


def test_too_high_a_learning_rate_is_a_result(bench: Bench) -> None:
    outcome, curves = bench.run(digits(steps=300, learning_rate=100.0, momentum=0.9))
    assert outcome.state == "diverged"
    assert outcome.value is None
    assert outcome.measurements["diverged_at"] == curves["loss"].steps[-1]
    assert math.isfinite(outcome.metrics["loss"])
    finite = [loss for loss in curves["loss"].values if math.isfinite(loss)]
    assert outcome.metrics["loss"] == finite[-1]


def test_a_subset_is_learnt_by_heart_and_training_stops_there(bench: Bench) -> None:
    program = Program(kind="train", subset_batches=8, stop_when_fit=True, overrides={"dropout": 0.0})
    outcome, curves = bench.run(
        digits(steps=1000, learning_rate=0.1, momentum=0.9, dropout=0.5, program=program)
    )
    fit_at = outcome.measurements["fit_at"]
    assert outcome.state == "completed"
    assert fit_at == curves["train_accuracy"].steps[-1] == outcome.steps < 300
    assert fit_at % 8 == 0  # type: ignore[operator]
    assert curves["train_accuracy"].values[-1] == 1.0
    assert all(accuracy < 1 for accuracy in curves["train_accuracy"].values[:-1])
    assert len(curves["val_accuracy"].steps) == 1
    assert (outcome.measurements["train_size"], outcome.measurements["conflicts"]) == (512, 0)


def test_a_subset_that_is_not_learnt_trains_to_its_budget(bench: Bench) -> None:
    program = Program(kind="train", subset_batches=5, stop_when_fit=True)
    outcome, curves = bench.run(digits(steps=12, learning_rate=1e-5, program=program))
    assert outcome.steps == 12
    assert "fit_at" not in outcome.measurements
    assert curves["train_loss"].steps == (5, 10, 12)


def test_overrides_win_over_params(bench: Bench) -> None:
    program = Program(kind="train", overrides={"learning_rate": 0.02})
    _, overridden = bench.run(digits(steps=5, learning_rate=0.5, program=program))
    _, plain = bench.run(digits(steps=5, learning_rate=0.02))
    assert overridden["loss"] == plain["loss"]


def test_a_schedule_shows_in_the_learning_rate_curve(bench: Bench) -> None:
    _, curves = bench.run(digits(epochs=4, learning_rate=0.1, schedule="step", step_factor=0.1))
    rates = dict(zip(curves["learning_rate"].steps, curves["learning_rate"].values, strict=True))
    assert rates[31] == pytest.approx(0.1)
    assert rates[41] == pytest.approx(0.01)


def test_regularization_changes_training_and_not_the_first_loss(bench: Bench) -> None:
    _, plain = bench.run(digits(steps=30, learning_rate=0.05))
    for change in ({"weight_decay": 0.1}, {"l1": 0.01}, {"clip_norm": 0.1}):
        _, other = bench.run(digits(steps=30, learning_rate=0.05, **change))
        assert other["loss"].values[0] == plain["loss"].values[0]
        assert other["loss"].values[-1] != plain["loss"].values[-1]


def test_validation_loss_is_measured_without_label_smoothing(bench: Bench) -> None:
    _, smooth = bench.run(digits(steps=1, learning_rate=1e-8, label_smoothing=0.5))
    _, plain = bench.run(digits(steps=1, learning_rate=1e-8))
    assert smooth["loss"] != plain["loss"]
    assert smooth["val_loss"].values == pytest.approx(plain["val_loss"].values, rel=1e-5)


@pytest.mark.parametrize("loss", ["multiclass_hinge", "binary_cross_entropy", "mse", "mae"])
def test_digits_are_learnt_with_every_loss(bench: Bench, loss: str) -> None:
    outcome, _ = bench.run(digits(epochs=8, loss=loss, optimizer="adam", learning_rate=3e-3))
    assert outcome.value is not None
    assert outcome.value > 0.8


def test_reports_are_stretches_that_do_not_overlap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.training.reporter.REPORT_POINTS", 20)
    _, curves = bench.run(digits(epochs=3))
    assert len(bench.reports) > 2
    assert curves["loss"].steps == tuple(range(1, 52))


if __name__ == "__main__":
    # Rewrites the golden losses: python -m tests.training.test_trainer
    from tempfile import mkdtemp

    from hpsearch.training.program import Place

    place = Place("cpu", Path(mkdtemp()), Path(mkdtemp()), None)
    losses = {name: Bench(place).run(golden_case(name))[1]["loss"].values for name in ("mlp", "cnn")}
    GOLDEN.write_text(json.dumps({"machine": machine(), "losses": losses}, indent=1) + "\n")
