import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpsearch.records import Program
from hpsearch.tasks import NamedTask
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import reproducible
from hpsearch.training.task import Data, Task
from hpsearch.wire import Assignment
from tests.training.bench import Bench, digits, never

OFF = {"dropout": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0, "l1": 0.0}
CHECK = Program(kind="check", overrides=OFF)


class Clusters(Task):
    """Four separable clusters in ten dimensions; faults are planted by overriding."""

    def data(self, params: Any, seed: int) -> Data:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(600) % 4
        centres = torch.randn(4, 10, generator=generator)
        inputs = centres[labels] + 0.5 * torch.randn(600, 10, generator=generator)
        inputs = (inputs - inputs.mean(0)) / inputs.std(0)
        return Data((inputs[:400], labels[:400]), (inputs[400:], labels[400:]))

    def model(self, params: Any) -> nn.Module:
        return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))


def checked(task: Task, tmp_path: Path, **params: Any) -> dict[str, Any]:
    place = Place("cpu", tmp_path, tmp_path, None)
    named = NamedTask(dataset="digits", model="mlp")
    assignment = Assignment(task=named, program=CHECK, params=params)
    with reproducible("cpu", 1):
        return dict(run_task(task, assignment, place, lambda _: None, never).measurements)


def test_a_healthy_network_looks_healthy(bench: Bench) -> None:
    outcome, curves = bench.run(digits(program=CHECK))
    found: dict[str, Any] = dict(outcome.measurements)
    assert (outcome.state, outcome.value, outcome.steps, curves) == ("completed", None, 0, {})
    assert found["expected_loss"] == pytest.approx(math.log(10), rel=1e-5)
    assert len(found["initial_losses"]) == len(set(found["initial_losses"])) == 5
    assert all(0.9 < loss / found["expected_loss"] < 1.5 for loss in found["initial_losses"])
    assert found["floor_loss"] == pytest.approx(0, abs=1e-6)
    assert found["label_entropy"] == pytest.approx(math.log(10), rel=1e-3)
    assert found["majority_fraction"] == pytest.approx(0.1, abs=0.01)
    assert found["duplicate_ratio"] == pytest.approx(1, rel=1e-5)
    assert found["descent"] == pytest.approx(1, abs=0.1)
    assert found["decay_gain"] > 0
    assert found["input_abs_mean"] < 1
    assert found["feature_std_ratio"] == pytest.approx(1, rel=1e-3)
    assert found["nonfinite_inputs"] == 0
    assert found["val_mean_shift"] < 0.2
    assert found["val_std_ratio"] == pytest.approx(1, abs=0.1)
    assert found["gradient_ratio"] > 1e-2
    assert 0.1 < found["signal_ratio"] < 10
    assert (found["dead_fraction"], found["zero_weight_fraction"]) == (0, 0)
    assert (found["classes"], found["train_size"], found["val_size"]) == (10, 1150, 287)
    assert found["parameters"] == 64 * 128 + 128 + 128 * 10 + 10


def test_the_baseline_is_trainings_own_batches_without_updates(bench: Bench) -> None:
    outcome, _ = bench.run(digits(program=CHECK))
    baseline: Any = outcome.measurements["baseline_losses"]
    _, curves = bench.run(digits(steps=30, learning_rate=1e-8))
    assert len(baseline) == 20
    assert baseline == pytest.approx(list(curves["loss"].values[:20]), rel=1e-5)
    assert baseline[0] == curves["loss"].values[0]


@pytest.mark.parametrize("replicate", range(3))
def test_the_named_networks_start_near_the_expected_loss(bench: Bench, replicate: int) -> None:
    for model in ("mlp", "cnn"):
        outcome, _ = bench.run(digits(model=model, program=CHECK, replicate=replicate))
        losses: Any = outcome.measurements["initial_losses"]
        assert 0.9 < sorted(losses)[2] / math.log(10) < 1.5


def test_a_check_of_a_convolutional_network_measures_everything_finite(bench: Bench) -> None:
    outcome, _ = bench.run(digits(model="cnn", channels=4, program=CHECK))
    found = outcome.measurements
    scalars = [v for v in found.values() if not isinstance(v, list)]
    assert all(math.isfinite(v) for v in scalars)
    assert set(found) == set(bench.run(digits(program=CHECK))[0].measurements)


class DoubleSoftmax(Clusters):
    def loss(self, params: Any) -> Any:
        return lambda outputs, targets: nn.functional.cross_entropy(outputs.softmax(1), targets)


class SummedLoss(Clusters):
    def loss(self, params: Any) -> Any:
        return nn.CrossEntropyLoss(reduction="sum")


class Detached(Clusters):
    """A backward pass that points uphill, as a wrong hand-written gradient does."""

    def loss(self, params: Any) -> Any:
        def backwards(outputs: Tensor, targets: Tensor) -> Tensor:
            loss = nn.functional.cross_entropy(outputs, targets)
            return 2 * loss.detach() - loss

        return backwards


