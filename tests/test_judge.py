"""One run judged with probes: real training, planted faults, and healthy runs that raise no alarm."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import hpsearch
from hpsearch.space import Params, ParamValue
from hpsearch.training import Data, Task
from hpsearch.training.losses import Loss

HEALTHY: Mapping[str, ParamValue] = {"learning_rate": 0.1, "momentum": 0.9, "epochs": 12, "batch_size": 64}


class Digits(Task):
    """A user's own task: nothing of it is known but what the class says."""

    def data(self, params: Params, seed: int) -> Data:
        inputs, targets = (torch.tensor(part) for part in load_digits(return_X_y=True))
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
        x, y = ((inputs.float() - 4.9) / 6)[order], targets[order]
        return Data(train=(x[:1200], y[:1200]), validation=(x[1200:], y[1200:]))

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


class Narrow(Digits):
    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(nn.Linear(64, 2), nn.ReLU(), nn.Linear(2, 10))


class LoudOutputs(Digits):
    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        assert isinstance(model, nn.Sequential)
        with torch.no_grad():
            for parameter in model[2].parameters():
                parameter.mul_(30)
        return model


class Silent(Digits):
    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        assert isinstance(model, nn.Sequential)
        with torch.no_grad():
            model[0].bias.fill_(-20.0)
        return model


class DeepSigmoids(Digits):
    def model(self, params: Params) -> nn.Module:
        hidden = [layer for _ in range(7) for layer in (nn.Linear(32, 32), nn.Sigmoid())]
        return nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), *hidden, nn.Linear(32, 10))


class ShuffledLabels(Digits):
    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        x, y = data.train
        return Data(train=(x, y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]), validation=data.validation)  # fmt: skip


class FewSamples(Digits):
    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        return Data(train=(data.train[0][:60], data.train[1][:60]), validation=data.validation)


class RawPixels(Digits):
    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        assert isinstance(data.validation, tuple)
        (x, y), (u, v) = data.train, data.validation
        return Data(train=(x * 255, y), validation=(u * 255, v))


class TwiceSoftmax(Digits):
    def loss(self, params: Params) -> Loss:
        loss = super().loss(params)
        return lambda outputs, targets: loss(outputs.softmax(1), targets)


class Flipped(Digits):
    def loss(self, params: Params) -> Loss:
        loss = super().loss(params)
        return lambda outputs, targets: -loss(outputs, targets)


class AlwaysTraining(Digits):
    class Noise(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return nn.functional.dropout(inputs, 0.5)

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), self.Noise(), nn.Linear(64, 10))


def judged(task: Task, seed: int = 3, **changes: ParamValue) -> dict[str, Any]:
    return hpsearch.diagnose(task, {**HEALTHY, **changes}, seed=seed)


@pytest.mark.parametrize(
    ("task", "changes", "verdict"),
    [
        (Digits, {}, "ok"),
        (Digits, {"learning_rate": 0.05}, "ok"),
        (Digits, {"optimizer": "adam", "learning_rate": 3e-3}, "ok"),
        (Digits, {"learning_rate": 10.0}, "lr_too_high"),
        (Digits, {"learning_rate": 1e-4}, "lr_too_low"),
        (Digits, {"learning_rate": 0.01, "epochs": 2}, "train_longer"),
        (Digits, {"weight_decay": 0.3}, "over_regularized"),
        (Digits, {"learning_rate": 0.01, "schedule": "step", "step_epochs": 0.6, "step_factor": 0.01}, "decay_too_early"),
        (Narrow, {}, "underfit"),
        (LoudOutputs, {}, "bad_init"),
        (Silent, {}, "dead"),
        (DeepSigmoids, {}, "vanishing"),
        (ShuffledLabels, {}, "labels"),
        (FewSamples, {"epochs": 60}, "overfit"),
        (RawPixels, {}, "input_scale"),
        (TwiceSoftmax, {}, "loss_bug"),
        (Flipped, {}, "loss_bug"),
        (AlwaysTraining, {}, "noisy_eval"),
    ],
)  # fmt: skip
def test_a_planted_fault_gets_its_verdict(
    task: Callable[[], Task], changes: dict[str, ParamValue], verdict: str
) -> None:
    found = judged(task(), **changes)
    assert found["verdict"] == verdict, found["text"]
    assert found["cost"]["probe_steps"] <= found["cost"]["run_steps"]
    assert not found["passive"]


