"""One training run as an outsider sees it: its curves, and per-layer gradients for the anchors' rules."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from hpsearch.records import Program, Series
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.tasks import FileTask
from hpsearch.training import Data, Task
from hpsearch.training.metrics import own_metric
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import reproducible
from hpsearch.wire import Assignment

STRIDE = 10  # backward passes between looks at a gradient
# `run_task` gets the task itself; the assignment must only name one.
NAME = FileTask(file="task.py", class_name="Planted", sha256="0" * 64)


@dataclass(frozen=True)
class LayerGradients:
    """Of one weight tensor, one value for each look: mean and median magnitude, norm, and share of zeros."""

    mean: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)

    def see(self, gradient: Tensor) -> None:
        size = gradient.detach().abs()
        self.mean.append(float(size.mean()))
        self.median.append(float(size.median()))
        self.norm.append(float(size.norm()))
        self.zeros.append(float((size == 0).float().mean()))


@dataclass(frozen=True)
class Run:
    """`curves`: values by metric (loss each step, train_/val_ each epoch). `metric`: the task's own: an
    accuracy, or mse with a `target_variance` of validation. `gradients`: of the weight tensors, in the
    model's order. `inputs`: the training inputs as the model saw them.
    """

    state: str
    metric: str
    curves: Mapping[str, tuple[float, ...]]
    gradients: tuple[LayerGradients, ...]
    inputs: Tensor
    target_variance: float
    steps: int

    @property
    def diverged(self) -> bool:
        return self.state != "completed" or not math.isfinite(self.last("val_loss"))

    def last(self, name: str) -> float:
        """The last value of a curve; NaN without one."""
        values = self.curves.get(name, ())
        return values[-1] if values else math.nan

    @property
    def score(self) -> float:
        """The final validation accuracy, of a regression the share of the variance that is explained; -inf
        where the run diverged.
        """
        value = self.last(f"val_{self.metric}")
        if self.diverged or not math.isfinite(value):
            return -math.inf
        return value if self.metric.endswith("accuracy") else 1 - value / self.target_variance


def train(task: Task, params: Params, seed: int) -> Run:
    """Train `task` to the end of its epochs on one CPU thread. Raises what the task raises."""
    watched = _watched(task)
    curves: dict[str, list[float]] = {}

    def report(series: Series) -> None:
        for name, points in series.items():
            curves.setdefault(name, []).extend(points.values)

    metric = own_metric(task).name
    direction = "maximize" if metric.endswith("accuracy") else "minimize"
    assignment = Assignment(
        task=NAME,
        params=dict(params),
        program=Program(kind="train"),
        objective=Objective(metric=f"val_{metric}", direction=direction),
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder, reproducible("cpu", 1):
        place = Place("cpu", Path(folder), Path(folder), None)
        outcome = run_task(watched, assignment, place, report, lambda: False)
    return Run(
        state=outcome.state,
        metric=metric,
        curves={name: tuple(values) for name, values in curves.items()},
        gradients=tuple(watched.layers),
        inputs=watched.inputs,
        target_variance=watched.target_variance,
        steps=outcome.steps,
    )


class Watched(Task):
    """A part of a class that looks at a task's data and, on their way back, at its weights' gradients."""

    layers: list[LayerGradients]
    inputs: Tensor
    target_variance: float

    def data(self, params: Params, seed: int) -> Data:
        data = super().data(params, seed)
        assert isinstance(data.train, tuple)
        assert isinstance(data.validation, tuple)
        self.inputs = data.train[0]
        self.target_variance = float(data.validation[1].double().var(correction=0))
        return data

    def model(self, params: Params) -> nn.Module:
        model = super().model(params)
        self.layers = []
        for parameter in model.parameters():
            if parameter.ndim >= 2 and parameter.requires_grad:
                layer = LayerGradients()
                self.layers.append(layer)
                parameter.register_hook(_Look(layer))  # type: ignore[no-untyped-call]
        return model


def _watched(task: Task) -> Watched:
    watched: Watched = type(type(task).__name__, (Watched, type(task)), {})()
    return watched


class _Look:
    """A gradient hook that looks at every `STRIDE`-th gradient and changes none."""

    def __init__(self, layer: LayerGradients) -> None:
        self._layer = layer
        self._calls = 0

    def __call__(self, gradient: Tensor) -> None:
        if self._calls % STRIDE == 0:
            self._layer.see(gradient)
        self._calls += 1