class Large(Clusters):
    def data(self, params: Any, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        return Data((data.train[0] * 255, data.train[1]), data.validation)


class Unequal(Clusters):
    def data(self, params: Any, seed: int) -> Data:
        data = super().data(params, seed)
        scale = torch.ones(10)
        scale[3] = 1000.0
        assert isinstance(data.train, tuple)
        assert isinstance(data.validation, tuple)
        inputs = data.train[0] * scale
        inputs[5, 2] = torch.nan
        return Data((inputs, data.train[1]), (data.validation[0] * scale, data.validation[1]))


class Dead(Clusters):
    def model(self, params: Any) -> nn.Module:
        model = super().model(params)
        nn.init.constant_(model[0].bias, -20.0)  # type: ignore[index, arg-type]
        return model


class Functional(nn.Module):
    """A network that calls relu as a function, where no module can be watched."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(10, 32), nn.Linear(32, 4)
        nn.init.constant_(self.first.bias, -20.0)

    def forward(self, inputs: Tensor) -> Any:
        return self.last(torch.relu(self.first(inputs)))


class FunctionalDead(Clusters):
    def model(self, params: Any) -> nn.Module:
        return Functional()


class DeepSigmoid(Clusters):
    def model(self, params: Any) -> nn.Module:
        hidden = [layer for _ in range(8) for layer in (nn.Linear(32, 32), nn.Sigmoid())]
        return nn.Sequential(nn.Linear(10, 32), nn.Sigmoid(), *hidden, nn.Linear(32, 4))


class Saturated(Clusters):
    def model(self, params: Any) -> nn.Module:
        model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 4))
        nn.init.normal_(model[0].weight, std=30.0)  # type: ignore[arg-type]
        return model


def test_planted_faults_show(tmp_path: Path) -> None:
    assert checked(Clusters(), tmp_path)["floor_loss"] < 1e-6
    found = checked(DoubleSoftmax(), tmp_path)
    assert found["floor_loss"] > 0.05 * found["expected_loss"]
    assert checked(SummedLoss(), tmp_path)["duplicate_ratio"] == pytest.approx(2, rel=1e-4)
    assert checked(Detached(), tmp_path)["descent"] <= 0
    found = checked(Large(), tmp_path)
    assert found["input_abs_mean"] > 100
    assert found["val_std_ratio"] < 0.01
    found = checked(Unequal(), tmp_path)
    assert found["feature_std_ratio"] > 900
    assert found["nonfinite_inputs"] == 1
    assert checked(Dead(), tmp_path)["dead_fraction"] == 1
    assert checked(FunctionalDead(), tmp_path)["dead_fraction"] == 1
    found = checked(DeepSigmoid(), tmp_path)
    assert found["gradient_ratio"] < 1e-3
    assert found["signal_ratio"] < 1e-3
    assert checked(Saturated(), tmp_path)["saturated_fraction"] > 0.8
    found = checked(Clusters(), tmp_path, initialization="zeros")
    assert (found["zero_weight_fraction"], found["output_std"]) == (1, 0)
    assert checked(Clusters(), tmp_path)["gradient_ratio"] > 0.01


def test_a_users_own_data_and_weights_are_left_alone_unless_asked(tmp_path: Path) -> None:
    raw = checked(Large(), tmp_path)
    scaled = checked(Large(), tmp_path, preprocessing="standardized")
    assert raw["input_abs_mean"] > 100 > 1 > scaled["input_abs_mean"]
    assert checked(Dead(), tmp_path, initialization="kaiming")["dead_fraction"] == 0


class Regression(Clusters):
    metric = "mse"

    def data(self, params: Any, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        assert isinstance(data.validation, tuple)
        train, validation = data.train[0], data.validation[0]
        return Data((train, train[:, :1] * 3), (validation, validation[:, :1] * 3))

    def model(self, params: Any) -> nn.Module:
        return nn.Linear(10, 1)


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_a_regression_has_an_expected_loss_and_a_floor_and_no_classes(tmp_path: Path, name: str) -> None:
    found = checked(Regression(), tmp_path, loss=name)
    data = Regression().data({}, 0)
    assert isinstance(data.train, tuple)
    expected = {"mse": 9.0, "mae": 2.4}[name]
    assert found["expected_loss"] == pytest.approx(expected, rel=0.15)
    assert found["floor_loss"] == 0
    assert math.isnan(found["classes"])
    assert math.isnan(found["label_entropy"])
    assert found["signal_ratio"] == 1


def test_hinge_expects_one_less_than_the_classes(tmp_path: Path) -> None:
    found = checked(Clusters(), tmp_path, loss="multiclass_hinge")
    assert found["expected_loss"] == pytest.approx(3)
    assert found["floor_loss"] == 0


class OwnFloor(Clusters):
    def perfect_outputs(self, targets: Tensor) -> Tensor:
        return torch.zeros(len(targets), 4)


def test_a_tasks_own_perfect_outputs_win(tmp_path: Path) -> None:
    assert checked(OwnFloor(), tmp_path)["floor_loss"] == pytest.approx(math.log(4))