def test_the_remedy_that_a_probe_proved_mends_the_run() -> None:
    sick = judged(Digits(), learning_rate=10.0)
    changes = sick["remedy"]["changes"]
    assert sick["probe"]["changes"] == changes
    assert sick["probe"]["after"] > sick["probe"]["before"] + 0.5
    assert judged(Digits(), **changes)["verdict"] == "ok"


class Sized(Digits):
    knobs = {
        "depth_of_thought": {"type": "int", "low": 1, "high": 9, "default": 1},
        "neurons": {"type": "int", "low": 1, "high": 12, "default": 12},
    }

    def model(self, params: Params) -> nn.Module:
        units = int(params["neurons"])
        return nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Linear(units, 10))


def test_the_knob_that_makes_a_model_larger_is_found_by_what_it_does() -> None:
    found = judged(Sized(), neurons=2)
    assert found["verdict"] == "underfit"
    assert found["remedy"]["changes"] == {"neurons": 12}, "eight times as large, within its range"


def test_the_same_question_gets_the_same_answer() -> None:
    first, second = judged(Narrow()), judged(Narrow())
    for found in (first, second):
        found["cost"].pop("seconds")
    assert first == second


def test_without_probes_nothing_but_the_run_is_trained() -> None:
    found = hpsearch.diagnose(Narrow(), dict(HEALTHY), probes=False)
    assert found["passive"]
    assert found["cost"]["probe_steps"] == 0
    assert found["confidence"] <= 0.7
    assert found["verdict"] in ("underfit", "plateau_decay", "train_longer")


def test_one_epoch_is_too_short_to_judge_without_probes() -> None:
    found = hpsearch.diagnose(Digits(), {**HEALTHY, "epochs": 1}, probes=False)
    assert found["verdict"] == "not_enough_evidence"
    assert "3" in found["text"]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"learning_rate": 1e-7, "momentum": 0.0}, "lr_too_low"),
        ({"clip_norm": 1e-4, "epochs": 6}, "lr_too_low"),
        ({"train_fraction": 0.01, "epochs": 4, "batch_size": 8}, "not_enough_evidence"),
    ],
)
def test_extremes_are_named_for_what_they_are(changes: dict[str, ParamValue], verdict: str) -> None:
    found = judged(Digits(), **changes)
    assert found["verdict"] == verdict, found["text"]


class Line(Task):
    """A regression whose targets lie far from zero."""

    metric = "mse"
    offset = 300.0

    def data(self, params: Params, seed: int) -> Data:
        x = torch.randn(900, 5, generator=torch.Generator().manual_seed(seed))
        y = (x[:, :1] * x[:, 1:2] + x[:, 2:3]) * 50 + self.offset
        return Data(train=(x[:600], y[:600]), validation=(x[600:], y[600:]))

    def model(self, params: Params) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))

    def loss(self, params: Params) -> Loss:
        return nn.MSELoss()


def test_targets_far_from_zero_are_named_in_a_regression() -> None:
    found = hpsearch.diagnose(Line(), {"optimizer": "adam", "learning_rate": 1e-3, "epochs": 15}, seed=1)
    assert found["verdict"] == "input_scale"
    assert found["remedy"]["changes"] == {"target_scaling": "standardized"}
    assert "targets" in found["remedy"]["text"]


@pytest.mark.parametrize(
    ("params", "said"),
    [({"learning_rat": 0.1}, "learning_rate"), ({"momentum": 2.0}, "between 0 and 0.9999")],
)
def test_wrong_hyperparameters_are_refused_by_name(params: dict[str, ParamValue], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hpsearch.diagnose(Digits(), params)


def test_evidence_shows_the_numbers_beside_their_thresholds() -> None:
    found = judged(LoudOutputs())
    ratio = next(item for item in found["evidence"] if item["name"] == "ratio")
    assert ratio["ok"] is False
    assert float(ratio["value"]) > 2
    assert not math.isnan(float(ratio["value"]))
