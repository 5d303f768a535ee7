from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax

from hpsearch.records import Program
from hpsearch.spec import Objective
from hpsearch.training.checkpoint import LAST_FILE
from hpsearch.training.ensemble import averaged, ensemble_metric
from hpsearch.training.metrics import build_metric
from hpsearch.training.named import DatasetModel
from hpsearch.training.prepared import prepare
from hpsearch.training.seeds import Seeds
from hpsearch.training.selection import Selection
from hpsearch.vocabulary import hyperparameters
from tests.training.bench import Bench, StopAt, digits

WORK = {"learning_rate": 0.1, "momentum": 0.9, "dropout": 0.3}


def test_probabilities_are_averaged_and_not_logits() -> None:
    outputs = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)) * 3
    found = averaged(list(outputs), build_metric("accuracy"))
    wanted = softmax(outputs.double().numpy(), axis=-1).mean(0)
    assert found.softmax(1).numpy() == pytest.approx(wanted, abs=1e-5)
    several = averaged(list(outputs), build_metric("multilabel_accuracy")).numpy()
    assert several == pytest.approx(logit(expit(outputs.double().numpy()).mean(0)), abs=1e-3)
    regression = averaged(list(outputs), build_metric("mse")).numpy()
    assert regression == pytest.approx(outputs.numpy().mean(0), abs=1e-6)


def test_the_best_snapshots_are_kept_best_first() -> None:
    selection = Selection(Objective(), ("val_accuracy", "val_loss"), size=3)
    records = [(0.5, 1.0), (0.7, 0.9), (0.6, 0.8), (0.7, 0.9), (0.4, 2.0), (0.7, 0.5), (float("nan"), 0.1)]
    for step, (accuracy, loss) in enumerate(records):
        selection.consider(step, {"val_accuracy": accuracy, "val_loss": loss}, torch.nn.Linear(1, 1))
    assert [snapshot.step for snapshot in selection.kept] == [5, 1, 3]
    assert selection.best is selection.kept[0]


def test_an_ensemble_stands_beside_the_single_best(bench: Bench) -> None:
    program = Program(kind="train", test=True)
    single, _ = bench.run(digits(epochs=8, program=program, **WORK))
    together, _ = bench.run(digits(epochs=8, program=program, snapshots=4, **WORK))
    assert set(together.metrics) - set(single.metrics) == {"ensemble_val_accuracy", "ensemble_test_accuracy"}
    assert {name: together.metrics[name] for name in single.metrics} == single.metrics
    assert together.value == single.value
    assert 0.9 < together.metrics["ensemble_test_accuracy"] <= 1
    closed, _ = bench.run(digits(epochs=8, snapshots=4, **WORK))
    assert "ensemble_val_accuracy" in closed.metrics
    assert "ensemble_test_accuracy" not in closed.metrics


def test_one_snapshot_repeated_is_that_snapshot(tmp_path: Path) -> None:
    task = DatasetModel("digits", "mlp", "accuracy", tmp_path)
    prepared = prepare(task, hyperparameters({}), Program(kind="train"), Seeds(0, 0), "cpu")
    model, selection = prepared.new_model(), Selection(Objective(), ("val_accuracy",))
    selection.consider(1, {"val_accuracy": 0.5, "val_loss": 1.0}, model)
    alone = prepared.evaluate(model, prepared.validation, torch.arange(prepared.validation.count)).metric
    assert ensemble_metric(model, selection.kept * 2, prepared, prepared.validation) == alone
    assert np.isfinite(alone)


def test_a_stopped_run_keeps_its_snapshots(bench: Bench) -> None:
    wanted = digits(epochs=6, snapshots=3, **WORK)
    straight, _ = bench.run(wanted)
    bench.run(wanted, StopAt(12))
    resumed, _ = bench.run(wanted, start=bench.place.work_dir / LAST_FILE)
    assert 0 < resumed.steps < straight.steps
    assert (resumed.value, resumed.metrics) == (straight.value, straight.metrics)
